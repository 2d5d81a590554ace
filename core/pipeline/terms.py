"""What work is judged by: the limits, prices, calendar and holds that are in force."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from core.domain.budgets import Limit
from core.domain.documents import EngineName
from core.domain.jobs import Job
from core.domain.money import ANY, Price, Tier
from core.store import Transaction, documents, ledger, limits, prices, queue
from core.store import settings as stored

__all__ = ["FROZEN", "Rules", "Terms"]

FROZEN = "real_frozen"
"""The stored setting that holds all real work, with the reason as its value."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits before a person stored others, where a day begins, and whose prices hold.

    ``cost`` is what so many pages cost with an engine at a tier, in credits; it raises ``NotAllowed`` for
    an engine that is not installed.
    """

    limits: Sequence[Limit]
    timezone: str
    cost: Callable[[EngineName, Price, Tier, int], int]
    region: str = ANY
    plan: str = ANY

    def price(self, tx: Transaction, now: datetime) -> Price:
        """The prices of today. Raises ``PriceMissing``."""
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        return prices.book(tx).on(today, region=self.region, plan=self.plan)


class Terms:
    """What is in force within one transaction: each is read when it is first asked for, and once.

    One object judges all documents of a submission, so that what they are judged by does not cost a
    query for each, and does not change between two of them.
    """

    def __init__(self, tx: Transaction, rules: Rules, now: datetime) -> None:
        self.tx = tx
        self.rules = rules
        self.now = now
        self._limits: dict[str, tuple[Limit, ...]] = {}
        self._booked_on: dict[str, tuple[str, str]] = {}

    @cached_property
    def price(self) -> Price:
        """The prices of today. Raises ``PriceMissing``."""
        return self.rules.price(self.tx, self.now)

    def price_of(self, job: Job) -> Price:
        """The prices of today for this job's document. Raises ``PriceMissing``."""
        document = documents.find(self.tx, job.document_sha256)
        return self.price.of_sheets(has_sheets=document is not None and document.has_sheets)

    def locked_limits(self, book: str) -> tuple[Limit, ...]:
        """The limits of a book, to which from now on nobody else posts until the transaction ends.

        Read behind the lock: what was changed while it was waited for counts.
        """
        if book not in self._limits:
            ledger.lock(self.tx, book)
            self._limits[book] = limits.in_force(self.tx, book, self.rules.limits, self.now)
        return self._limits[book]

    @cached_property
    def frozen(self) -> str | None:
        """Why all real work is held; None when it is not."""
        setting = stored.all_settings(self.tx).get(FROZEN)
        return None if setting is None else setting.value

    def booked_on(self, submission_id: str) -> tuple[str, str]:
        """The team that a submission is booked on (empty when on none), and who made it."""
        if submission_id not in self._booked_on:
            self._booked_on[submission_id] = queue.booked_on(self.tx, submission_id)
        return self._booked_on[submission_id]
