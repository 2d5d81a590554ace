"""The price book as dated entries."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlmodel import col, select

from core.domain.money import PriceBook, PriceEntry, PriceKind
from core.store.engine import Transaction
from core.store.tables import PriceRow

__all__ = ["PriceChange", "add", "book", "history"]


@dataclass(frozen=True, slots=True)
class PriceChange:
    """An entry of the price book, and who made it, when and why."""

    kind: PriceKind
    key: str
    version: str
    valid_from: date
    amount: Decimal | None
    actor: str
    reason: str
    at: datetime
    id: int = 0


def book(tx: Transaction) -> PriceBook:
    """All entries."""
    return PriceBook(
        tuple(
            PriceEntry(c.kind, c.key, c.valid_from, c.amount, c.version, c.id) for c in history(tx)
        )
    )


def history(tx: Transaction) -> tuple[PriceChange, ...]:
    """All entries with who made them, the newest first."""
    query = select(PriceRow).order_by(col(PriceRow.id).desc())
    return tuple(_change(row) for row in tx.exec(query))


def add(tx: Transaction, change: PriceChange) -> None:
    """A new entry; what was there stays."""
    tx.add(
        PriceRow(
            kind=change.kind,
            key=change.key,
            version=change.version,
            valid_from=change.valid_from,
            amount=None if change.amount is None else str(change.amount),
            actor=change.actor,
            reason=change.reason,
            at=change.at,
        )
    )
    tx.flush()


def _change(row: PriceRow) -> PriceChange:
    return PriceChange(
        kind=PriceKind(row.kind),
        key=row.key,
        version=row.version,
        valid_from=row.valid_from,
        amount=None if row.amount is None else Decimal(row.amount),
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        id=row.id or 0,
    )
