"""Moments as people read them: the one place where a time becomes words.

Every time that a person reads, on a screen, in a sentence or in a terminal, stands in the zone in force,
in which the limits' days begin, so that "starts anew at 00:00" and the times beside it speak of one
clock. What programs read (JSON, CSV, logs) keeps its offset.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

__all__ = ["clock", "day", "exact", "here", "minute", "short", "stamp"]


def here(at: datetime, zone: str) -> datetime:
    """The same moment in this zone."""
    return at.astimezone(ZoneInfo(zone))


def minute(at: datetime, zone: str) -> str:
    """``14:02``."""
    return f"{here(at, zone):%H:%M}"


def clock(at: datetime, zone: str) -> str:
    """``14:02:31``."""
    return f"{here(at, zone):%H:%M:%S}"


def day(at: datetime, zone: str) -> str:
    """``25 Nov 2026``."""
    return f"{here(at, zone):%d %b %Y}"


def short(at: datetime, zone: str) -> str:
    """``25 Nov 14:02``."""
    return f"{here(at, zone):%d %b %H:%M}"


def exact(at: datetime, zone: str) -> str:
    """``25 Nov 14:02:31``."""
    return f"{here(at, zone):%d %b %H:%M:%S}"


def stamp(at: datetime, zone: str) -> str:
    """``2026-11-25 14:02:31``."""
    return f"{here(at, zone):%Y-%m-%d %H:%M:%S}"
