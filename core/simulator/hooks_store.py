"""Saved receivers of events."""

import json
import sqlite3
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from core.simulator.database import Database

__all__ = ["Hook", "Hooks"]


@dataclass(frozen=True, slots=True)
class Hook:
    """One saved receiver; ``entry`` holds its keys as they came, the secret among them."""

    number: int
    id: str
    entry: dict[str, Any] = field(repr=False)
    created_at: float
    updated_at: float


class Hooks:
    """The saved receivers of one folder."""

    def __init__(self, db: Database, seed: str) -> None:
        self._db = db
        self._seed = seed

    def add(self, entry: dict[str, Any], now: float) -> "Future[Hook]":
        """Save a receiver."""

        def work(db: sqlite3.Connection) -> Hook:
            number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM hooks").fetchone()[0]
            drawn = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._seed}:hook:{number}")
            row = (number, f"whc-{drawn}", json.dumps(entry), now, now)
            made = db.execute("INSERT INTO hooks VALUES (?, ?, ?, ?, ?, NULL) RETURNING *", row)
            return _hook(made.fetchall()[0])

        return self._db.write(work)

    def find(self, hook_id: str) -> Hook | None:
        """The receiver with this id."""
        found = self._db.read("SELECT * FROM hooks WHERE id = ? AND deleted_at IS NULL", (hook_id,))
        return _hook(found[0]) if found else None

    def change(self, hook_id: str, changes: dict[str, Any], now: float) -> "Future[Hook]":
        """Set these keys, keep the others."""

        def work(db: sqlite3.Connection) -> Hook:
            row = db.execute("SELECT entry FROM hooks WHERE id = ?", (hook_id,)).fetchone()
            entry = json.dumps({**json.loads(row[0]), **changes})
            made = db.execute(
                "UPDATE hooks SET entry = ?, updated_at = ? WHERE id = ? RETURNING *",
                (entry, now, hook_id),
            )
            return _hook(made.fetchall()[0])

        return self._db.write(work)

    def delete(self, hook_id: str, now: float) -> "Future[None]":
        """Forget a receiver, its secret too; jobs that were made with it keep it."""

        def work(db: sqlite3.Connection) -> None:
            forget = "UPDATE hooks SET deleted_at = ?, entry = '{}' WHERE id = ?"
            db.execute(forget, (now, hook_id))

        return self._db.write(work)

    def listing(self, after: int, page_size: int) -> tuple[list[Hook], int]:
        """One page in the order they were saved, those numbered above ``after``, and how many there are."""
        total = self._db.read("SELECT count(*) FROM hooks WHERE deleted_at IS NULL")[0][0]
        rows = self._db.read(
            "SELECT * FROM hooks WHERE number > ? AND deleted_at IS NULL ORDER BY number LIMIT ?",
            (after, page_size),
        )
        return [_hook(row) for row in rows], total


def _hook(row: sqlite3.Row) -> Hook:
    return Hook(
        row["number"], row["id"], json.loads(row["entry"]), row["created_at"], row["updated_at"]
    )
