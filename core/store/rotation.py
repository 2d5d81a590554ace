"""Which secrets the vendor still signs with: each submit gave it one, and it keeps that to the job's end."""

from sqlalchemy import func
from sqlmodel import col, select

from core.domain.jobs import AttemptStatus
from core.store.engine import Transaction
from core.store.tables import AttemptRow

__all__ = ["secrets_in_flight"]

_IN_FLIGHT = (AttemptStatus.SUBMITTING, AttemptStatus.UNKNOWN, AttemptStatus.RUNNING)


def secrets_in_flight(tx: Transaction) -> dict[str, int]:
    """How many attempts wait for an event, by the fingerprint of the secret that will sign it."""
    query = (
        select(AttemptRow.webhook_secret, func.count())
        .where(col(AttemptRow.status).in_(_IN_FLIGHT), AttemptRow.webhook_secret != "")
        .group_by(col(AttemptRow.webhook_secret))
    )
    return dict(tx.exec(query).all())
