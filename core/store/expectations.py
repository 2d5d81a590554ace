"""Events that should have come: each submit with a webhook expects one, after about the time of its tier."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, exists, func, literal, select
from sqlalchemy.types import LargeBinary
from sqlmodel import col

from core.store.deliveries import ACCEPTED, ANSWERED_OK
from core.store.engine import Transaction
from core.store.tables import AttemptRow, DeliveryRow, JobRow

__all__ = ["Expected", "Refusal", "refusals", "unheard", "usual_wait"]

_HISTORY = 200
_ENOUGH = 5
_BEFORE_HISTORY = timedelta(minutes=2)
_LEAST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Expected:
    """An attempt whose webhook was set up, and of which no accepted event tells."""

    attempt_id: str
    vendor_job_id: str
    job_id: str
    document: str
    workflow_id: str
    mode: str
    tier: str
    status: str
    submitted_at: datetime
    finished_at: datetime | None
    credits: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused delivery that came while an event was expected."""

    id: str
    verdict: str
    names_the_job: bool


def unheard(tx: Transaction, since: datetime, *, limit: int = 200) -> tuple[Expected, ...]:
    """Attempts submitted since then that expect an event and had none, newest first."""
    told = exists().where(
        col(DeliveryRow.vendor_job_id) == col(AttemptRow.vendor_job_id),
        col(DeliveryRow.verdict) == ACCEPTED,
        col(DeliveryRow.scope) != "test",
        col(DeliveryRow.replay_of) == "",
    )
    query = (
        select(
            col(AttemptRow.id),
            col(AttemptRow.vendor_job_id),
            col(JobRow.id),
            col(JobRow.name),
            col(JobRow.workflow_id),
            col(JobRow.mode),
            col(AttemptRow.tier),
            col(AttemptRow.status),
            col(AttemptRow.submitted_at),
            col(AttemptRow.finished_at),
            col(AttemptRow.reported_credits),
        )
        .join(JobRow, col(JobRow.id) == col(AttemptRow.job_id))
        .where(
            col(AttemptRow.webhook_expected).is_(True),
            col(AttemptRow.submitted_at) >= since,
            ~told,
        )
        .order_by(col(AttemptRow.submitted_at).desc())
        .limit(limit)
    )
    return tuple(Expected(*row) for row in tx.execute(query))


def usual_wait(tx: Transaction, mode: str, tier: str) -> timedelta:
    """From submit to event, as nearly all of this tier's newest took; two minutes while few are known."""
    newest = (
        select(col(AttemptRow.id), col(AttemptRow.submitted_at))
        .join(JobRow, col(JobRow.id) == col(AttemptRow.job_id))
        .where(
            col(AttemptRow.submitted_at).is_not(None),
            col(AttemptRow.tier) == tier,
            col(JobRow.mode) == mode,
            exists().where(col(DeliveryRow.attempt_id) == col(AttemptRow.id)),
        )
        .order_by(col(AttemptRow.submitted_at).desc())
        .limit(_HISTORY)
        .subquery()
    )
    query = select(
        newest.c.id,
        newest.c.submitted_at,
        col(DeliveryRow.received_at),
        col(DeliveryRow.verdict),
        col(DeliveryRow.replay_of),
    ).join(newest, col(DeliveryRow.attempt_id) == newest.c.id)
    # judged here: asked about the verdict the database begins with all deliveries that were accepted
    heard: dict[str, timedelta] = {}
    for attempt_id, sent, received, verdict, replay_of in tx.execute(query):
        if verdict == ACCEPTED and not replay_of:
            heard[attempt_id] = min(received - sent, heard.get(attempt_id, received - sent))
    waits = sorted(heard.values())
    if len(waits) < _ENOUGH:
        return _BEFORE_HISTORY
    return max(_LEAST, waits[int(len(waits) * 0.95)] * 2)


def refusals(
    tx: Transaction, vendor_job_id: str, since: datetime, until: datetime, *, limit: int = 20
) -> tuple[Refusal, ...]:
    """Refused deliveries of that time, and whether their bytes name the job; what tells the most first."""
    needle = literal(vendor_job_id.encode(), LargeBinary)
    is_postgres = tx.get_bind().dialect.name == "postgresql"
    find = func.pg_catalog.position if is_postgres else func.instr
    names_the_job = find(col(DeliveryRow.body), needle) > 0
    query = (
        select(col(DeliveryRow.id), col(DeliveryRow.verdict), names_the_job)
        .where(
            col(DeliveryRow.verdict).not_in(sorted(ANSWERED_OK)),
            col(DeliveryRow.received_at) >= since,
            col(DeliveryRow.received_at) <= until,
        )
        .order_by(
            case((names_the_job, 0), (col(DeliveryRow.verdict) == "too_large", 1), else_=2),
            col(DeliveryRow.received_at),
        )
        .limit(limit)
    )
    return tuple(Refusal(str(i), str(v), bool(n)) for i, v, n in tx.execute(query))
