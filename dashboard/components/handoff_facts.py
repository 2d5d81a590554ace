"""One hand-off: how far it is, every request that was made for it, and its bytes."""

import json

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.errors import ConsoleError
from core.services.downstreams import HandoffView
from core.store.handoffs import PENDING
from dashboard.boundary import tell
from dashboard.components import bodies, times
from dashboard.components.handed_on import HANDOFF_SIGNS, is_being_sent, next_try
from dashboard.wording import plain

__all__ = ["show"]


def show(console: Console, handoff_id: str, actor: Actor) -> None:
    """The facts, and sending it again."""
    if st.button(
        "All hand-offs", key="all-handoffs", type="tertiary", icon=":material/arrow_back:"
    ):
        del st.query_params["handoff"]
        st.rerun()
    view = console.downstreams.view(handoff_id)
    one, sign = view.handoff, HANDOFF_SIGNS[view.handoff.status]
    st.subheader(plain(view.document), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(sign.word, icon=sign.icon, color=sign.color)
        st.markdown(f"{plain(one.event_type)} to `{view.shown}`", width="content")
        st.caption(plain(f"{one.message_id} · by {one.actor}"), width="content")
    if one.next_at is not None:
        st.caption(f"Next try: {next_try(one, console.clock())}.")
    for tried in view.tries:
        is_good = tried.status is not None and 200 <= tried.status < 300  # noqa: PLR2004 - 2xx
        color, icon = ("green", "check_circle") if is_good else ("red", "cancel")
        said = tried.error or f"{tried.status} {tried.answer}"
        st.markdown(
            f":{color}[:material/{icon}:] **{tried.number}** · {times.stamp(tried.at)} · "
            f"{plain(said)} :gray[{tried.took_ms:.0f} ms]"
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "screens/job.py",
            label="Open the job",
            icon=":material/description:",
            query_params={"job": one.job_id},
        )
        _again(console, view, actor)
    left, right = st.columns(2)
    with left:
        st.subheader("As it goes out", anchor=False)
        bodies.show(one.body.decode())
        bodies.download(one.body, f"{one.message_id}.json")
    with right:
        st.subheader("As it reads", anchor=False)
        readable = json.dumps(json.loads(one.body), indent=2, ensure_ascii=False)
        bodies.show(readable, "json")


def _again(console: Console, view: HandoffView, actor: Actor) -> None:
    """Sending it again, or where that was done."""
    one, newest = view.handoff, view.newest
    if newest.id != one.id:
        st.caption(
            plain(f"Sent again by {newest.actor} at {times.stamp(newest.created_at)}."),
            width="content",
        )
        if st.button("Open that", key="handoff-newest", icon=":material/arrow_forward:"):
            _go_to(newest.id)
        return
    label = "Send now" if one.status == PENDING else "Replay"
    # who is sending it would have it sent twice
    is_busy = is_being_sent(one, console.clock())
    if st.button(label, key="handoff-replay", icon=":material/replay:", disabled=is_busy):
        try:
            new = console.downstreams.replay(one.id, actor)
        except ConsoleError as error:
            tell(error)
        else:
            _go_to(new.id)


def _go_to(handoff_id: str) -> None:
    st.query_params["handoff"] = handoff_id
    st.rerun()
