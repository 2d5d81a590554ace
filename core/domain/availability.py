"""How an engine did over time: its calls in periods of equal length, for charts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["LATE", "Period"]

LATE = timedelta(minutes=2)
"""Later than that nobody writes down a call of a period that is over."""


@dataclass(frozen=True, slots=True)
class Period:
    """The calls of one period; their median and 95th percentile in seconds, None without calls."""

    start: datetime
    calls: int = 0
    failed: int = 0
    slow: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
