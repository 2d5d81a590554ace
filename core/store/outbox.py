"""Looking through what was handed on: filters, pages, counts, and what nobody took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from core.store.engine import Transaction
from core.store.handoffs import FAILED
from core.store.paging import Cursor, rows_at
from core.store.tables import DownstreamRow, HandoffRow, HandoffTryRow, JobRow

__all__ = ["HandoffFilter", "Line", "count_by_status", "page", "untaken"]


@dataclass(frozen=True, slots=True)
class HandoffFilter:
    """Which hand-offs a list shows; empty means all. ``job`` is its id."""

    statuses: frozenset[str] = frozenset()
    downstream_id: str = ""
    event_type: str = ""
    job: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A hand-off as a list shows it, without its body; ``answer`` and ``error`` are of its last request."""

    id: str
    message_id: str
    status: str
    event_type: str
    downstream_id: str
    job_id: str
    document: str | None
    created_at: datetime
    next_at: datetime | None
    leased_until: datetime | None
    finished_at: datetime | None
    tries: int
    actor: str
    answer: int | None
    error: str | None


_ELSEWHERE = {
    "document": col(JobRow.name),
    "answer": col(HandoffTryRow.status),
    "error": col(HandoffTryRow.error),
}
_COLUMNS = [
    _ELSEWHERE[name] if name in _ELSEWHERE else getattr(HandoffRow, name) for name in Line.__slots__
]


def page(
    tx: Transaction, which: HandoffFilter, *, at: Cursor | None = None, limit: int = 50
) -> tuple[Line, ...]:
    """The hand-offs next to a place in the list, newest first; from its top without one."""
    last = and_(
        col(HandoffTryRow.handoff_id) == col(HandoffRow.id),
        col(HandoffTryRow.number) == col(HandoffRow.tries),
    )
    query = (
        select(*_COLUMNS)
        .outerjoin(JobRow, col(JobRow.id) == col(HandoffRow.job_id))
        .outerjoin(HandoffTryRow, last)
        .where(*_conditions(which), *_status(which))
    )
    rows = rows_at(tx, query, col(HandoffRow.created_at), col(HandoffRow.id), at, limit)
    return tuple(Line(*row) for row in rows)


def count_by_status(tx: Transaction, which: HandoffFilter) -> dict[str, int]:
    """How many fit, by status; of the filter all but the statuses counts."""
    query = (
        select(col(HandoffRow.status), func.count())
        .where(*_conditions(which))
        .group_by(col(HandoffRow.status))
    )
    return {str(status): int(count) for status, count in tx.execute(query)}


def untaken(
    tx: Transaction, which: HandoffFilter, *, limit: int, among: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Ids of failed hand-offs that fit, oldest first: whose message is not on its way or taken by now.

    Those to a downstream that is disabled are left out. With ``among`` only of these.
    """
    other = aliased(HandoffRow)
    is_sent_again = exists().where(
        col(other.job_id) == col(HandoffRow.job_id),
        col(other.message_id) == col(HandoffRow.message_id),
        col(other.id) != col(HandoffRow.id),
        or_(
            col(other.status) != FAILED,
            col(other.created_at) > col(HandoffRow.created_at),
        ),
    )
    query = (
        select(col(HandoffRow.id))
        .join(DownstreamRow, col(DownstreamRow.id) == col(HandoffRow.downstream_id))
        .where(
            *_conditions(which),
            col(HandoffRow.status) == FAILED,
            col(DownstreamRow.disabled_at).is_(None),
            ~is_sent_again,
            *([] if among is None else [col(HandoffRow.id).in_(among)]),
        )
        .order_by(col(HandoffRow.created_at), col(HandoffRow.id))
        .limit(limit)
    )
    return tuple(tx.execute(query).scalars())


def _status(which: HandoffFilter) -> list[ColumnElement[bool]]:
    return [col(HandoffRow.status).in_(sorted(which.statuses))] if which.statuses else []


def _conditions(which: HandoffFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if which.downstream_id:
        where.append(col(HandoffRow.downstream_id) == which.downstream_id)
    if which.event_type:
        where.append(col(HandoffRow.event_type) == which.event_type)
    if which.job:
        where.append(col(HandoffRow.job_id) == which.job)
    if which.since is not None:
        where.append(col(HandoffRow.created_at) >= which.since)
    return where
