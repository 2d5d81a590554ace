"""Jobs that wait for room under a limit or for LlamaParse, in their order, and what admission asks about a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlmodel import col

from core.domain.budgets import Ask, book_of, scopes_of
from core.domain.documents import EngineName
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.routing import Mode
from core.store.engine import Transaction
from core.store.tables import AttemptRow, JobRow, SubmissionRow

__all__ = [
    "WAITS_FOR_ROOM",
    "Waiting",
    "booked_on",
    "count_for_vendor",
    "for_vendor",
    "lock_attempts",
    "waiting",
]

WAITS_FOR_ROOM = "limit"
"""The ``hold`` of a job that starts by itself as soon as the limits allow it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job in the queue, and what it takes when it starts."""

    job_id: str
    name: str
    created_at: datetime
    position: int
    ask: Ask

    @property
    def turn(self) -> tuple[datetime, int]:
        """Its place: first come, first served; within a submission the order of the files."""
        return self.created_at, self.position


def waiting(
    tx: Transaction, book: str, *, before: tuple[datetime, int] | None = None
) -> tuple[Waiting, ...]:
    """The queue of a book in order; only the jobs ahead of a turn when it is given."""
    paid = and_(
        col(AttemptRow.job_id) == col(JobRow.id),
        col(AttemptRow.generation) == col(JobRow.generation),
        col(AttemptRow.engine) != EngineName.LOCAL,
        # what is reserved already is not taken once more
        col(AttemptRow.status) == AttemptStatus.PLANNED.value,
    )
    planned = func.coalesce(func.sum(col(AttemptRow.estimated_credits)), 0)
    query = (
        select(JobRow, col(SubmissionRow.team), func.count(col(AttemptRow.id)), planned)
        .join(SubmissionRow, col(SubmissionRow.id) == col(JobRow.submission_id))
        .outerjoin(AttemptRow, paid)
        .where(col(JobRow.status) == JobStatus.HELD, col(JobRow.hold) == WAITS_FOR_ROOM)
        .group_by(col(JobRow.id), col(SubmissionRow.team))
        .order_by(col(JobRow.created_at), col(JobRow.position))
    )
    if before is not None:
        query = query.where(col(JobRow.created_at) <= before[0])
    found = [
        Waiting(
            job.id,
            job.name,
            job.created_at,
            job.position,
            Ask(_micros(job, credits_), submits, scopes_of(EngineName.LLAMAPARSE, team)),
        )
        for job, team, submits, credits_ in tx.execute(query)
        if book_of(job.mode) == book
    ]
    return tuple(w for w in found if before is None or w.turn < before)


_FOR_VENDOR = (
    col(JobRow.status) == JobStatus.HELD,
    col(JobRow.hold) == "vendor",
    # a simulated job waits for a person, and takes nobody's place
    col(JobRow.mode) != Mode.MOCK,
)


def for_vendor(tx: Transaction, limit: int) -> tuple[str, ...]:
    """The jobs that wait until LlamaParse can be used, by their ids, first come first; at most so many."""
    query = select(col(JobRow.id)).where(*_FOR_VENDOR)
    query = query.order_by(col(JobRow.created_at), col(JobRow.position)).limit(limit)
    return tuple(tx.execute(query).scalars())


def count_for_vendor(tx: Transaction) -> int:
    """How many those are in all."""
    count: int = tx.execute(select(func.count()).where(*_FOR_VENDOR)).scalar_one()
    return count


def _micros(job: JobRow, credits_: int) -> int:
    """The part of the job's price that so many credits are: it was quoted for all its generations."""
    return job.estimated_micros * credits_ // job.estimated_credits if job.estimated_credits else 0


def lock_attempts(tx: Transaction, job_ids: Sequence[str]) -> None:
    """Let nobody else change the attempts of these jobs until the transaction ends.

    Everybody locks attempts before a book, in one order, so that no two wait for each other.
    """
    query = select(col(AttemptRow.id)).where(col(AttemptRow.job_id).in_(list(job_ids)))
    if tx.get_bind().dialect.name == "postgresql":
        tx.execute(query.order_by(col(AttemptRow.id)).with_for_update())


def booked_on(tx: Transaction, submission_id: str) -> tuple[str, str]:
    """The team that a submission is booked on (empty when on none), and who made it."""
    query = select(col(SubmissionRow.team), col(SubmissionRow.actor)).where(
        col(SubmissionRow.id) == submission_id
    )
    team, actor = tx.execute(query).one()
    return team, actor
