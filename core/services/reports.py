"""Spend over time as tables: sums of the roll-ups through pandas, for charts and CSV alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from core.clock import Clock
from core.domain.budgets import EVERYTHING, Unit, Window, book_of, next_start, window_key
from core.domain.forecast import MonthForecast, is_telling, month_forecast, reached_at
from core.domain.money import usd_from_micros
from core.domain.routing import Mode
from core.pipeline.terms import Rules
from core.store import Store, Transaction, limits, rollups
from core.store.rollups import Sums

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RANGES", "WASTE", "BurnDown", "Month", "Outlook", "Report", "Reports"]

RANGES = {"today": 1, "7 days": 7, "30 days": 30, "90 days": 90}
WASTE = ("failed", "cancelled", "repeat")
"""Outcomes that were paid for and brought nothing new."""
_HISTORY_DAYS = 28


class Outlook(StrEnum):
    """Where today leads."""

    NO_LIMIT = "no limit"
    TOO_EARLY = "too early to tell"
    HOLDS = "holds"
    REACHED_LATER = "reached later"
    REACHED = "reached"


@dataclass(frozen=True, slots=True)
class BurnDown:
    """Today by the hour: what was used in all up to each moment, and where that leads.

    ``points`` are moments with dollars settled and reserved up to then, oldest first.
    ``reached`` is when the limit will be reached at this pace, in the configured time zone; only where
    there is enough to tell, and not when it is reached already.
    """

    points: tuple[tuple[datetime, float, float], ...]
    limit_usd: Decimal | None
    reached: datetime | None
    now: datetime
    ends: datetime
    outlook: Outlook

    @property
    def hours(self) -> "pd.DataFrame":
        """The points as a table."""
        # not before it is drawn: the watch looks at the outlook while the console is still starting,
        # and Streamlit's own import fails when another thread is in the middle of this one
        import pandas as pd  # noqa: PLC0415 - it takes half a second; most commands draw nothing

        return pd.DataFrame(self.points, columns=["at", "settled_usd", "reserved_usd"])

    @property
    def words(self) -> str:
        """The outlook as one sentence: the same on the Spend screen and in the alert."""
        match self.outlook:
            case Outlook.NO_LIMIT:
                return "No limit a day is set."
            case Outlook.TOO_EARLY:
                return "It is too early to say when the limit will be reached."
            case Outlook.HOLDS:
                return "At this pace the limit holds today."
            case Outlook.REACHED_LATER:
                return f"At this pace the limit is reached about {self.reached:%H:%M}."
            case Outlook.REACHED:
                return f"The limit is reached; it starts anew at {self.ends:%H:%M}."


@dataclass(frozen=True, slots=True)
class Month:
    """This month: spent so far, and the forecast; None while there are too few days to tell."""

    spent_usd: Decimal
    forecast: MonthForecast | None
    limit_usd: Decimal | None
    first_day: date


@dataclass(frozen=True, slots=True)
class Report:
    """Spend of a range of days: by the chosen thing, and by outcome."""

    by: str
    is_hourly: bool
    frame: "pd.DataFrame"
    outcomes: "pd.DataFrame"

    @property
    def drivers(self) -> "pd.DataFrame":
        """The values of the chosen thing with their sums, the dearest first."""
        columns = ["settled_usd", "reserved_usd", "saved_usd", "credits", "pages", "submits"]
        sums = self.frame.groupby("value", as_index=False)[columns].sum()
        return sums.sort_values("settled_usd", ascending=False, ignore_index=True)

    @property
    def waste(self) -> "pd.DataFrame":
        """What was paid for work that brought nothing new, by time and outcome."""
        frame = self.outcomes
        return frame[frame["value"].isin(WASTE)].reset_index(drop=True)

    @property
    def saved(self) -> "pd.DataFrame":
        """What was not paid thanks to caches, local pages and duplicates found, by time and outcome."""
        frame = self.outcomes
        return frame[frame["saved_usd"] > 0].reset_index(drop=True)


class Reports:
    """Reads spend over time."""

    def __init__(self, store: Store, rules: Callable[[], Rules], clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def spend(
        self, mode: Mode, days: int, by: str, only: Mapping[str, str] | None = None
    ) -> Report:
        """The last ``days`` days up to today by a dimension; one day is shown by the hour."""
        today = self._today()
        first = today - timedelta(days=days - 1)
        kind = "hour" if days == 1 else "day"
        # an hour's key goes on after the day: "~" comes after all of it
        window = (f"{kind}:{first}", f"{kind}:{today}~")
        with self._store.read() as tx:
            book = book_of(mode)
            chosen = rollups.by_window(tx, book, *window, by, only)
            outcomes = (
                chosen if by == "outcome" else rollups.by_window(tx, book, *window, "outcome", only)
            )
        return Report(by, kind == "hour", _frame(chosen), _frame(outcomes))

    def choices(self, mode: Mode, days: int, dimension: str) -> tuple[str, ...]:
        """What can be narrowed to."""
        today = self._today()
        first = f"day:{today - timedelta(days=days - 1)}"
        with self._store.read() as tx:
            found = rollups.values_of(tx, book_of(mode), first, f"day:{today}~", dimension)
        return tuple(value for value in found if value)

    def burn_down(self, mode: Mode) -> BurnDown:
        """Today against its limit, with the time at which it will be reached at this pace."""
        rules, now, book = self._rules(), self._clock(), book_of(mode)
        zone = ZoneInfo(rules.timezone)
        local = now.astimezone(zone)
        starts = datetime(local.year, local.month, local.day, tzinfo=zone)
        ends = next_start(Window.DAY, now, rules.timezone)
        hours = []
        at = starts
        while at <= now:
            hours.append(at)
            at = next_start(Window.HOUR, at, rules.timezone)
        keys = [window_key(Window.HOUR, hour, rules.timezone) for hour in hours]
        with self._store.read() as tx:
            found = rollups.days(tx, book, keys)
            limit = self._day_limit(tx, book, rules, now)
        rows, settled, reserved = [(starts, 0.0, 0.0)], 0, 0
        for key, hour in zip(keys, hours, strict=True):
            more = found.get(key, (0, 0))
            settled, reserved = settled + more[0], reserved + more[1]
            until = min(now, next_start(Window.HOUR, hour, rules.timezone)).astimezone(zone)
            rows.append((until, settled / 1e6, reserved / 1e6))
        used = [(when, paid + held) for when, paid, held in rows]
        outlook, reached = _outlook(used, limit, now, ends)
        reached = None if reached is None else reached.astimezone(zone)
        return BurnDown(tuple(rows), limit, reached, local, ends, outlook)

    def month(self, mode: Mode) -> Month:
        """What this month came to so far, and will come to."""
        rules, now, book, today = self._rules(), self._clock(), book_of(mode), self._today()
        first = today.replace(day=1)
        past = [today - timedelta(days=back) for back in range(1, _HISTORY_DAYS + 1)]
        month_key = window_key(Window.MONTH, now, rules.timezone)
        with self._store.read() as tx:
            found = rollups.days(tx, book, [*(f"day:{day}" for day in past), month_key])
            in_force = limits.in_force(tx, book, rules.limits, now)
            limit = next(
                (x for x in in_force if x.key == (EVERYTHING, Window.MONTH, Unit.USD)), None
            )
        known = [day for day in past if f"day:{day}" in found]
        # days before the first entry are not days without spending
        since = min(known, default=today)
        totals = [sum(found.get(f"day:{day}", (0, 0))) / 1e6 for day in past if day >= since]
        ends = next_start(Window.MONTH, now, rules.timezone)
        days_left = (ends - now) / timedelta(days=1)
        spent = usd_from_micros(sum(found.get(month_key, (0, 0))))
        forecast = month_forecast(float(spent), days_left, totals)
        return Month(spent, forecast, usd_from_micros(limit.amount) if limit else None, first)

    def _today(self) -> date:
        return self._clock().astimezone(ZoneInfo(self._rules().timezone)).date()

    @staticmethod
    def _day_limit(tx: Transaction, book: str, rules: Rules, now: datetime) -> Decimal | None:
        key = (EVERYTHING, Window.DAY, Unit.USD)
        in_force = limits.in_force(tx, book, rules.limits, now)
        return next((usd_from_micros(x.amount) for x in in_force if x.key == key), None)


def _outlook(
    used: Sequence[tuple[datetime, float]], limit: Decimal | None, now: datetime, ends: datetime
) -> tuple[Outlook, datetime | None]:
    if limit is None:
        return Outlook.NO_LIMIT, None
    most = float(limit)
    if used[-1][1] >= most:
        return Outlook.REACHED, None
    # without any spending the limit holds; a little of it says nothing
    if used[-1][1] and not is_telling(used, most, now):
        return Outlook.TOO_EARLY, None
    reached = reached_at(used, most, now, ends)
    return (Outlook.HOLDS if reached is None else Outlook.REACHED_LATER), reached


def _frame(sums: tuple[Sums, ...]) -> "pd.DataFrame":
    """Dollars as floats for charts: sums of whole millionths, divided once."""
    import pandas as pd  # noqa: PLC0415 - as above

    columns = {
        "window": [s.window.partition(":")[2] for s in sums],
        "value": [s.value for s in sums],
        "settled_usd": [s.settled_micros / 1e6 for s in sums],
        "reserved_usd": [s.reserved_micros / 1e6 for s in sums],
        "estimated_usd": [s.estimated_micros / 1e6 for s in sums],
        "saved_usd": [s.saved_micros / 1e6 for s in sums],
        "credits": [s.settled_credits for s in sums],
        "pages": [s.pages for s in sums],
        "submits": [s.submits for s in sums],
    }
    return pd.DataFrame(columns)
