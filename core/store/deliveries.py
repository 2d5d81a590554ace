"""Webhook deliveries: recorded before they are answered, applied exactly once after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import DeliveryRow

__all__ = [
    "Delivery",
    "add",
    "applicable",
    "apply",
    "count_by_verdict",
    "delivery",
    "of_job",
    "recent",
]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as it came in, its verdict, and what came of it.

    ``scope`` is ``real`` or ``mock``, by the secret that signed it. ``applied_at`` is None while the
    event waits for its vendor id (parked) or for the pipeline.
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


def add(tx: Transaction, new: Delivery) -> bool:
    """Record a delivery; False when it was accepted before (it is then recorded as a duplicate)."""
    accepted = new.verdict == "accepted"
    key = f"{new.scope}:{new.event_id}" if accepted else None
    if key is not None:
        try:
            with tx.begin_nested():
                tx.add(_row(new, key))
                tx.flush()
        except IntegrityError:
            tx.add(_row(new, None, verdict="duplicate", outcome="received before, changes nothing"))
            tx.flush()
            return False
        return True
    tx.add(_row(new, None))
    tx.flush()
    return True


def applicable(tx: Transaction, *, limit: int = 500) -> tuple[Delivery, ...]:
    """Accepted events that are not applied yet, oldest first, parked ones among them."""
    query = (
        select(DeliveryRow)
        .where(DeliveryRow.verdict == "accepted", col(DeliveryRow.applied_at).is_(None))
        .order_by(col(DeliveryRow.received_at))
        .limit(limit)
    )
    return tuple(_delivery(row) for row in tx.exec(query))


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
    """Mark all waiting events of a vendor job as applied and return them; each comes back once, ever."""
    query = (
        select(DeliveryRow)
        .where(
            DeliveryRow.vendor_job_id == vendor_job_id,
            DeliveryRow.scope == scope,
            DeliveryRow.verdict == "accepted",
            col(DeliveryRow.applied_at).is_(None),
        )
        .order_by(col(DeliveryRow.received_at))
    )
    if tx.get_bind().dialect.name == "postgresql":
        query = query.with_for_update()
    rows = list(tx.exec(query))
    for row in rows:
        row.applied_at, row.outcome = at, outcome
        row.job_id, row.attempt_id = job_id, attempt_id
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


def count_by_verdict(tx: Transaction, since: datetime) -> dict[str, int]:
    """How many deliveries got which verdict since then."""
    query = (
        select(DeliveryRow.verdict, func.count())
        .where(col(DeliveryRow.received_at) >= since)
        .group_by(col(DeliveryRow.verdict))
    )
    return dict(tx.exec(query).all())


def _row(new: Delivery, key: str | None, **changes: str) -> DeliveryRow:
    facts = {name: getattr(new, name) for name in Delivery.__slots__}
    return DeliveryRow(event_key=key, **{**facts, **changes})


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.__slots__})
