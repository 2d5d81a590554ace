"""How stored jobs are found: by what a listing asks for, or by being equal to a new one."""

import sqlite3

from core.simulator.records import JobQuery, NewJob

__all__ = ["conditions", "equal_to"]


def equal_to(db: sqlite3.Connection, new: NewJob, oldest: float) -> str | None:
    """The id of the newest completed job of the same bytes and options since then."""
    if not new.reads_cache or not new.cache_key:
        return None
    found = db.execute(
        "SELECT id FROM jobs WHERE sha256 = ? AND cache_key = ? AND status = 'COMPLETED'"
        " AND deleted_at IS NULL AND finished_at >= ? ORDER BY number DESC LIMIT 1",
        (new.sha256, new.cache_key, oldest),
    ).fetchone()
    return None if found is None else str(found[0])


def conditions(query: JobQuery) -> tuple[str, list[object]]:
    """A WHERE clause for what a listing asks for, and its values."""
    parts: list[tuple[str, list[object]]] = [("deleted_at IS NULL", [])]
    if query.status is not None:
        parts.append(("status = ?", [query.status]))
    if query.job_ids:
        marks = ", ".join("?" for _ in query.job_ids)
        parts.append((f"id IN ({marks})", list(query.job_ids)))
    if query.created_from is not None:
        parts.append(("created_at >= ?", [query.created_from]))
    if query.created_to is not None:
        parts.append(("created_at <= ?", [query.created_to]))
    return " AND ".join(text for text, _ in parts), [
        value for _, values in parts for value in values
    ]
