"""Limits, the calendar windows they hold in, and when a reservation is granted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from core.domain.money import usd_exact, usd_from_micros, usd_words

__all__ = [
    "EVERYTHING",
    "Ask",
    "Limit",
    "LimitUse",
    "Refusal",
    "Unit",
    "Uses",
    "Window",
    "book_of",
    "in_order",
    "next_start",
    "refusal_of",
    "scope_words",
    "scopes_of",
    "window_key",
    "with_reserved",
]

EVERYTHING = "all"
"""The scope of a limit over all work of one book."""


class Window(StrEnum):
    """How long a limit counts before it starts anew."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Unit(StrEnum):
    """What a limit counts: millionths of a dollar, or paid submits."""

    USD = "usd"
    SUBMITS = "submits"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``amount`` of ``unit`` in each calendar window (dollars in millionths), in one scope."""

    window: Window
    unit: Unit
    amount: int
    scope: str = EVERYTHING

    @property
    def words(self) -> str:
        """``today's limit for the team legal``."""
        return f"{_THIS[self.window]} limit{scope_words(self.scope)}"

    @property
    def key(self) -> tuple[str, Window, Unit]:
        """What it limits, whatever the amount."""
        return self.scope, self.window, self.unit


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


Uses = tuple[LimitUse, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants to reserve: dollars in millionths, submits, and the scopes it counts in."""

    micros: int
    submits: int
    scopes: tuple[str, ...] = (EVERYTHING,)

    def of(self, limit: Limit) -> int:
        """How much of a limit it takes: nothing of one that is about something else."""
        if limit.scope not in self.scopes:
            return 0
        return self.micros if limit.unit is Unit.USD else self.submits


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reservation is not granted: the limit in the way, by how much it would be passed.

    ``fits_a_window`` is false when the request is larger than a whole window: no waiting helps.
    """

    limit: Limit
    over: int
    fits_a_window: bool

    @property
    def words(self) -> str:
        """One sentence."""
        limit = self.limit
        dollars = limit.unit is Unit.USD
        if not self.fits_a_window:
            size = (
                usd_exact(usd_from_micros(limit.amount)) if dollars else f"{limit.amount:,} submits"
            )
            whose = f"{_A[limit.window]} limit of {size}{scope_words(limit.scope)}"
            return f"It is larger than {whose}: a lead must approve it."
        if dollars:
            return f"It would pass {limit.words} by {usd_words(usd_from_micros(self.over))}."
        return f"It would pass {limit.words}: {limit.amount:,} submits."


_THIS = {Window.HOUR: "this hour's", Window.DAY: "today's", Window.MONTH: "this month's"}
_A = {Window.HOUR: "an hour's", Window.DAY: "a day's", Window.MONTH: "a month's"}


def book_of(mode: str) -> str:
    """Whose money it is: simulated money is kept in a book of its own and never mixes with real."""
    return "mock" if mode == "mock" else "real"


def scopes_of(service: str, team: str) -> tuple[str, ...]:
    """Every scope that a reservation counts in."""
    found = (EVERYTHING, f"service:{service}")
    return (*found, f"team:{team}") if team else found


def scope_words(scope: str) -> str:
    """`` for the team sales``; empty for the scope of everything."""
    kind, _, name = scope.partition(":")
    return f" for the {kind} {name}" if name else ""


def window_key(window: Window, at: datetime, timezone: str) -> str:
    """The calendar window that ``at`` (aware) falls into where the day begins in ``timezone``.

    An hour keeps its UTC offset, so that the hour that daylight saving repeats is two windows.
    """
    local = at.astimezone(ZoneInfo(timezone))
    if window is Window.MONTH:
        return f"month:{local:%Y-%m}"
    if window is Window.DAY:
        return f"day:{local:%Y-%m-%d}"
    return f"hour:{local:%Y-%m-%dT%H%z}"


def next_start(window: Window, at: datetime, timezone: str) -> datetime:
    """When the window after the one of ``at`` begins, as an aware datetime in ``timezone``."""
    zone = ZoneInfo(timezone)
    local = at.astimezone(zone)
    if window is Window.MONTH:
        later = (local.replace(day=1) + timedelta(days=32)).date()
        return datetime(later.year, later.month, 1, tzinfo=zone)
    if window is Window.DAY:
        tomorrow = local.date() + timedelta(days=1)
        return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    # added in UTC: an hour is an hour, also when the wall clock jumps
    return (at - past + timedelta(hours=1)).astimezone(zone)


def refusal_of(uses: Sequence[LimitUse], ask: Ask) -> Refusal | None:
    """The limit that stands in the way of what is asked; None when all allow it.

    A limit that no waiting helps against is named first.
    """
    found = [
        Refusal(use.limit, use.used + wanted - use.limit.amount, wanted <= use.limit.amount)
        for use in uses
        for wanted in [ask.of(use.limit)]
        if wanted > 0 and use.used + wanted > use.limit.amount
    ]
    return min(found, key=lambda refusal: refusal.fits_a_window, default=None)


def with_reserved(uses: Sequence[LimitUse], ask: Ask) -> tuple[LimitUse, ...]:
    """The same limits as if this were reserved as well."""
    return tuple(replace(use, reserved=use.reserved + ask.of(use.limit)) for use in uses)


def in_order(uses: Sequence[LimitUse], asks: Sequence[Ask]) -> tuple[tuple[bool, ...], Uses]:
    """Which of these are granted when they come in this order, and the limits after them.

    What does not fit is passed over: it never blocks what comes after it.
    """
    now: Uses = tuple(uses)
    granted = []
    for ask in asks:
        fits = refusal_of(now, ask) is None
        granted.append(fits)
        if fits:
            now = with_reserved(now, ask)
    return tuple(granted), now
