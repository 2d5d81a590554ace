"""Reservations without work that could use them up, and work without a reservation."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import col

from core.domain.documents import EngineName
from core.domain.jobs import UNKNOWN_OUTCOME, AttemptStatus
from core.store.engine import Transaction
from core.store.tables import AttemptRow, LedgerRow, OpenReservationRow

__all__ = ["Orphan", "forgotten", "unreserved"]

_PAID_FOR = (
    AttemptStatus.RESERVED,
    AttemptStatus.SUBMITTING,
    AttemptStatus.UNKNOWN,
    AttemptStatus.RUNNING,
    AttemptStatus.FETCHING,
)
_ENDED = frozenset({AttemptStatus.DONE, AttemptStatus.FAILED, AttemptStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Orphan:
    """An attempt whose reservation is not what its status asks for; empty status: no such attempt."""

    attempt_id: str
    job_id: str
    status: str
    was_sent: bool


def forgotten(tx: Transaction) -> tuple[Orphan, ...]:
    """Open reservations that nothing will ever settle.

    Their attempt ended and the service has no job of it, or it never got as far as being reserved.
    An attempt whose outcome stayed unknown keeps its reservation: the money may be gone.
    """
    query = (
        select(OpenReservationRow, LedgerRow, AttemptRow)
        .join(LedgerRow, col(LedgerRow.id) == col(OpenReservationRow.entry_id))
        .outerjoin(AttemptRow, col(AttemptRow.id) == col(OpenReservationRow.attempt_id))
    )
    return tuple(
        Orphan(
            opened.attempt_id,
            entry.job_id,
            attempt.status if attempt else "",
            was_sent=bool(attempt and attempt.submits),
        )
        for opened, entry, attempt in tx.execute(query)
        if attempt is None or _is_over(attempt)
    )


def unreserved(tx: Transaction) -> tuple[Orphan, ...]:
    """Attempts that may spend, or did, and never reserved."""
    reserved = select(col(LedgerRow.attempt_id)).where(
        col(LedgerRow.attempt_id) == col(AttemptRow.id), col(LedgerRow.kind) == "reserve"
    )
    query = select(AttemptRow).where(
        col(AttemptRow.status).in_([status.value for status in _PAID_FOR]),
        # what is made here spends nothing: a stand-in is opened without a reservation
        col(AttemptRow.engine) != EngineName.LOCAL,
        ~reserved.exists(),
    )
    return tuple(
        Orphan(row.id, row.job_id, row.status, was_sent=bool(row.submits))
        for row in tx.execute(query).scalars()
    )


def _is_over(attempt: AttemptRow) -> bool:
    if attempt.status == AttemptStatus.PLANNED:
        return True
    if attempt.status not in _ENDED or attempt.error_kind == UNKNOWN_OUTCOME:
        return False
    return attempt.vendor_job_id is None or attempt.engine == EngineName.LOCAL
