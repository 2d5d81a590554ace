"""Times as they stand on every screen: in the zone that the settings in force name.

It is the zone in which the limits' days begin, so that "starts anew at 00:00" and the times beside it
speak of one clock.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

__all__ = ["clock", "exact", "here", "short", "stamp", "use"]

_ZONE = "zone"


def use(zone: str) -> None:
    """From now on times are shown in this zone; called once per run of a screen."""
    st.session_state[_ZONE] = zone


def here(at: datetime) -> datetime:
    """The same moment in the zone of the screen."""
    return at.astimezone(ZoneInfo(st.session_state.get(_ZONE, "UTC")))


def clock(at: datetime) -> str:
    """``14:02:31``."""
    return f"{here(at):%H:%M:%S}"


def short(at: datetime) -> str:
    """``25 Nov 14:02``."""
    return f"{here(at):%d %b %H:%M}"


def exact(at: datetime) -> str:
    """``25 Nov 14:02:31``."""
    return f"{here(at):%d %b %H:%M:%S}"


def stamp(at: datetime) -> str:
    """``2026-11-25 14:02:31``."""
    return f"{here(at):%Y-%m-%d %H:%M:%S}"
