"""What the vendor's usage metrics say, beside what was estimated and what each job reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlmodel import col

from core.store.engine import Transaction
from core.store.tables import AttemptRow, LedgerRow, UsageRow

__all__ = ["DayOfUsage", "UsageRecord", "by_day", "credits_of", "keep", "owner_of"]


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
    """Credits of one day: estimated, reported by the jobs, billed for them, and billed for others."""

    day: date
    estimated: int
    reported: int
    billed: int
    outside: int


def keep(tx: Transaction, records: Sequence[UsageRecord], at: datetime) -> tuple[str, ...]:
    """Store records, each once by its id; the vendor job ids whose credits are new or others now."""
    changed: dict[str, None] = {}
    for record in records:
        row = tx.get(UsageRow, record.id)
        if row is not None and row.credits == record.credits:
            continue
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
        changed[record.vendor_job_id] = None
    tx.flush()
    return tuple(changed)


def credits_of(tx: Transaction, vendor_job_id: str) -> int:
    """All credits that the metrics say for a vendor job."""
    query = select(func.sum(col(UsageRow.credits))).where(
        col(UsageRow.vendor_job_id) == vendor_job_id
    )
    return int(tx.execute(query).scalar() or 0)


def owner_of(tx: Transaction, vendor_job_id: str) -> tuple[str, str] | None:
    """The attempt that a vendor job belongs to, and its status; None for usage outside Parsedeck."""
    query = select(col(AttemptRow.id), col(AttemptRow.status)).where(
        col(AttemptRow.vendor_job_id) == vendor_job_id
    )
    row = tx.execute(query).first()
    return None if row is None else (row[0], row[1])


def by_day(tx: Transaction, since: date) -> tuple[DayOfUsage, ...]:
    """Each day with usage, newest first; estimates and reports of exactly the jobs that it names."""
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
    days: dict[date, list[int]] = {}
    for day, credits_, reported, estimated in tx.execute(query):
        sums = days.setdefault(day, [0, 0, 0, 0])
        is_ours = estimated is not None
        sums[0] += estimated or 0
        sums[1] += reported or 0
        sums[2 if is_ours else 3] += int(credits_)
    return tuple(DayOfUsage(day, *sums) for day, sums in sorted(days.items(), reverse=True))
