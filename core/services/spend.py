"""What was spent today, and what is left of the limits."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from core.clock import Clock
from core.domain.budgets import EVERYTHING, Limit, LimitUse, Unit, Window, book_of
from core.domain.money import usd_from_micros
from core.domain.routing import Mode
from core.pipeline.terms import Rules
from core.store import Store, ledger, limits

__all__ = ["HourSpend", "Spend", "SpendToday"]


@dataclass(frozen=True, slots=True)
class SpendToday:
    """Money of one day in one mode, and how much of each limit it takes."""

    mode: Mode
    since: datetime
    reserved_usd: Decimal
    settled_usd: Decimal
    credits: int
    limits: tuple[LimitUse, ...]

    @property
    def total_usd(self) -> Decimal:
        """Settled and still reserved."""
        return self.reserved_usd + self.settled_usd

    def use(self, window: Window, unit: Unit) -> LimitUse | None:
        """The limit over everything of this window and unit."""
        return next((u for u in self.limits if u.limit.key == (EVERYTHING, window, unit)), None)


@dataclass(frozen=True, slots=True)
class HourSpend:
    """Money and submits, reserved or settled, in the calendar hour of ``at``."""

    at: datetime
    usd: Decimal
    submits: int


class Spend:
    """Reads the ledger."""

    def __init__(self, store: Store, rules: Callable[[], Rules], clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def by_hour(self, mode: Mode, *, hours: int = 24) -> tuple[HourSpend, ...]:
        """The last hours up to now, oldest first; hours in which nothing was spent are there too."""
        timezone, now = self._rules().timezone, self._clock()
        moments = [now - timedelta(hours=back) for back in reversed(range(hours))]
        with self._store.read() as tx:
            found = ledger.by_hour(tx, mode, moments, timezone)
        return tuple(
            HourSpend(at, usd_from_micros(micros), submits)
            for at, (micros, submits) in zip(moments, found, strict=True)
        )

    def today(self, mode: Mode) -> SpendToday:
        """Today's figures, in the configured time zone."""
        rules, now = self._rules(), self._clock()
        since = now.astimezone(ZoneInfo(rules.timezone)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        with self._store.read() as tx:
            in_force = limits.in_force(tx, book_of(mode), rules.limits, now)
            uses = ledger.uses(tx, mode, in_force, now, rules.timezone)
            # a limit that nothing reaches: what is read is the use
            all_ = ledger.uses(tx, mode, [Limit(Window.DAY, Unit.USD, 0)], now, rules.timezone)[0]
            credits_ = ledger.credits_of_day(tx, mode, now, rules.timezone)
        return SpendToday(
            mode,
            since,
            usd_from_micros(all_.reserved),
            usd_from_micros(all_.settled),
            credits_,
            uses,
        )
