"""Limits and the calendar windows they hold in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

__all__ = [
    "Limit",
    "LimitUse",
    "Unit",
    "Window",
    "exceeded",
    "next_start",
    "scope_of",
    "window_key",
]


class Window(StrEnum):
    """How long a limit counts before it starts anew."""

    HOUR = "hour"
    DAY = "day"


class Unit(StrEnum):
    """What a limit counts: millionths of a dollar, or paid submits."""

    USD = "usd"
    SUBMITS = "submits"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``amount`` of ``unit`` in each calendar window (dollars in millionths)."""

    window: Window
    unit: Unit
    amount: int


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit in one window: what is reserved and settled of it."""

    limit: Limit
    reserved: int
    settled: int

    @property
    def used(self) -> int:
        """What counts against the limit now."""
        return self.reserved + self.settled

    @property
    def left(self) -> int:
        """What may still be granted, never below zero."""
        return max(0, self.limit.amount - self.used)


def scope_of(mode: str) -> str:
    """Whose money it is: simulated money never mixes with real."""
    return "mock" if mode == "mock" else "real"


def window_key(window: Window, at: datetime, timezone: str) -> str:
    """The calendar window that ``at`` (aware) falls into where the day begins in ``timezone``.

    An hour keeps its UTC offset, so that the hour that daylight saving repeats is two windows.
    """
    local = at.astimezone(ZoneInfo(timezone))
    if window is Window.DAY:
        return f"day:{local:%Y-%m-%d}"
    return f"hour:{local:%Y-%m-%dT%H%z}"


def next_start(window: Window, at: datetime, timezone: str) -> datetime:
    """When the window after the one of ``at`` begins, as an aware datetime in ``timezone``."""
    zone = ZoneInfo(timezone)
    local = at.astimezone(zone)
    if window is Window.DAY:
        tomorrow = local.date() + timedelta(days=1)
        return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    # added in UTC: an hour is an hour, also when the wall clock jumps
    return (at - past + timedelta(hours=1)).astimezone(zone)


def exceeded(uses: tuple[LimitUse, ...], *, micros: int, submits: int) -> str:
    """Why a reservation of this size is refused, in words; empty when every limit allows it."""
    for use in uses:
        asked = micros if use.limit.unit is Unit.USD else submits
        over = use.used + asked - use.limit.amount
        if over <= 0:
            continue
        period = "today's" if use.limit.window is Window.DAY else "this hour's"
        if use.limit.unit is Unit.USD:
            dollars = Decimal(over) / 1_000_000
            return f"It would pass {period} limit by ${dollars:.2f}."
        return f"It would pass {period} limit of {use.limit.amount:,} submits."
    return ""
