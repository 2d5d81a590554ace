"""How an engine did over time: its calls in periods of equal length, for charts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from core.domain.health import Outcome, Signal

__all__ = ["Period", "periods"]


@dataclass(frozen=True, slots=True)
class Period:
    """The calls of one period; their median and 95th percentile in seconds, None without calls."""

    start: datetime
    calls: int = 0
    failed: int = 0
    slow: int = 0
    p50_s: float | None = None
    p95_s: float | None = None


def periods(
    outcomes: Iterable[Outcome], since: datetime, until: datetime, width: timedelta
) -> tuple[Period, ...]:
    """One period per ``width`` from ``since`` to ``until``, also those in which nobody called.

    What says nothing about the engine (a broken document, our own pace) is not counted.
    """
    count = max(1, -(-(until - since) // width))
    found: list[list[Outcome]] = [[] for _ in range(count)]
    for outcome in outcomes:
        index = (outcome.at - since) // width
        if outcome.signal is not Signal.NEUTRAL and 0 <= index < count:
            found[index].append(outcome)
    return tuple(_period(since + width * n, calls) for n, calls in enumerate(found))


def _period(start: datetime, calls: list[Outcome]) -> Period:
    times = sorted(call.seconds for call in calls if call.signal in {Signal.OK, Signal.SLOW})
    slow = sum(call.signal is Signal.SLOW for call in calls)
    return Period(
        start,
        len(calls),
        len(calls) - len(times),
        slow,
        _percentile(times, 0.5),
        _percentile(times, 0.95),
    )


def _percentile(ordered: list[float], share: float) -> float | None:
    """The nearest-rank percentile."""
    return ordered[ceil(len(ordered) * share) - 1] if ordered else None
