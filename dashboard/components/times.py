"""Times as they stand on every screen: in the zone that the settings in force name (``core.domain.times``)."""

from datetime import datetime

import streamlit as st

from core.domain import times

__all__ = ["clock", "exact", "here", "short", "stamp", "use"]

_ZONE = "zone"


def use(zone: str) -> None:
    """From now on times are shown in this zone; called once per run of a screen."""
    st.session_state[_ZONE] = zone


def here(at: datetime) -> datetime:
    """The same moment in the zone of the screen."""
    return times.here(at, _zone())


def clock(at: datetime) -> str:
    """``14:02:31``."""
    return times.clock(at, _zone())


def short(at: datetime) -> str:
    """``25 Nov 14:02``."""
    return times.short(at, _zone())


def exact(at: datetime) -> str:
    """``25 Nov 14:02:31``."""
    return times.exact(at, _zone())


def stamp(at: datetime) -> str:
    """``2026-11-25 14:02:31``."""
    return times.stamp(at, _zone())


def _zone() -> str:
    zone: str = st.session_state.get(_ZONE, "UTC")
    return zone
