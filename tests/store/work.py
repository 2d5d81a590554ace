"""What a database does for a question, counted instead of timed: the same on every machine."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from core.store import Store

__all__ = ["statements_of", "work_of"]


def work_of(store: Store, ask: Callable[[], object]) -> int:
    """The work of all statements of ``ask``: instructions on SQLite, rows read on Postgres."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    def watch(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        nonlocal count
        if store.is_sqlite:  # to the end of ``ask``: rows are looked for while they are fetched
            cursor.connection.set_progress_handler(step, 1)
            watched.append(cursor.connection)
        elif statement.startswith("SELECT"):
            with cursor.connection.cursor() as plan:
                plan.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
                count += _rows(plan.fetchone()[0][0]["Plan"])

    watched: list[Any] = []
    event.listen(store._engine, "before_cursor_execute", watch)
    try:
        ask()
    finally:
        event.remove(store._engine, "before_cursor_execute", watch)
        for connection in watched:
            connection.set_progress_handler(None, 1)
    return count


def statements_of(store: Store, ask: Callable[[], object]) -> list[str]:
    """What ``ask`` asks the database, statement by statement."""
    found: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            found.append(statement)

    event.listen(store._engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(store._engine, "before_cursor_execute", note)
    return found


def _rows(node: dict[str, Any]) -> int:
    read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    own = int(read * node["Actual Loops"]) if "Scan" in node["Node Type"] else 0
    return own + sum(_rows(child) for child in node.get("Plans", ()))
