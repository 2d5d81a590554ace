"""Rows that nobody else changes until the transaction ends."""

from typing import TypeVar

from sqlmodel import SQLModel

from core.store.engine import Transaction

__all__ = ["held"]

Row = TypeVar("Row", bound=SQLModel)
_HELD = "held"


def held(tx: Transaction, table: type[Row], key: str) -> Row | None:
    """The row as it is now; nobody else changes it until the transaction ends.

    It is fetched and locked once: from then on this transaction alone decides what it says. Not for use
    inside a savepoint that may be rolled back, with which the lock would go.
    """
    rows: dict[tuple[type[SQLModel], str], SQLModel] = tx.info.setdefault(_HELD, {})
    row = rows.get((table, key))
    if not isinstance(row, table):
        # SQLite writers are alone already; on Postgres what was seen before the lock is no longer true
        is_shared = tx.get_bind().dialect.name == "postgresql"
        row = tx.get(table, key, populate_existing=True, with_for_update=is_shared)
        if row is not None:
            rows[table, key] = row
    return row
