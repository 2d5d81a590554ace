"""What an unhealthy LlamaParse cost: paid without a result, paid twice, stand-ins and their replacement."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from core.clock import Clock
from core.domain.money import usd_from_micros
from core.errors import PriceMissing
from core.pipeline.terms import Rules
from core.store import Store, outages, rollups

__all__ = ["OutageCost", "OutageCosts"]

_DAYS = 7
_FOR_NOTHING = {"failed", "cancelled"}


@dataclass(frozen=True, slots=True)
class OutageCost:
    """Dollars of the last ``days`` days; real money only, for nothing simulated is ever stood in for.

    ``failed_usd`` was billed for attempts that brought no result, ``repeated_usd`` for documents parsed
    again with the same options. ``replaced_jobs`` had stand-ins that LlamaParse parsed again for
    ``replaced_usd``; ``waiting_pages`` still are stand-ins, and would take ``waiting_usd``, None where
    that has no price.
    """

    days: int
    failed_usd: Decimal
    repeated_usd: Decimal
    replaced_jobs: int
    replaced_usd: Decimal
    waiting_pages: int
    waiting_usd: Decimal | None


class OutageCosts:
    """Reads it from the ledger's roll-ups and the attempts."""

    def __init__(self, store: Store, rules: Callable[[], Rules], clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def lately(self) -> OutageCost:
        """The last seven days, today included."""
        now, rules = self._clock(), self._rules()
        midnight = now.astimezone(ZoneInfo(rules.timezone)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        since = midnight - timedelta(days=_DAYS - 1)
        window = (f"day:{since.date()}", f"day:{midnight.date()}")
        with self._store.read() as tx:
            sums = rollups.by_window(tx, "real", *window, "outcome")
            replaced = outages.replaced(tx, since)
            waiting = outages.stand_ins(tx)
            try:
                price = rules.price(tx, now)
                credits_ = sum(price.credits(tier, pages) for tier, pages in waiting.items())
                waiting_usd = price.usd(credits_)
            except PriceMissing:
                waiting_usd = None
        return OutageCost(
            days=_DAYS,
            failed_usd=_of(sums, _FOR_NOTHING),
            repeated_usd=_of(sums, {"repeat"}),
            replaced_jobs=replaced.jobs,
            replaced_usd=usd_from_micros(replaced.micros),
            waiting_pages=sum(waiting.values()),
            waiting_usd=waiting_usd,
        )


def _of(sums: tuple[rollups.Sums, ...], outcomes: set[str]) -> Decimal:
    return usd_from_micros(sum(s.settled_micros for s in sums if s.value in outcomes))
