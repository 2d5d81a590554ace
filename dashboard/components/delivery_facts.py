"""One delivery: the verdict as a checklist, the bytes beside their meaning, the job before and after."""

import streamlit as st

from core.domain.jobs import AttemptStatus
from core.services.deliveries import Check, DeliveryView
from core.webhooks.forensics import Finding
from core.webhooks.misreadings import Mistake
from dashboard.components import bodies, times
from dashboard.components.verdicts import CHECK_SIGNS, VERDICT_SIGNS
from dashboard.wording import STAGE_WORDS, plain, size

__all__ = ["show"]

_LONGEST_COPY = 10_000
_SHELL_SECRETS = {
    **dict.fromkeys(("real", ""), "the first secret of `LLAMAPARSE_WEBHOOK_SECRET`"),
    **dict.fromkeys(("mock", "test"), "the generated secret of its kind, from the data folder"),
}
_SCOPES = {"real": "LlamaParse", "mock": "the simulator", "test": "a test", "": "nobody we know"}


def show(view: DeliveryView, now_ago: str, url: str, curl: str) -> None:
    """Everything on record about it; ``url`` is where it can be sent again, ``curl`` the lines that do."""
    delivery = view.delivery
    sign = VERDICT_SIGNS[delivery.state]
    facts = [
        f"signed by {_SCOPES[delivery.scope]}",
        f"{times.stamp(delivery.received_at)} ({now_ago})",
        f"judged in {delivery.duration_ms:.1f} ms",
        size(delivery.body_size),
    ]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(sign.word, icon=sign.icon, color=sign.color)
        if delivery.replay_of:
            st.badge(f"replay by {delivery.actor}", icon=":material/replay:", color="violet")
        st.caption(" · ".join(plain(fact) for fact in facts))
    if delivery.replay_of:
        st.page_link(
            "screens/delivery.py",
            label="Open what was replayed",
            query_params={"delivery": delivery.replay_of},
        )
    _checklist(view.checks)
    _findings(view.findings)
    _change(view)
    with st.container(horizontal=True):
        st.page_link(
            "screens/webhooks.py",
            label="Replay",
            icon=":material/replay:",
            query_params={"tab": "Replay", "only": delivery.id},
        )
        if view.pretty:
            st.page_link(
                "screens/webhooks.py",
                label="Open in the workbench",
                icon=":material/construction:",
                query_params={"tab": "Workbench", "from": delivery.id},
            )
    _commands(view, url, curl)
    left, right = st.columns(2)
    with left:
        _raw(view)
    with right:
        _parsed(view)


def _checklist(checks: tuple[Check, ...]) -> None:
    with st.container(border=True, key="checklist"):
        for check in checks:
            sign = CHECK_SIGNS[check.state]
            took = "" if check.took_ms is None else f" :gray[{_span(check.took_ms)}]"
            st.markdown(f":{sign.color}[{sign.icon}] **{check.name}** · {plain(check.found)}{took}")


def _findings(findings: tuple[Finding, ...]) -> None:
    for number, finding in enumerate(findings):
        is_likely = finding.mistake is not Mistake.UNKNOWN_SECRET
        with st.container(border=True, key=f"finding-{number}"):
            head = f"Likely: {finding.mistake.value}" if is_likely else "No usual mistake fits"
            st.markdown(f":orange[:material/search_insights:] **{head}** · {plain(finding.what)}")
            st.markdown(f"**What to do:** {plain(finding.next_step)}")


def _change(view: DeliveryView) -> None:
    if view.job is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="change"):
        st.page_link(
            "screens/job.py",
            label=plain(view.job.name),
            icon=":material/description:",
            query_params={"job": view.job.id},
        )
        if view.state_before:
            before, after = _stage(view.state_before), _stage(view.state_after)
            changed = f"before: {before} → after: {after}"
            st.caption(changed if before != after else f"{before}, before and after")
        else:
            st.caption("It changed nothing about this document yet.")


def _commands(view: DeliveryView, url: str, curl: str) -> None:
    """The same from a shell: looked at, sent to an endpoint of one's own, bent in a test, or by curl."""
    delivery = view.delivery
    with st.expander("As a command", icon=":material/terminal:"):
        lines = [
            f"parsedeck webhook replay {delivery.id} --dry-run",
            f"parsedeck webhook replay {delivery.id} --to http://127.0.0.1:3000/hook",
        ]
        if view.pretty:
            lines.append(f"parsedeck webhook send --from {delivery.id} --to {url}")
        st.code("\n".join(lines), language="bash", wrap_lines=True)
        is_whole = len(delivery.body) == delivery.body_size <= _LONGEST_COPY
        if is_whole and curl:
            st.code(curl, language="bash", wrap_lines=True)
            st.caption(f"Signed in your shell, with {_SHELL_SECRETS[delivery.scope]}.")


def _stage(status: str) -> str:
    return STAGE_WORDS[AttemptStatus(status)]


def _raw(view: DeliveryView) -> None:
    delivery = view.delivery
    st.subheader("As it came", anchor=False)
    kept = len(delivery.body)
    if kept < delivery.body_size:
        st.caption(f"The first {kept:,} of {delivery.body_size:,} bytes; the rest was not kept.")
    bodies.show(delivery.body.decode("utf-8", "replace") or "(nothing)")
    if delivery.body:
        bodies.download(delivery.body, f"{delivery.id}.json")
    with st.expander(f"Headers ({len(delivery.headers)})", icon=":material/list:"):
        lines = "\n".join(f"{name}: {value}" for name, value in delivery.headers.items())
        st.code(lines or "(none)", language=None, wrap_lines=True)
        st.caption("Signatures and other secrets are kept by their length only.")


def _parsed(view: DeliveryView) -> None:
    st.subheader("As it reads", anchor=False)
    if view.pretty:
        bodies.show(view.pretty, "json")
    else:
        st.caption("This is no JSON object.")


def _span(took_ms: float) -> str:
    return f"{took_ms / 1000:.1f} s" if took_ms >= 1000 else f"{took_ms:.2f} ms"  # noqa: PLR2004
