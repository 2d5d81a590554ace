"""Uploaded files that are no jobs yet."""

import sqlite3
import uuid
from concurrent.futures import Future
from dataclasses import dataclass

from core.simulator.database import Database
from core.simulator.records import SimFile, file_from

__all__ = ["ORDERS", "FileQuery", "Files"]

ORDERS = {"name": "name, number", "id": "id", "created_at": "number DESC", "": "number DESC"}
"""The orders of a listing, as SQL. A reader goes on at an offset, since names may repeat."""


@dataclass(frozen=True, slots=True)
class FileQuery:
    """What a listing asks for; ``order`` is one of ``ORDERS``."""

    page_size: int
    offset: int = 0
    order: str = ""
    ids: tuple[str, ...] = ()
    name: str | None = None
    external_id: str | None = None


class Files:
    """The files of one folder."""

    def __init__(self, db: Database, seed: str) -> None:
        self._db = db
        self._seed = seed

    def add(
        self, content: tuple[str, str, int], purpose: str, external_id: str | None, now: float
    ) -> "Future[SimFile]":
        """Record a file: its name, the SHA-256 and the size of its bytes; they are in the folder already."""
        name, sha256, size = content

        def work(db: sqlite3.Connection) -> SimFile:
            number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM files").fetchone()[0]
            drawn = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._seed}:file:{number}")
            values = (number, f"dfl-{drawn}", name, sha256, size, purpose, external_id, now)
            made = db.execute(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL) RETURNING *", values
            )
            return file_from(made.fetchall()[0])

        return self._db.write(work)

    def find(self, file_id: str) -> SimFile | None:
        """The file by its id, with or without the ``dfl-`` in front."""
        known = f"dfl-{file_id.removeprefix('dfl-')}"
        found = self._db.read("SELECT * FROM files WHERE id = ? AND deleted_at IS NULL", (known,))
        return file_from(found[0]) if found else None

    def listing(self, query: FileQuery) -> tuple[list[SimFile], int]:
        """One page of files and how many there are in all."""
        where, values = "deleted_at IS NULL", list[object]()
        if query.ids:
            where += f" AND id IN ({', '.join('?' for _ in query.ids)})"
            values += [f"dfl-{file_id.removeprefix('dfl-')}" for file_id in query.ids]
        if query.name is not None:
            where, values = f"{where} AND name = ?", [*values, query.name]
        if query.external_id is not None:
            where, values = f"{where} AND external_file_id = ?", [*values, query.external_id]
        total = self._db.read(f"SELECT count(*) FROM files WHERE {where}", values)[0][0]  # noqa: S608
        rows = self._db.read(
            f"SELECT * FROM files WHERE {where} ORDER BY {ORDERS[query.order]} LIMIT ? OFFSET ?",  # noqa: S608
            [*values, query.page_size, query.offset],
        )
        return [file_from(row) for row in rows], total

    def delete(self, file_id: str, now: float) -> "Future[None]":
        """Hide the file; jobs that were made from it keep their bytes."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE files SET deleted_at = ? WHERE id = ?", (now, file_id))

        return self._db.write(work)
