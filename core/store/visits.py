"""When each person was last at a screen."""

from datetime import datetime

from core.store.engine import Transaction
from core.store.tables import VisitRow

__all__ = ["record", "seen_at"]


def seen_at(tx: Transaction, actor: str) -> datetime | None:
    """When this person was last seen, if ever."""
    row = tx.get(VisitRow, actor)
    return None if row is None else row.seen_at


def record(tx: Transaction, actor: str, now: datetime) -> None:
    """The person is at a screen."""
    tx.merge(VisitRow(actor=actor, seen_at=now))
