"""Downstreams and what is handed to them: an outbox, written with the change that it tells about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, update
from sqlmodel import col, select

from core.errors import NotFound
from core.store.engine import Transaction
from core.store.tables import DownstreamRow, HandoffRow, HandoffTryRow

__all__ = [
    "EVENT_TYPES",
    "Downstream",
    "Handoff",
    "HandoffTry",
    "active",
    "add",
    "add_downstream",
    "bring_forward",
    "claim_due",
    "disable",
    "downstream",
    "downstreams",
    "due_downstreams",
    "handoff",
    "newest_generation",
    "newest_of_message",
    "of_job",
    "record_try",
    "tries",
    "update_downstream",
]

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
PARSED = "job.parsed"
"""The ``event_type`` of an event about a result."""
EVENT_TYPES = (PARSED, "job.failed_parse")
"""Every one that there is."""


@dataclass(frozen=True, slots=True)
class Downstream:
    """Who is told of finished jobs; ``url`` and ``secret`` as they are stored, sealed (see ``core.store.seal``)."""

    id: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    actor: str
    created_at: datetime
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str = ""


@dataclass(frozen=True, slots=True)
class Handoff:
    """One event for one downstream. ``status`` is ``pending``, ``delivered`` or ``failed``.

    Whoever sends it has it ``leased_until`` then; who died over it loses it.
    """

    id: str
    message_id: str
    downstream_id: str
    job_id: str
    generation: int
    event_type: str
    body: bytes
    status: str
    created_at: datetime
    next_at: datetime | None
    tries: int = 0
    finished_at: datetime | None = None
    actor: str = ""
    leased_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class HandoffTry:
    """One request and its answer."""

    number: int
    at: datetime
    status: int | None
    answer: str
    error: str
    took_ms: float


def add_downstream(tx: Transaction, new: Downstream) -> None:
    """Have it told from now on."""
    tx.add(DownstreamRow(**{name: getattr(new, name) for name in Downstream.__slots__}))
    tx.flush()


def downstreams(tx: Transaction) -> tuple[Downstream, ...]:
    """All of them, disabled ones too, oldest first."""
    rows = tx.exec(select(DownstreamRow).order_by(col(DownstreamRow.created_at)))
    return tuple(_downstream(row) for row in rows)


def active(tx: Transaction) -> tuple[Downstream, ...]:
    """Those that are told."""
    return tuple(d for d in downstreams(tx) if d.disabled_at is None)


def downstream(tx: Transaction, downstream_id: str) -> Downstream:
    """One of them. Raises ``NotFound``."""
    row = tx.get(DownstreamRow, downstream_id)
    if row is None:
        raise NotFound("downstream", downstream_id)
    return _downstream(row)


def update_downstream(tx: Transaction, downstream_id: str, **facts: object) -> None:
    """Change what is known of it."""
    row = tx.get(DownstreamRow, downstream_id)
    if row is None:
        raise NotFound("downstream", downstream_id)
    for name, value in facts.items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()


def disable(tx: Transaction, downstream_id: str, reason: str, now: datetime) -> None:
    """Tell it no more; what waits for its next try is due now, and is given up. Raises ``NotFound``."""
    update_downstream(tx, downstream_id, disabled_at=now, disabled_reason=reason)
    _bring_forward(tx, col(HandoffRow.downstream_id) == downstream_id, now)


def add(tx: Transaction, new: Sequence[Handoff]) -> None:
    """Put events into the outbox."""
    tx.add_all(HandoffRow(**{n: getattr(one, n) for n in Handoff.__slots__}) for one in new)
    tx.flush()


def due_downstreams(tx: Transaction, now: datetime) -> tuple[str, ...]:
    """For whom there is something to be sent now."""
    query = select(HandoffRow.downstream_id).where(*_due(now)).distinct()
    return tuple(tx.exec(query))


def claim_due(
    tx: Transaction, downstream_id: str, now: datetime, lease: timedelta, *, limit: int = 20
) -> tuple[Handoff, ...]:
    """What is to be sent to one of them now; nobody else gets it until the lease has run out."""
    query = (
        select(HandoffRow)
        .where(HandoffRow.downstream_id == downstream_id, *_due(now))
        .order_by(col(HandoffRow.next_at))
        .limit(limit)
    )
    if tx.get_bind().dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    rows = list(tx.exec(query))
    for row in rows:
        row.next_at = row.leased_until = now + lease
        tx.add(row)
    tx.flush()
    return tuple(_handoff(row) for row in rows)


def record_try(  # noqa: PLR0913 - what was tried and what follows
    tx: Transaction,
    handoff_id: str,
    tried: HandoffTry,
    *,
    status: str,
    next_at: datetime | None,
    at: datetime,
) -> bool:
    """Write down one request; False when the event was finished by somebody else meanwhile."""
    changed = tx.execute(
        update(HandoffRow)
        .where(col(HandoffRow.id) == handoff_id, col(HandoffRow.status) == PENDING)
        .values(
            status=status,
            next_at=next_at,
            leased_until=None,
            tries=tried.number,
            finished_at=None if status == PENDING else at,
        )
        .execution_options(synchronize_session=False)
    )
    facts = {name: getattr(tried, name) for name in HandoffTry.__slots__}
    tx.add(HandoffTryRow(handoff_id=handoff_id, **facts))
    tx.flush()
    tx.expire_all()
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def handoff(tx: Transaction, handoff_id: str) -> Handoff:
    """One event. Raises ``NotFound``."""
    row = tx.get(HandoffRow, handoff_id)
    if row is None:
        raise NotFound("hand-off", handoff_id)
    return _handoff(row)


def of_job(tx: Transaction, job_id: str, generation: int) -> tuple[Handoff, ...]:
    """What is handed on about one run of a job."""
    query = select(HandoffRow).where(
        HandoffRow.job_id == job_id, HandoffRow.generation == generation
    )
    return tuple(_handoff(row) for row in tx.exec(query))


def newest_generation(tx: Transaction, job_id: str) -> int | None:
    """The newest run of a job whose result was handed on; None when none was."""
    newest = select(func.max(HandoffRow.generation)).where(
        HandoffRow.job_id == job_id, HandoffRow.event_type == PARSED
    )
    return tx.exec(newest).one()


def newest_of_message(tx: Transaction, one: Handoff) -> Handoff:
    """The hand-off with which this one's message was sent last; itself, if it never was again."""
    query = (
        select(HandoffRow)
        .where(HandoffRow.job_id == one.job_id, HandoffRow.message_id == one.message_id)
        .order_by(col(HandoffRow.created_at).desc(), col(HandoffRow.id).desc())
        .limit(1)
    )
    return _handoff(tx.exec(query).one())


