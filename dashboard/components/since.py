"""What happened since the person at the screen was last here."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.services.visits import Since
from dashboard.wording import ago, money

__all__ = ["Away", "note", "read", "show"]

_AWAY = timedelta(minutes=5)
_NOTE_EVERY = timedelta(minutes=1)
_LEFT = "left_at"
_NOTED = "visit_noted_at"


@dataclass(frozen=True, slots=True)
class Away:
    """How long ago the person left, in words, and what happened since."""

    words: str
    since: Since


def read(console: Console, actor: Actor) -> Away | None:
    """What happened since the person left; nothing when they were not away."""
    now = console.clock()
    if _is_due(now):
        before = console.visits.last_seen(actor)
        if before is not None and now - before > _AWAY:
            st.session_state[_LEFT] = before
    left_at: datetime | None = st.session_state.get(_LEFT)
    return None if left_at is None else Away(ago(left_at, now), console.visits.since(left_at))


def note(console: Console, actor: Actor) -> None:
    """Once a minute note that the person is here: a write, so it comes after what they wait to read."""
    now = console.clock()
    if _is_due(now):
        console.visits.note(actor)
        st.session_state[_NOTED] = now


def _is_due(now: datetime) -> bool:
    noted = st.session_state.get(_NOTED)
    return noted is None or now - noted > _NOTE_EVERY


def show(away: Away, mode: Mode) -> None:
    """One line."""
    since = away.since
    spent = money(since.usd).replace("$", "\\$")
    simulated = " (simulated)" if mode is Mode.MOCK else ""
    st.markdown(
        f"Since you left {away.words}: **{since.finished:,} finished**, "
        f"{since.failed:,} failed, {since.waits:,} wait for you, {spent} spent{simulated}"
    )
