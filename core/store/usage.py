"""What the vendor's usage metrics say, beside what was estimated and what each job reported."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time

from sqlalchemy import func, select
from sqlmodel import col

from core.domain.jobs import AttemptStatus
from core.store.engine import Transaction
from core.store.ledger import NEVER_BILLED
from core.store.tables import AttemptRow, LedgerRow, UsageRow

__all__ = ["DayOfUsage", "Owner", "UsageRecord", "by_day", "credits_of", "keep", "new", "owners"]


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One record of the vendor's usage metrics (fact sheet, section 1.5); ``day`` is in UTC."""

    id: str
    day: date
    vendor_job_id: str
    event_type: str
    pages: int
    credits: int


@dataclass(frozen=True, slots=True)
class DayOfUsage:
    """Credits of one day: estimated, reported by the jobs, billed for them, and billed for others.

    Of what is billed, ``unreported`` is for jobs that never said themselves what they cost. ``assumed``
    was reserved that day, never billed, and is taken as quoted.
    """

    day: date
    estimated: int
    reported: int
    billed: int
    outside: int
    unreported: int = 0
    assumed: int = 0

    @property
    def apart(self) -> int:
        """By how much the bills of the jobs that reported differ from their reports."""
        return abs(self.billed - self.unreported - self.reported)


@dataclass(frozen=True, slots=True)
class Owner:
    """The attempt that a vendor job belongs to."""

    attempt_id: str
    job_id: str
    status: AttemptStatus


def new(tx: Transaction, records: Sequence[UsageRecord]) -> tuple[UsageRecord, ...]:
    """Those that are not stored yet, or are with other credits."""
    if not records:
        return ()
    days = [record.day for record in records]
    query = select(col(UsageRow.id), col(UsageRow.credits)).where(
        col(UsageRow.day) >= min(days), col(UsageRow.day) <= max(days)
    )
    known = {row.id: row.credits for row in tx.execute(query)}
    return tuple(record for record in records if known.get(record.id) != record.credits)


def keep(tx: Transaction, records: Sequence[UsageRecord], at: datetime) -> tuple[str, ...]:
    """Store records, each once by its id; the vendor job ids that they are about."""
    for record in records:
        tx.merge(
            UsageRow(
                id=record.id,
                day=record.day,
                vendor_job_id=record.vendor_job_id,
                event_type=record.event_type,
                pages=record.pages,
                credits=record.credits,
                recorded_at=at,
            )
        )
    tx.flush()
    return tuple(dict.fromkeys(record.vendor_job_id for record in records))


def credits_of(tx: Transaction, vendor_job_id: str) -> int:
    """All credits that the metrics say for a vendor job."""
    query = select(func.sum(col(UsageRow.credits))).where(
        col(UsageRow.vendor_job_id) == vendor_job_id
    )
    return int(tx.execute(query).scalar() or 0)


def owners(tx: Transaction, vendor_job_ids: Iterable[str]) -> dict[str, Owner]:
    """Whose each vendor job is; usage outside Parsedeck has no owner."""
    columns = (AttemptRow.vendor_job_id, AttemptRow.id, AttemptRow.job_id, AttemptRow.status)
    query = select(*map(col, columns)).where(
        col(AttemptRow.vendor_job_id).in_(sorted(set(vendor_job_ids)))
    )
    return {
        vendor_id: Owner(attempt_id, job_id, AttemptStatus(status))
        for vendor_id, attempt_id, job_id, status in tx.execute(query)
    }


def by_day(tx: Transaction, since: date) -> tuple[DayOfUsage, ...]:
    """Each day with usage, newest first; estimates and reports of exactly the jobs that it names.

    Days are in UTC, but for what is ``assumed``: nobody but us knows of that.
    """
    own = (
        select(
            col(UsageRow.day).label("day"),
            col(UsageRow.vendor_job_id).label("vendor_job_id"),
            func.sum(col(UsageRow.credits)).label("credits"),
        )
        .where(col(UsageRow.day) >= since)
        .group_by(col(UsageRow.day), col(UsageRow.vendor_job_id))
        .subquery()
    )
    query = (
        select(
            own.c.day,
            own.c.credits,
            col(AttemptRow.reported_credits),
            col(LedgerRow.reserved_credits),
        )
        .outerjoin(AttemptRow, col(AttemptRow.vendor_job_id) == own.c.vendor_job_id)
        .outerjoin(
            LedgerRow,
            (col(LedgerRow.attempt_id) == col(AttemptRow.id)) & (col(LedgerRow.kind) == "reserve"),
        )
    )
    days: dict[date, Counter[str]] = {}
    for day, credits_, reported, estimated in tx.execute(query):
        sums = days.setdefault(day, Counter())
        if estimated is None:
            sums["outside"] += int(credits_)
            continue
        sums["billed"] += int(credits_)
        sums["estimated"] += estimated
        sums["reported"] += reported or 0
        sums["unreported"] += int(credits_) if reported is None else 0
    for day, credits_ in _assumed(tx, since):
        days.setdefault(day, Counter())["assumed"] += credits_
    names = [field.name for field in fields(DayOfUsage)[1:]]
    return tuple(
        DayOfUsage(day, *(sums[name] for name in names))
        for day, sums in sorted(days.items(), reverse=True)
    )


def _assumed(tx: Transaction, since: date) -> Iterator[tuple[date, int]]:
    """Credits taken as quoted by the day of their reservation, unless usage of them came after all."""
    query = (
        select(col(LedgerRow.day), func.sum(col(LedgerRow.settled_credits)))
        .join(AttemptRow, col(AttemptRow.id) == col(LedgerRow.attempt_id))
        .outerjoin(UsageRow, col(UsageRow.vendor_job_id) == col(AttemptRow.vendor_job_id))
        .where(
            col(LedgerRow.book) == "real",
            col(LedgerRow.kind) == "settle",
            col(LedgerRow.cause) == NEVER_BILLED,
            # what was reserved since then was settled since then, and that has an index
            col(LedgerRow.at) >= datetime.combine(since, time.min, tzinfo=UTC),
            col(UsageRow.id).is_(None),
        )
        .group_by(col(LedgerRow.day))
    )
    for day, credits_ in tx.execute(query):
        yield date.fromisoformat(day), int(credits_)
