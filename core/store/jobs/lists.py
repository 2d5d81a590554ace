"""Which jobs there are: lists, counts and causes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, tuple_
from sqlmodel import col, select

from core.domain.documents import EngineName
from core.domain.jobs import Job, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.store.engine import Transaction
from core.store.jobs.reading import job_of
from core.store.tables import AttemptRow, JobRow

__all__ = [
    "Cause",
    "JobFilter",
    "causes",
    "count_by_status",
    "earlier_result",
    "jobs",
    "latest_runs",
    "oldest",
    "unfinished",
]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; empty means all."""

    statuses: frozenset[JobStatus] = frozenset()
    tiers: frozenset[Tier] = frozenset()
    modes: frozenset[Mode] = frozenset()
    text: str = ""
    submission_id: str = ""
    since: datetime | None = None
    finished_since: datetime | None = None
    engine: EngineName | None = None
    reason: str = ""
    is_provisional: bool = False
    ids: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a number of jobs failed, in the words a person was given."""

    reason: str
    next_step: str
    count: int


def jobs(
    tx: Transaction, which: JobFilter, *, limit: int = 50, offset: int = 0
) -> tuple[tuple[Job, ...], int]:
    """One page of jobs, newest first, and how many there are in all."""
    where = _conditions(which)
    total = tx.exec(select(func.count()).select_from(JobRow).where(*where)).one()
    query = (
        select(JobRow)
        .where(*where)
        .order_by(col(JobRow.created_at).desc(), col(JobRow.position))
        .limit(limit)
        .offset(offset)
    )
    return tuple(job_of(row) for row in tx.exec(query)), total


def oldest(
    tx: Transaction, which: JobFilter, *, after: Job | None = None, limit: int = 100
) -> tuple[Job, ...]:
    """The oldest jobs, or those that follow ``after``: page by page all of them, however many."""
    turn = tuple_(col(JobRow.created_at), col(JobRow.id))
    query = select(JobRow).where(*_conditions(which))
    if after is not None:
        query = query.where(turn > (after.created_at, after.id))
    query = query.order_by(col(JobRow.created_at), col(JobRow.id)).limit(limit)
    return tuple(job_of(row) for row in tx.exec(query))


def unfinished(
    tx: Transaction, statuses: Iterable[JobStatus], *, limit: int = 1000
) -> tuple[Job, ...]:
    """Jobs in one of these statuses, oldest first."""
    query = (
        select(JobRow)
        .where(col(JobRow.status).in_(list(statuses)))
        .order_by(col(JobRow.created_at))
        .limit(limit)
    )
    return tuple(job_of(row) for row in tx.exec(query))


def earlier_result(
    tx: Transaction, sha256: str, options_key: str, modes: Sequence[Mode]
) -> Job | None:
    """The newest finished job with the same bytes and options, and no stand-in in its result."""
    query = (
        select(JobRow)
        .where(
            JobRow.document_sha256 == sha256,
            JobRow.options_key == options_key,
            col(JobRow.mode).in_(list(modes)),
            col(JobRow.status).in_(_WITH_WHOLE_RESULT),
            col(JobRow.is_provisional).is_(False),
        )
        .order_by(col(JobRow.created_at).desc())
    )
    row = tx.exec(query).first()
    return None if row is None else job_of(row)


_WITH_WHOLE_RESULT = (JobStatus.COMPLETE, JobStatus.HANDING_OFF, JobStatus.FAILED_HANDOFF)


def count_by_status(tx: Transaction, which: JobFilter = JobFilter()) -> dict[JobStatus, int]:
    """How many jobs stand where."""
    query = (
        select(JobRow.status, func.count()).where(*_conditions(which)).group_by(col(JobRow.status))
    )
    return {JobStatus(status): count for status, count in tx.exec(query)}


def causes(tx: Transaction, statuses: Iterable[JobStatus], *, limit: int = 5) -> tuple[Cause, ...]:
    """Why jobs stand in these statuses, the most frequent cause first."""
    count = func.count()
    query = (
        select(JobRow.reason, JobRow.next_step, count)
        .where(col(JobRow.status).in_(list(statuses)))
        .group_by(col(JobRow.reason), col(JobRow.next_step))
        .order_by(count.desc(), col(JobRow.reason))
        .limit(limit)
    )
    return tuple(Cause(reason, step, number) for reason, step, number in tx.exec(query))


def latest_runs(
    tx: Transaction, mode: Mode, tier: Tier, *, limit: int = 50
) -> tuple[timedelta, ...]:
    """How long the newest complete jobs of this mode and tier took, from submit to result."""
    query = (
        select(JobRow.created_at, JobRow.finished_at)
        .where(
            JobRow.mode == mode,
            JobRow.tier == tier,
            JobRow.generation == 1,
            JobRow.status == JobStatus.COMPLETE,
        )
        .order_by(col(JobRow.created_at).desc())
        .limit(limit)
    )
    return tuple(ended - began for began, ended in tx.exec(query) if ended is not None)


def _conditions(which: JobFilter) -> list[ColumnElement[bool]]:
    one_of = (
        (JobRow.status, which.statuses),
        (JobRow.tier, which.tiers),
        (JobRow.mode, which.modes),
        (JobRow.id, which.ids),
    )
    where: list[ColumnElement[bool]] = [
        col(column).in_(sorted(values)) for column, values in one_of if values
    ]
    if which.submission_id:
        where.append(col(JobRow.submission_id) == which.submission_id)
    if which.is_provisional:
        where.append(col(JobRow.is_provisional).is_(True))
    if which.reason:
        where.append(col(JobRow.reason) == which.reason)
    if which.since is not None:
        where.append(col(JobRow.created_at) >= which.since)
    if which.finished_since is not None:
        where.append(col(JobRow.finished_at) >= which.finished_since)
    if which.engine is not None:
        used = select(AttemptRow.job_id).where(AttemptRow.engine == which.engine)
        where.append(col(JobRow.id).in_(used))
    if which.text:
        text = which.text
        where.append(or_(col(JobRow.name).icontains(text, autoescape=True), col(JobRow.id) == text))
    return where
