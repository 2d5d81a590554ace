"""The workbench: a payload on the left, what it would do on the right, and what it did."""

import shlex

import streamlit as st

from core.console import Console
from core.errors import ConsoleError
from core.services.foresight import Foresight
from core.services.workbench import Draft, Sent
from core.webhooks.workbench import TEMPLATES, Crafted, Fault, as_curl
from dashboard.components import address
from dashboard.wording import plain

__all__ = ["show"]

_TEXT, _SOURCE, _SENT = "workbench-text", "workbench-source", "workbench-sent"
_FAULT_WORDS = {
    Fault.STALE: "too old",
    Fault.FUTURE: "from the future",
    Fault.BAD_SIGNATURE: "bad signature",
    Fault.TRUNCATED: "cut off",
    Fault.DUPLICATE: "sent twice",
    Fault.REORDERED: "older one after it",
    Fault.DOUBLE_ENCODED: "encoded twice",
    Fault.OVERSIZED: "over the cap",
}


def show(console: Console) -> None:
    """Choose, edit, look ahead, send."""
    left, right = st.columns(2)
    with left:
        draft = _draft(console)
    with right:
        _ahead(console, draft)


def _draft(console: Console) -> Draft:
    source = address.read("from")
    if source:
        st.caption(plain(f"Started from the delivery {source}, with a new event id."))
        if st.button("Start from a template instead", key="no-source", type="tertiary"):
            del st.query_params["from"]
            st.rerun()
        name, job = "", ""
    else:
        with st.container(horizontal=True):
            name = st.selectbox("Template", TEMPLATES, key="template", bind="query-params")
            job = st.text_input(
                "The vendor's id of a job", key="about", bind="query-params", placeholder="pjb-…"
            )
    chosen = f"{source}|{name}|{job}"
    if st.session_state.get(_SOURCE) != chosen:
        st.session_state[_SOURCE] = chosen
        st.session_state[_TEXT] = (
            console.workbench.from_delivery(source)
            if source
            else console.workbench.template(name, address.tamed(job))
        )
        st.session_state.pop(_SENT, None)
    text = st.text_area("Payload", key=_TEXT, height=300)
    st.caption(
        "`event_id` is new each time, `timestamp` is in seconds since 1970, `data.job_id` is the vendor's "
        "id, `test: true` must stay: this is signed with a secret that is good for tests only."
    )
    faults = st.pills(
        "What is to be wrong with it",
        list(Fault),
        selection_mode="multi",
        format_func=_FAULT_WORDS.__getitem__,
        key="faults",
        bind="query-params",
        wrap=True,
    )
    return Draft(text, frozenset(Fault(fault) for fault in faults))


def _ahead(console: Console, draft: Draft) -> None:
    try:
        crafted = console.workbench.crafted(draft)
    except ConsoleError as error:
        st.info(plain(f"{error.what} {error.next_step}"), icon=":material/edit:")
        return
    st.markdown("**What it would do**")
    for number, told in enumerate(console.workbench.foresee(crafted)):
        _told(told, number)
    label = "Send" if len(crafted) == 1 else f"Send {len(crafted)}"
    if st.button(label, key="send", type="primary", icon=":material/send:"):
        st.session_state[_SENT] = draft, console.workbench.send(crafted)
    answered, answers = st.session_state.get(_SENT, (draft, []))
    if answered != draft:
        del st.session_state[_SENT]
        answers = []
    for number, sent in enumerate(answers):
        _answer(sent, number)
    _copies(console, draft, crafted)


def _told(told: Foresight, number: int) -> None:
    is_fine = told.status_code == 200  # noqa: PLR2004 - OK
    with st.container(border=True, key=f"ahead-{number}"):
        st.badge(
            f"{told.status_code} {told.verdict.replace('_', ' ')}",
            color="green" if is_fine else "red",
            icon=":material/check_circle:" if is_fine else ":material/cancel:",
        )
        st.markdown(plain(told.change))
        if told.job is not None:
            st.page_link(
                "screens/job.py", label=plain(told.job.name), query_params={"job": told.job.id}
            )


def _answer(sent: Sent, number: int) -> None:
    answer = sent.answer
    with st.container(border=True, key=f"answer-{number}"):
        if answer.error:
            st.markdown(f":red[:material/cancel:] {plain(answer.error)}")
            return
        color, icon = ("green", "check_circle") if answer.is_success else ("red", "cancel")
        st.markdown(f":{color}[:material/{icon}: **{answer.status}**] in {answer.took_ms:.0f} ms")
        st.code(answer.text, language="json", wrap_lines=True)
        if answer.delivery_id:
            st.page_link(
                "screens/delivery.py",
                label="Open the delivery",
                icon=":material/webhook:",
                query_params={"delivery": answer.delivery_id},
            )


def _copies(console: Console, draft: Draft, crafted: tuple[Crafted, ...]) -> None:
    shortest = min(crafted, key=lambda one: len(one.body))
    with st.expander("As a command", icon=":material/terminal:"):
        faults = "".join(f" --fault {fault.value}" for fault in sorted(draft.faults))
        compact = shlex.quote(draft.text)
        st.code(
            f"printf %s {compact} | parsedeck webhook send --body -{faults} --to {console.ingress_url}",
            language="bash",
            wrap_lines=True,
        )
        if len(shortest.body) < _LONGEST_COPY:
            st.code(as_curl(console.ingress_url, shortest), language="bash", wrap_lines=True)


_LONGEST_COPY = 10_000
