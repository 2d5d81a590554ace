"""Reading the roll-ups: sums by window and by one thing, never a scan of the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlmodel import col

from core.domain.budgets import EVERYTHING
from core.store.engine import Transaction
from core.store.tables import BalanceRow, RollupRow

__all__ = ["DIMENSIONS", "Sums", "by_window", "days", "values_of"]

DIMENSIONS = ("team", "actor", "service", "engine", "tier", "outcome")
"""What spend can be divided by, and narrowed to."""


@dataclass(frozen=True, slots=True)
class Sums:
    """One window and one value of a dimension; money in millionths of a dollar."""

    window: str
    value: str
    settled_micros: int
    reserved_micros: int
    estimated_micros: int
    saved_micros: int
    settled_credits: int
    pages: int
    submits: int


_SUMS = (
    "settled_micros",
    "reserved_micros",
    "estimated_micros",
    "saved_micros",
    "settled_credits",
    "pages",
    "submits",
)


def by_window(  # noqa: PLR0913 - a book, a span, a division and what it is narrowed to
    tx: Transaction,
    book: str,
    first: str,
    last: str,
    dimension: str,
    only: Mapping[str, str] | None = None,
) -> tuple[Sums, ...]:
    """Sums of each window from ``first`` to ``last`` (keys such as ``day:2026-11-24``) by a dimension.

    ``only`` narrows to one value of other dimensions.
    """
    value = getattr(RollupRow, dimension)
    query = (
        select(col(RollupRow.window), value, *(func.sum(getattr(RollupRow, s)) for s in _SUMS))
        .where(
            col(RollupRow.book) == book,
            col(RollupRow.window) >= first,
            col(RollupRow.window) <= last,
            *(getattr(RollupRow, name) == wanted for name, wanted in (only or {}).items()),
        )
        .group_by(col(RollupRow.window), value)
        .order_by(col(RollupRow.window), value)
    )
    return tuple(
        Sums(window, name, *(int(number) for number in numbers))
        for window, name, *numbers in tx.execute(query)
    )


def days(tx: Transaction, book: str, windows: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Settled and reserved micro-dollars of everything in each of these windows that has any."""
    query = select(
        col(BalanceRow.window), col(BalanceRow.settled_micros), col(BalanceRow.reserved_micros)
    ).where(
        col(BalanceRow.book) == book,
        col(BalanceRow.scope) == EVERYTHING,
        col(BalanceRow.window).in_(list(windows)),
    )
    return {window: (settled, reserved) for window, settled, reserved in tx.execute(query)}


def values_of(tx: Transaction, book: str, first: str, last: str, dimension: str) -> tuple[str, ...]:
    """The values of a dimension that occur in these windows."""
    value = getattr(RollupRow, dimension)
    query = (
        select(value)
        .where(
            col(RollupRow.book) == book,
            col(RollupRow.window) >= first,
            col(RollupRow.window) <= last,
        )
        .distinct()
        .order_by(value)
    )
    return tuple(tx.execute(query).scalars())
