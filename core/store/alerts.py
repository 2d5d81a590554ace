"""What leads were told about money, once each, and where it is sent to."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import AlertRow, AlertTargetRow

__all__ = [
    "Alert",
    "Target",
    "add_target",
    "counts",
    "has_unsent",
    "known",
    "recent",
    "record",
    "remove_target",
    "targets",
    "tried",
]


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
    """Put an alert on record, to be sent; false when the same was said before."""
    if tx.get(AlertRow, alert.key) is not None:
        return False
    facts = {field.name: getattr(alert, field.name) for field in fields(Alert)}
    try:
        with tx.begin_nested():
            tx.add(AlertRow(**facts, sent_at=None))
    except IntegrityError:
        return False  # another process said it at the same moment
    return True


def known(tx: Transaction, keys: Sequence[str]) -> frozenset[str]:
    """Which of these are on record already."""
    return frozenset(tx.exec(select(AlertRow.key).where(col(AlertRow.key).in_(list(keys)))))


def has_unsent(tx: Transaction) -> bool:
    """Whether there is an alert that nobody sent yet."""
    query = select(AlertRow.key).where(col(AlertRow.sent_at).is_(None)).limit(1)
    return tx.exec(query).first() is not None


def take_unsent(tx: Transaction, at: datetime) -> tuple[Alert, ...]:
    """The alerts that nobody sent yet, oldest first; they count as sent from now on."""
    query = select(AlertRow).where(col(AlertRow.sent_at).is_(None)).order_by(col(AlertRow.at))
    if tx.get_bind().dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    taken = []
    for row in tx.exec(query):
        row.sent_at = at
        tx.add(row)
        taken.append(_alert(row))
    tx.flush()
    return tuple(taken)


def recent(tx: Transaction, book: str, *, limit: int = 20) -> tuple[Alert, ...]:
    """The newest alerts of a book."""
    query = (
        select(AlertRow).where(AlertRow.book == book).order_by(col(AlertRow.at).desc()).limit(limit)
    )
    return tuple(_alert(row) for row in tx.exec(query))


def counts(tx: Transaction, since: datetime) -> dict[tuple[str, str], int]:
    """How many there were since then, by book and kind."""
    query = (
        select(AlertRow.book, AlertRow.kind, func.count())
        .where(AlertRow.at >= since)
        .group_by(AlertRow.book, AlertRow.kind)
    )
    return {(book, kind): count for book, kind, count in tx.exec(query)}


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


def _alert(row: AlertRow) -> Alert:
    return Alert(**{field.name: getattr(row, field.name) for field in fields(Alert)})
