"""Webhook deliveries: what is on record of each, and applying them exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, literal_column
from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import AttemptRow, DeliveryRow

__all__ = [
    "ACCEPTED",
    "ANSWERED_OK",
    "DUPLICATE",
    "IS_PARKED",
    "KEPT_BYTES",
    "PARKED",
    "UNKNOWN_TYPE",
    "Delivery",
    "applicable",
    "apply",
    "delivery",
    "forget",
    "is_known",
    "is_waiting",
    "of_job",
    "recent",
    "state_of",
    "why_not_its_own",
]

ACCEPTED = "accepted"
UNKNOWN_TYPE = "unknown_type"
DUPLICATE = "duplicate"
PARKED = "parked"
"""What an accepted event is called while no job is known that it is about."""
ANSWERED_OK = frozenset({ACCEPTED, UNKNOWN_TYPE, DUPLICATE})
"""Verdicts that were answered 2xx; every other one is a refusal."""

KEPT_BYTES = 8192
"""Of the body of a refused delivery, enough for any event to be verified again, and of a repeat's, whose first
is kept whole."""

_NOT_WHOLE = frozenset({"too_large", "too_slow", "incomplete", "flood"})
"""Verdicts on what did not arrive to its end, or stands for deliveries that were not kept."""

_WAITS = and_(
    col(DeliveryRow.applied_at).is_(None),
    # word for word as the index of what waits says it, and no way for another index to answer it:
    # either database would begin with all deliveries that were ever accepted
    func.coalesce(col(DeliveryRow.verdict), literal_column("''")) == literal_column("'accepted'"),
)
"""An accepted event that is not applied yet: there are few, however many were applied already."""

_NOT_ITS_OWN = {
    "real": "signed with a secret for REAL, but the job is simulated: changes nothing",
    "mock": "signed with the secret of MOCK: a real job never changes by it",
    "test": "signed for tests: a real job never changes by it",
}


IS_PARKED = and_(_WAITS, col(DeliveryRow.job_id).is_(None))
"""The same as ``PARKED``, for queries."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as it came in, its verdict, and what came of it.

    ``scope`` is ``real``, ``mock`` or ``test``, by the secret that signed it. ``steps`` are
    (name, whether it held, what was found, milliseconds). ``signature`` is what a refused delivery
    presented, kept for looking into it and for verifying it again; it is shown nowhere.
    ``applied_at`` is None while the event waits for its vendor id (parked) or for the pipeline.
    ``replay_of`` names the delivery that ``actor`` sent again.
    """

    id: str
    event_id: str
    event_type: str
    vendor_job_id: str
    scope: str
    verdict: str
    reason: str
    secret_label: str
    headers: dict[str, Any]
    body: bytes
    body_size: int
    received_at: datetime
    duration_ms: float
    event_at: datetime | None
    applied_at: datetime | None = None
    outcome: str = ""
    attempt_id: str | None = None
    job_id: str | None = None
    secret_fingerprint: str = ""
    signature: str = field(default="", repr=False)
    steps: list[list[Any]] = field(default_factory=list)
    attempt_before: str = ""
    replay_of: str = ""
    actor: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether the sender was told no."""
        return self.verdict not in ANSWERED_OK

    @property
    def is_whole(self) -> bool:
        """Whether all bytes that the sender sent are on record."""
        return self.verdict not in _NOT_WHOLE and len(self.body) == self.body_size

    @property
    def state(self) -> str:
        """The verdict as it is told."""
        return state_of(self.verdict, self.job_id, self.applied_at)

    @property
    def marks(self) -> str:
        """What the timeline adds about where it came from: a test, a replay and by whom."""
        parts = ["test"] if self.scope == "test" else []
        parts += [f"replay by {self.actor}"] if self.replay_of else []
        return f" ({', '.join(parts)})" if parts else ""

    @property
    def presented(self) -> tuple[tuple[str, str], ...]:
        """Name and value of each signature that a refused delivery carried."""
        lines = (line.partition(": ") for line in self.signature.splitlines())
        return tuple((name, value) for name, _, value in lines if name)


def state_of(verdict: str, job_id: str | None, applied_at: datetime | None) -> str:
    """The verdict as it is told: what was accepted is parked while its job is not known."""
    is_parked = verdict == ACCEPTED and job_id is None and applied_at is None
    return PARKED if is_parked else verdict


