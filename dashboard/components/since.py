"""What happened since the person at the screen was last here."""

from datetime import datetime, timedelta

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.domain.routing import Mode
from dashboard.wording import ago, money

__all__ = ["left_at", "show"]

_AWAY = timedelta(minutes=5)
_NOTE_EVERY = timedelta(minutes=1)
_LEFT = "left_at"
_NOTED = "visit_noted_at"


def left_at(console: Console, actor: Actor) -> datetime | None:
    """When the person left before this visit began; notes once a minute that they are here."""
    now = console.clock()
    noted = st.session_state.get(_NOTED)
    if noted is None or now - noted > _NOTE_EVERY:
        before = console.visits.arrive(actor)
        st.session_state[_NOTED] = now
        if before is not None and now - before > _AWAY:
            st.session_state[_LEFT] = before
    found: datetime | None = st.session_state.get(_LEFT)
    return found


def show(console: Console, moment: datetime, mode: Mode) -> None:
    """One line."""
    since = console.visits.since(moment)
    spent = money(since.usd).replace("$", "\\$")
    simulated = " (simulated)" if mode is Mode.MOCK else ""
    st.markdown(
        f"Since you left {ago(moment, console.clock())}: **{since.finished:,} finished**, "
        f"{since.failed:,} failed, {since.waits:,} wait for you, {spent} spent{simulated}"
    )
