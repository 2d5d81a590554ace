"""Where spending leads: when a limit will be reached, and what a month will come to, as a range."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean, pstdev

__all__ = ["MonthForecast", "is_telling", "month_forecast", "reached_at"]

_ENOUGH_DAYS = 3
_RECENT = timedelta(hours=3)
_TELLING_SHARE = 0.25
_TELLING_SINCE = timedelta(hours=3)
_TELLING_AT_ALL = 0.10
_Z80 = 1.2816
"""Nine in ten of a normal distribution lie below so many deviations: eight in ten between both."""


@dataclass(frozen=True, slots=True)
class MonthForecast:
    """What a month will come to in all: eight times in ten between ``low`` and ``high``."""

    low: float
    middle: float
    high: float


def is_telling(used: Sequence[tuple[datetime, float]], limit: float, now: datetime) -> bool:
    """Whether there is enough to forecast from: a quarter of the limit, or three hours and a tenth of it.

    A few documents just after midnight are a pace of nothing.
    """
    if not used:
        return False
    share = used[-1][1] / limit
    has_history = now - used[0][0] >= _TELLING_SINCE
    return share >= _TELLING_SHARE or (has_history and share >= _TELLING_AT_ALL)


def reached_at(
    used: Sequence[tuple[datetime, float]], limit: float, now: datetime, ends: datetime
) -> datetime | None:
    """When the limit will be reached at the pace of the last three hours; None within this window not.

    ``used`` is what was used in all up to each moment, oldest first, beginning with the window.
    """
    if not used or used[-1][1] >= limit:
        return now if used else None
    start = max(used[0][0], now - _RECENT)
    before = max((amount for at, amount in used if at <= start), default=0.0)
    seconds = (now - start).total_seconds()
    rate = (used[-1][1] - before) / seconds if seconds > 0 else 0.0
    if rate <= 0:
        return None
    left_s = (limit - used[-1][1]) / rate
    if left_s >= (ends - now).total_seconds():
        return None
    return now + timedelta(seconds=left_s)


def month_forecast(
    spent: float, days_left: float, recent_days: Sequence[float]
) -> MonthForecast | None:
    """The month's total from what is spent and how the last whole days went; None for too few days.

    Days are taken as independent, so the spread of their sum grows with the root of their number.
    """
    if len(recent_days) < _ENOUGH_DAYS:
        return None
    middle = spent + days_left * mean(recent_days)
    spread = _Z80 * pstdev(recent_days) * math.sqrt(max(0.0, days_left))
    return MonthForecast(max(spent, middle - spread), middle, middle + spread)
