"""What the tests of money share."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import text

from core.console import Console
from core.domain.budgets import Unit, Window

__all__ = ["DAILY", "NOW", "Maker", "by_sql"]

Maker = Callable[..., Console]
NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
DAILY = ("all", Window.DAY, Unit.USD)


def by_sql(console: Console, query: str) -> list[tuple[object, ...]]:
    """What a query says, apart from the code under test."""
    with console.store.read() as tx:
        return [tuple(row) for row in tx.execute(text(query))]
