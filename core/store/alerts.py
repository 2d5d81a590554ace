"""What leads were told about money, once each, and where it is sent to."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import AlertRow, AlertTargetRow

__all__ = ["Alert", "Target", "add_target", "recent", "record", "remove_target", "targets", "tried"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that leads should know; ``key`` is the same for the same thing in the same window."""

    key: str
    book: str
    kind: str
    what: str
    next_step: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """Where alerts go. ``address`` is a secret: it is never shown or logged.

    ``problem`` says why the last one did not arrive; empty when it did.
    """

    name: str
    address: str
    actor: str
    added_at: datetime
    tried_at: datetime | None = None
    problem: str = ""

    def __repr__(self) -> str:
        """Without the address."""
        return f"Target(name={self.name!r})"


def record(tx: Transaction, alert: Alert) -> bool:
    """Put an alert on record; false when the same was said before. Must run in a write transaction."""
    if tx.get(AlertRow, alert.key) is not None:
        return False
    tx.add(AlertRow(**{name: getattr(alert, name) for name in AlertRow.model_fields}))
    tx.flush()
    return True


def recent(tx: Transaction, book: str, *, limit: int = 20) -> tuple[Alert, ...]:
    """The newest alerts of a book."""
    query = (
        select(AlertRow).where(AlertRow.book == book).order_by(col(AlertRow.at).desc()).limit(limit)
    )
    return tuple(
        Alert(**{name: getattr(row, name) for name in AlertRow.model_fields})
        for row in tx.exec(query)
    )


def targets(tx: Transaction) -> tuple[Target, ...]:
    """All targets by name."""
    rows = tx.exec(select(AlertTargetRow).order_by(col(AlertTargetRow.name)))
    return tuple(
        Target(**{name: getattr(row, name) for name in AlertTargetRow.model_fields}) for row in rows
    )


def add_target(tx: Transaction, target: Target) -> None:
    """A new target, or another address for one of the same name."""
    tx.merge(
        AlertTargetRow(**{name: getattr(target, name) for name in AlertTargetRow.model_fields})
    )
    tx.flush()


def remove_target(tx: Transaction, name: str) -> None:
    """Send nothing there any more."""
    row = tx.get(AlertTargetRow, name)
    if row is not None:
        tx.delete(row)


def tried(tx: Transaction, name: str, problem: str, at: datetime) -> None:
    """Note how the last alert to a target fared."""
    row = tx.get(AlertTargetRow, name)
    if row is not None:
        row.tried_at, row.problem = at, problem
        tx.add(row)
