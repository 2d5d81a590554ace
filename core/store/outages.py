"""What an engine that could not be used cost: stand-ins that were parsed again, and those that wait for it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import distinct, func
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from core.domain.documents import EngineName, parse_page_ranges
from core.domain.jobs import AttemptStatus
from core.domain.money import Tier
from core.store.engine import Transaction
from core.store.tables import AttemptRow, JobRow, LedgerRow

__all__ = ["Replaced", "replaced", "stand_ins"]

_MOST = 5000


@dataclass(frozen=True, slots=True)
class Replaced:
    """How many documents' stand-ins were parsed again by LlamaParse, and what that was billed."""

    jobs: int
    micros: int


def replaced(tx: Transaction, since: datetime) -> Replaced:
    """Stand-ins that were replaced since then."""
    stood_in = aliased(AttemptRow)
    had_stand_ins = (
        select(stood_in.id)
        .where(
            stood_in.job_id == AttemptRow.job_id,
            col(stood_in.is_provisional).is_(True),
            stood_in.status == AttemptStatus.DONE,
            col(stood_in.generation) < col(AttemptRow.generation),
        )
        .exists()
    )
    query = (
        select(
            func.count(distinct(col(AttemptRow.job_id))),
            func.coalesce(func.sum(col(LedgerRow.settled_micros)), 0),
        )
        .join(LedgerRow, col(LedgerRow.attempt_id) == col(AttemptRow.id))
        .where(
            AttemptRow.engine == EngineName.LLAMAPARSE,
            AttemptRow.status == AttemptStatus.DONE,
            col(LedgerRow.at) >= since,
            had_stand_ins,
        )
    )
    jobs, micros = tx.exec(query).one()
    return Replaced(jobs, int(micros))


def stand_ins(tx: Transaction) -> Mapping[Tier, int]:
    """Pages that were stood in for in documents that still have stand-ins, by the tier meant for them.

    A page that was replaced while others of its document were not is counted too; at most so many
    attempts are looked at, the newest.
    """
    query = (
        select(AttemptRow.job_id, AttemptRow.tier, AttemptRow.target_pages, JobRow.page_count)
        .join(JobRow, col(JobRow.id) == col(AttemptRow.job_id))
        .where(
            col(JobRow.is_provisional).is_(True),
            col(JobRow.result_blob) != "",
            col(AttemptRow.is_provisional).is_(True),
            AttemptRow.status == AttemptStatus.DONE,
        )
        .order_by(col(AttemptRow.created_at).desc())
        .limit(_MOST)
    )
    tiers: dict[tuple[str, int], Tier] = {}
    for job_id, tier, pages, count in tx.exec(query):
        for number in parse_page_ranges(pages) if pages else range(1, (count or 0) + 1):
            tiers.setdefault((job_id, number), Tier(tier))
    return Counter(tiers.values())
