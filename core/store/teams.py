"""The teams that work can be booked on."""

from datetime import datetime

from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import TeamRow

__all__ = ["add", "exists", "names"]


def names(tx: Transaction) -> tuple[str, ...]:
    """All teams by name."""
    return tuple(tx.exec(select(TeamRow.name).order_by(col(TeamRow.name))))


def exists(tx: Transaction, name: str) -> bool:
    """Whether there is such a team."""
    return tx.get(TeamRow, name) is not None


def add(tx: Transaction, name: str, actor: str, at: datetime) -> None:
    """A new team; one that is there already stays as it is."""
    if not exists(tx, name):
        tx.add(TeamRow(name=name, actor=actor, at=at))
        tx.flush()