def applicable(tx: Transaction, *, limit: int = 500) -> tuple[Delivery, ...]:
    """Accepted events that are not applied yet and whose vendor job is known, oldest first."""
    query = (
        select(DeliveryRow)
        .join(AttemptRow, col(AttemptRow.vendor_job_id) == col(DeliveryRow.vendor_job_id))
        .where(_WAITS)
        .order_by(col(DeliveryRow.received_at))
        .limit(limit)
    )
    return tuple(_delivery(row) for row in tx.exec(query))


def is_waiting(tx: Transaction, vendor_job_id: str) -> bool:
    """Whether an accepted event of this vendor job is not applied yet."""
    query = select(DeliveryRow.id).where(
        DeliveryRow.vendor_job_id == vendor_job_id,
        _WAITS,
    )
    return tx.exec(query).first() is not None


def why_not_its_own(scope: str, mode: str) -> str:
    """Why an event signed so changes nothing about a job of this mode; empty when it may."""
    return "" if (scope == "real") == (mode != "mock") else _NOT_ITS_OWN[scope]


def apply(  # noqa: PLR0913 - to whom, with what outcome, when
    tx: Transaction,
    vendor_job_id: str,
    scope: str,
    *,
    job_id: str,
    attempt_id: str,
    outcome: str,
    at: datetime,
) -> tuple[Delivery, ...]:
    """Mark all waiting events of a vendor job as applied and return them; each comes back once, ever.

    Events signed for tests count for simulated jobs only.
    """
    scopes = {"mock", "test"} if scope == "mock" else {scope}
    query = (
        select(DeliveryRow)
        .where(
            DeliveryRow.vendor_job_id == vendor_job_id,
            col(DeliveryRow.scope).in_(scopes),
            _WAITS,
        )
        .order_by(col(DeliveryRow.received_at))
    )
    if tx.get_bind().dialect.name == "postgresql":
        query = query.with_for_update()
    rows = list(tx.exec(query))
    before = tx.get(AttemptRow, attempt_id) if rows else None
    for row in rows:
        row.applied_at, row.outcome = at, outcome
        row.job_id, row.attempt_id = job_id, attempt_id
        row.attempt_before = before.status if before else ""
        tx.add(row)
    tx.flush()
    return tuple(_delivery(row) for row in rows)


def of_job(tx: Transaction, vendor_job_ids: Sequence[str]) -> tuple[Delivery, ...]:
    """All deliveries that name one of these vendor jobs, oldest first."""
    query = (
        select(DeliveryRow)
        .where(col(DeliveryRow.vendor_job_id).in_(list(vendor_job_ids)))
        .order_by(col(DeliveryRow.received_at))
    )
    return tuple(_delivery(row) for row in tx.exec(query))


def recent(tx: Transaction, *, limit: int = 50) -> tuple[Delivery, ...]:
    """The newest deliveries."""
    query = select(DeliveryRow).order_by(col(DeliveryRow.received_at).desc()).limit(limit)
    return tuple(_delivery(row) for row in tx.exec(query))


def delivery(tx: Transaction, delivery_id: str) -> Delivery | None:
    """One delivery, if there is such a one."""
    row = tx.get(DeliveryRow, delivery_id)
    return None if row is None else _delivery(row)


def is_known(tx: Transaction, scope: str, event_id: str) -> bool:
    """Whether this event was accepted before."""
    key = select(DeliveryRow.id).where(DeliveryRow.event_key == f"{scope}:{event_id}")
    return tx.exec(key).first() is not None


def forget(tx: Transaction, *, keep: int) -> int:
    """Delete all refused deliveries but the newest ``keep``, and all repeats but as many; how many went.

    What was accepted stays, so that an event id is known for ever.
    """
    verdict = col(DeliveryRow.verdict)
    # apart from each other: whoever repeats what he captured drives no refusal out
    several = verdict.not_in(sorted(ANSWERED_OK)), verdict == DUPLICATE
    return sum(_forget(tx, which, keep) for which in several)


def _forget(tx: Transaction, which: ColumnElement[bool], keep: int) -> int:
    oldest = tx.exec(
        select(DeliveryRow.received_at)
        .where(which)
        .order_by(col(DeliveryRow.received_at).desc())
        .offset(keep)
        .limit(1)
    ).first()
    if oldest is None:
        return 0
    gone = tx.execute(delete(DeliveryRow).where(which, col(DeliveryRow.received_at) <= oldest))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.__slots__})
