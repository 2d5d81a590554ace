"""Looking through deliveries: filters, pages that stay quick at any depth, counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, literal, not_, or_, select
from sqlalchemy.orm import Mapped
from sqlalchemy.types import LargeBinary
from sqlmodel import col

from core.store.deliveries import ACCEPTED, IS_PARKED, PARKED, state_of
from core.store.engine import Transaction
from core.store.paging import Cursor, rows_at
from core.store.tables import DeliveryRow, JobRow

__all__ = ["DeliveryFilter", "Line", "count_by_verdict", "event_types", "ids", "page"]


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a list shows; empty means all. ``verdicts`` may name ``parked``, ``job`` is our id or the vendor's.

    ``originals_only`` leaves replays out.
    """

    verdicts: frozenset[str] = frozenset()
    event_type: str = ""
    job: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    originals_only: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A delivery as a list shows it, without headers and body."""

    id: str
    verdict: str
    event_type: str
    event_id: str
    vendor_job_id: str
    job_id: str | None
    document: str | None
    scope: str
    reason: str
    outcome: str
    received_at: datetime
    applied_at: datetime | None
    duration_ms: float
    body_size: int
    replay_of: str

    @property
    def state(self) -> str:
        """The verdict as it is told."""
        return state_of(self.verdict, self.job_id, self.applied_at)


_COLUMNS = [
    col(JobRow.name) if name == "document" else getattr(DeliveryRow, name)
    for name in Line.__slots__
]


def page(
    tx: Transaction, which: DeliveryFilter, *, at: Cursor | None = None, limit: int = 50
) -> tuple[Line, ...]:
    """The deliveries next to a place in the list, newest first; from its top without one."""
    query = (
        select(*_COLUMNS)
        .outerjoin(JobRow, col(JobRow.id) == col(DeliveryRow.job_id))
        .where(*_conditions(tx, which))
    )
    rows = rows_at(tx, query, col(DeliveryRow.received_at), col(DeliveryRow.id), at, limit)
    return tuple(Line(*row) for row in rows)


def ids(tx: Transaction, which: DeliveryFilter, *, limit: int | None = None) -> tuple[str, ...]:
    """Ids of the deliveries that fit, oldest first."""
    query = (
        select(col(DeliveryRow.id))
        .where(*_conditions(tx, which))
        .order_by(col(DeliveryRow.received_at), col(DeliveryRow.id))
        .limit(limit)
    )
    return tuple(tx.execute(query).scalars())


def count_by_verdict(
    tx: Transaction, since: datetime, until: datetime | None = None
) -> dict[str, int]:
    """How many deliveries got which verdict since then, and before ``until``; parked ones apart."""
    # verdict by verdict, each a part of one index: grouped, SQLite would go through all there ever were
    found = {}
    for verdict in _distinct(tx, col(DeliveryRow.verdict)):
        query = select(func.count()).where(
            col(DeliveryRow.verdict) == verdict, col(DeliveryRow.received_at) >= since
        )
        if until is not None:
            query = query.where(col(DeliveryRow.received_at) < until)
        found[verdict] = int(tx.execute(query).scalar_one())
    if found.get(ACCEPTED):
        query = select(func.count()).where(IS_PARKED, col(DeliveryRow.received_at) >= since)
        if until is not None:
            query = query.where(col(DeliveryRow.received_at) < until)
        found[PARKED] = int(tx.execute(query).scalar_one())
        found[ACCEPTED] -= found[PARKED]
    return {verdict: count for verdict, count in found.items() if count}


def event_types(tx: Transaction) -> Sequence[str]:
    """Every event type that was ever received."""
    return [name for name in _distinct(tx, col(DeliveryRow.event_type)) if name]


def _distinct(tx: Transaction, column: Mapped[str]) -> Sequence[str]:
    """The values of an indexed column, however many rows each has: hops from one to the next."""
    found: list[str] = []
    while len(found) < _MOST:
        query = select(func.min(column))
        if found:
            query = query.where(column > found[-1])
        following = tx.execute(query).scalar()
        if following is None:
            break
        found.append(following)
    return found


_MOST = 500


def _has_verdict(verdicts: frozenset[str]) -> ColumnElement[bool]:
    """Any of these, where ``parked`` is a verdict of its own and ``accepted`` is without it."""
    has = col(DeliveryRow.verdict).in_(sorted(verdicts - {PARKED}))
    if ACCEPTED in verdicts and PARKED not in verdicts:
        return and_(has, not_(IS_PARKED))
    if PARKED not in verdicts or ACCEPTED in verdicts:
        return has
    return or_(has, IS_PARKED) if verdicts - {PARKED} else IS_PARKED


def _conditions(tx: Transaction, which: DeliveryFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if which.verdicts:
        where.append(_has_verdict(which.verdicts))
    if which.event_type:
        where.append(col(DeliveryRow.event_type) == which.event_type)
    if which.job:
        job = col(DeliveryRow.job_id) == which.job
        where.append(or_(job, col(DeliveryRow.vendor_job_id) == which.job))
    if which.since is not None:
        where.append(col(DeliveryRow.received_at) >= which.since)
    if which.until is not None:
        where.append(col(DeliveryRow.received_at) <= which.until)
    if which.originals_only:
        where.append(col(DeliveryRow.replay_of) == "")
    if which.text:
        needle = literal(which.text.encode("utf-8", "replace"), LargeBinary)
        is_postgres = tx.get_bind().dialect.name == "postgresql"
        find = func.pg_catalog.position if is_postgres else func.instr
        where.append(find(col(DeliveryRow.body), needle) > 0)
    return where
