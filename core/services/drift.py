"""Drift: what was estimated, what jobs reported, what was billed; and what follows when they part."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.clock import Clock
from core.domain.budgets import book_of
from core.domain.jobs import Actor
from core.domain.money import PriceBook
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.terms import FROZEN, Rules
from core.services.statements import PLAN
from core.store import Store, Transaction, alerts, jobs, ledger, prices, queue, usage
from core.store import settings as stored
from core.store.alerts import Alert
from core.store.settings import StoredSetting
from core.store.usage import DayOfUsage, UsageRecord

__all__ = ["Drift"]

_SHARE, _FREEZES, _ASKED = "drift_share", "drift_freezes", "usage_asked"
_SHARE_AT_FIRST = Decimal("0.05")
_SYSTEM = "system:drift"


class Drift:
    """Takes in usage metrics, corrects the ledger by them, and says how far they are apart."""

    def __init__(self, store: Store, rules: Callable[[], Rules], clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def take_in(self, records: Sequence[UsageRecord]) -> int:
        """Store the vendor's records; what they bill differently is adjusted. How many jobs that were.

        Records come again and again: each counts once, by its id. One of a job that is still under way
        is left for the next time: what it will have cost in the end, nobody knows yet.
        """
        now = self._clock()
        with self._store.write() as tx:
            fresh = usage.new(tx, records)
            # before any book, as everybody does
            ids = {o.job_id for o in usage.owners(tx, (r.vendor_job_id for r in fresh)).values()}
            queue.lock_attempts(tx, sorted(ids))
            ledger.lock(tx, book_of(Mode.REAL))
            # looked at again now that nobody else can move them, or takes in the same
            fresh = usage.new(tx, fresh)
            owners = usage.owners(tx, (r.vendor_job_id for r in fresh))
            under_way = {i for i, owner in owners.items() if not owner.status.is_final}
            taken = usage.keep(tx, [r for r in fresh if r.vendor_job_id not in under_way], now)
            book = prices.book(tx)
            bills = [_bill(tx, i, owners[i], book, now) for i in taken if i in owners]
        self._judge()
        return sum(bills)

    def asked(self, problem: str) -> None:
        """Note that the vendor was asked for its usage just now, and why in vain if it was."""
        setting = StoredSetting(_ASKED, problem, _SYSTEM, self._clock())
        with self._store.write() as tx:
            stored.save(tx, setting)

    def last_asked(self) -> tuple[datetime, str] | None:
        """When the vendor was last asked, and why in vain (empty when it answered)."""
        with self._store.read() as tx:
            setting = stored.all_settings(tx).get(_ASKED)
        return None if setting is None else (setting.at, setting.value)

    def days(self, *, back: int = 31) -> tuple[DayOfUsage, ...]:
        """The days with usage, newest first."""
        with self._store.read() as tx:
            return usage.by_day(tx, self._clock().date() - timedelta(days=back))

    def settings(self) -> tuple[Decimal, bool, str]:
        """The share in percent that raises an alert, whether it freezes REAL, and the plan."""
        with self._store.read() as tx:
            found = {name: s.value for name, s in stored.all_settings(tx).items()}
        share = Decimal(found.get(_SHARE, str(_SHARE_AT_FIRST)))
        return share * 100, found.get(_FREEZES) == "yes", found.get(PLAN, "free")

    def frozen(self) -> str:
        """Why REAL is frozen; empty when it is not."""
        with self._store.read() as tx:
            setting = stored.all_settings(tx).get(FROZEN)
        return setting.value if setting is not None else ""

    def lift(self, actor: Actor, reason: str) -> None:
        """Let REAL go on. Raises ``NotAllowed`` without a reason."""
        if not reason.strip():
            raise NotAllowed("Lifting the freeze needs a reason.", "Say what was found.")
        now = self._clock()
        with self._store.write() as tx:
            stored.unset(tx, FROZEN)
            what = f"{actor} lets real work go on: {reason.strip()}."
            alerts.record(tx, Alert(f"lifted:{now.isoformat()}", "real", "drift", what, "", now))

    def set_share(self, percent: str, actor: Actor, *, freezes: bool) -> None:
        """The share of drift that raises an alert, and whether it freezes REAL."""
        try:
            share = Decimal(percent.strip().removesuffix("%")) / 100
        except ArithmeticError:
            raise NotAllowed(f"{percent!r} is not a number.", "Write it like 5.") from None
        if not share.is_finite() or not 0 < share <= 1:
            raise NotAllowed(f"{percent} % is no share.", "Stay above 0 and at or below 100.")
        self._store_settings({_SHARE: str(share), _FREEZES: "yes" if freezes else ""}, actor)

    def set_plan(self, plan: str, actor: Actor) -> None:
        """The plan that the statement reckons with."""
        if plan not in {"free", "starter", "pro", "enterprise"}:
            raise NotAllowed(f"There is no plan {plan!r}.", "Use free, starter, pro or enterprise.")
        self._store_settings({PLAN: plan}, actor)

    def _judge(self) -> None:
        """Alert, once a day of usage, when bills and reports are further apart than is set."""
        now = self._clock()
        with self._store.write() as tx:
            settings = stored.all_settings(tx)
            share = settings.get(_SHARE)
            most = Decimal(share.value) if share is not None else _SHARE_AT_FIRST
            for day in usage.by_day(tx, now.date() - timedelta(days=31)):
                if not day.reported or Decimal(day.apart) / day.reported <= most:
                    continue
                billed = day.billed - day.unreported
                what = (
                    f"On {day.day:%d %b} jobs reported {day.reported:,} credits and {billed:,} "
                    f"were billed for them: {day.apart / day.reported:.0%} apart."
                )
                freezes = settings.get(_FREEZES)
                does_freeze = freezes is not None and freezes.value == "yes"
                step = "Compare the receipts of that day with the vendor's usage page."
                if does_freeze:
                    step += " Real work is frozen until somebody lifts it on the Limits screen."
                alert = Alert(f"drift:{day.day}", "real", "drift", what, step, now)
                if alerts.record(tx, alert) and does_freeze:
                    stored.save(tx, StoredSetting(FROZEN, what, _SYSTEM, now))

    def _store_settings(self, values: dict[str, str], actor: Actor) -> None:
        with self._store.write() as tx:
            for name, value in values.items():
                stored.save(tx, StoredSetting(name, value, str(actor), self._clock()))


def _bill(
    tx: Transaction, vendor_job_id: str, owner: usage.Owner, book: PriceBook, now: datetime
) -> bool:
    """Bring the ledger to what the metrics say of one job; whether that changed something."""
    credits_ = usage.credits_of(tx, vendor_job_id)
    what = ledger.Bill(credits_, owner.status, was_sent=True, cause="by the usage metrics")
    entry = ledger.bill(tx, owner.attempt_id, what, book, now)
    if entry is None:
        return False
    billed = ledger.billed_credits(tx, entry.job_id)
    jobs.update_job(tx, entry.job_id, billed_credits=billed)
    return True
