"""Paid twice for the same: pages of a document that were paid at the same tier before."""

from sqlalchemy import select
from sqlmodel import col

from core.domain.documents import EngineName, parse_page_ranges
from core.store.engine import Transaction
from core.store.tables import AttemptRow, JobRow, LedgerRow

__all__ = ["was_paid_before"]


def was_paid_before(tx: Transaction, attempt_id: str, book: str) -> bool:
    """Whether some page of this attempt was paid already: same bytes, same tier, by another attempt.

    Asked when the bill is there, not before: of two that run at the same time one is the repeat, and
    what was served from the cache, failed or cost nothing is none.
    """
    mine = tx.get(AttemptRow, attempt_id)
    if mine is None:
        return False
    job = tx.get_one(JobRow, mine.job_id)
    query = (
        select(col(AttemptRow.target_pages))
        .join(JobRow, col(JobRow.id) == col(AttemptRow.job_id))
        .join(LedgerRow, col(LedgerRow.attempt_id) == col(AttemptRow.id))
        .where(
            col(JobRow.document_sha256) == job.document_sha256,
            col(AttemptRow.id) != attempt_id,
            col(AttemptRow.tier) == mine.tier,
            col(AttemptRow.engine) != EngineName.LOCAL,
            col(LedgerRow.book) == book,
            col(LedgerRow.kind) == "settle",
            col(LedgerRow.outcome).in_(["done", "repeat"]),
        )
    )
    return any(_overlap(mine.target_pages, pages) for pages in tx.execute(query).scalars())


def _overlap(one: str, other: str) -> bool:
    """Without numbers an attempt is about all pages."""
    if not one or not other:
        return True
    return not set(parse_page_ranges(one)).isdisjoint(parse_page_ranges(other))