def bring_forward(tx: Transaction, handoff_id: str, now: datetime) -> None:
    """Have what waits for its next try sent at once, unless it is due, or being sent, already."""
    _bring_forward(tx, col(HandoffRow.id) == handoff_id, now)


def _bring_forward(tx: Transaction, which: ColumnElement[bool], now: datetime) -> None:
    leased_until = col(HandoffRow.leased_until)
    tx.execute(
        update(HandoffRow)
        .where(
            which,
            col(HandoffRow.status) == PENDING,
            col(HandoffRow.next_at) > now,
            or_(leased_until.is_(None), leased_until <= now),
        )
        .values(next_at=now)
        .execution_options(synchronize_session=False)
    )
    tx.expire_all()


def tries(tx: Transaction, handoff_id: str) -> tuple[HandoffTry, ...]:
    """Every request for one event, in order."""
    query = (
        select(HandoffTryRow)
        .where(HandoffTryRow.handoff_id == handoff_id)
        .order_by(col(HandoffTryRow.id))
    )
    return tuple(
        HandoffTry(**{name: getattr(row, name) for name in HandoffTry.__slots__})
        for row in tx.exec(query)
    )


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return col(HandoffRow.status) == PENDING, col(HandoffRow.next_at) <= now


def _downstream(row: DownstreamRow) -> Downstream:
    return Downstream(**{name: getattr(row, name) for name in Downstream.__slots__})


def _handoff(row: HandoffRow) -> Handoff:
    return Handoff(**{name: getattr(row, name) for name in Handoff.__slots__})
