"""Downstream: who is told of finished jobs, what each was told, and telling them again."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.errors import ConsoleError
from core.services.downstreams import DownstreamView, HandoffView
from dashboard.boundary import tell
from dashboard.components import times
from dashboard.wording import Sign, ago, plain

__all__ = ["show"]

_SIGNS = {
    "pending": Sign("on its way", ":material/pending:", "blue", "●"),
    "delivered": Sign("taken", ":material/check_circle:", "green", "✓"),
    "failed": Sign("not taken", ":material/cancel:", "red", "✕"),
}


def show(console: Console, actor: Actor) -> None:
    """The list, a form for a new one, and what was handed on."""
    one = st.query_params.get("handoff", "")
    if one:
        _detail(console, one, actor)
        return
    listing = st.container()
    # the form runs first, so that the list above it has what was just added
    _form(console, actor)
    with listing:
        known = console.downstreams.known()
        for target in known:
            _line(console, target, actor)
        if not known:
            st.info("Nobody is told of finished jobs yet. Add the address of your next stage.")
    latest = console.downstreams.latest()
    if latest:
        st.subheader("Handed on", anchor=False)
        _table(latest, console.clock())


def _line(console: Console, target: DownstreamView, actor: Actor) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"target-{target.id}"):
        if target.trouble:
            st.badge("sealed", icon=":material/lock:", color="red")
        elif target.is_disabled:
            st.badge("disabled", icon=":material/block:", color="gray")
        elif target.is_failing:
            st.badge("failing", icon=":material/warning:", color="orange")
        else:
            st.badge("told", icon=":material/check_circle:", color="green")
        st.markdown(f"`{target.shown}`")  # as code, so that it is no link
        st.caption(plain(f"secret {target.fingerprint} · by {target.actor}"))
        if target.trouble:
            st.caption(plain(target.trouble))
        if target.is_disabled:
            st.caption(plain(target.disabled_reason))
            if st.button("Enable", key=f"enable-{target.id}"):
                console.downstreams.enable(target.id)
                st.rerun()
        elif st.button("Disable", key=f"disable-{target.id}"):
            console.downstreams.disable(target.id, actor)
            st.rerun()


def _form(console: Console, actor: Actor) -> None:
    with st.form("downstream", clear_on_submit=True):
        url = st.text_input("Address", type="password", placeholder="https://…")
        st.caption(
            "It gets a signed event (Standard Webhooks) for each job that is parsed or failed. The address "
            "is treated as a secret and shown masked."
        )
        if st.form_submit_button("Add", icon=":material/add:"):
            try:
                secret = console.downstreams.add(url, actor)
            except ConsoleError as error:
                tell(error)
                return
            st.success("Added. This is its secret; it is shown only now:")
            st.code(secret, language=None)


def _table(latest: Sequence[HandoffView], now: datetime) -> None:
    rows = [
        {
            "state": f"{_SIGNS[one.handoff.status].mark} {_SIGNS[one.handoff.status].word}",
            "event": one.handoff.event_type,
            "to": one.shown,
            "when": ago(one.handoff.created_at, now),
            "tries": one.handoff.tries,
            "open": f"/webhooks?tab=Downstream&handoff={one.handoff.id}",
        }
        for one in latest
    ]
    st.dataframe(
        pd.DataFrame(rows),
        key="handoffs",
        hide_index=True,
        column_config={"open": st.column_config.LinkColumn("", display_text="open", width="small")},
    )


def _detail(console: Console, handoff_id: str, actor: Actor) -> None:
    if st.button(
        "All hand-offs", key="all-handoffs", type="tertiary", icon=":material/arrow_back:"
    ):
        del st.query_params["handoff"]
        st.rerun()
    view = console.downstreams.view(handoff_id)
    one, sign = view.handoff, _SIGNS[view.handoff.status]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(sign.word, icon=sign.icon, color=sign.color)
        st.caption(plain(f"{one.event_type} to {view.shown} · {one.message_id} · by {one.actor}"))
    if one.next_at is not None:
        st.caption(f"Next try at {times.clock(one.next_at)}.")
    for tried in view.tries:
        is_good = tried.status is not None and 200 <= tried.status < 300  # noqa: PLR2004 - 2xx
        color, icon = ("green", "check_circle") if is_good else ("red", "cancel")
        said = tried.error or f"{tried.status} {tried.answer}"
        st.markdown(
            f":{color}[:material/{icon}:] **{tried.number}** · {times.stamp(tried.at)} · "
            f"{plain(said)} :gray[{tried.took_ms:.0f} ms]"
        )
    with st.container(horizontal=True):
        st.page_link("screens/job.py", label="Open the job", query_params={"job": one.job_id})
        if st.button("Replay", key="handoff-replay", icon=":material/replay:"):
            (new,) = console.downstreams.replay([handoff_id], actor)
            st.query_params["handoff"] = new.id
            st.rerun()
    st.code(one.body.decode(), language="json", wrap_lines=True)
