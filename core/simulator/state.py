"""What the simulator must not forget: jobs, what they were billed, events not delivered yet.

One SQLite file, shared by all processes that serve the same folder. Whoever works on a job or an
event holds a lease; when its holder is gone the lease runs out and another process goes on.
"""

import hashlib
import json
import os
import re
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.simulator.records import (
    Delivery,
    JobQuery,
    NewJob,
    SimJob,
    columns_of,
    delivery_from,
    entry_from,
    job_from,
)

__all__ = ["State"]

_BUSY_S = 30.0
_LEFT_OVER_S = 24 * 3600
_Changes = dict[str, str | float]
_EVENTS = {
    "PENDING": "parse.pending",
    "RUNNING": "parse.running",
    "COMPLETED": "parse.success",
    "FAILED": "parse.error",
    "CANCELLED": "parse.cancelled",
}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    tier TEXT NOT NULL,
    configuration TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    user_metadata TEXT,
    status TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    finished_at REAL,
    error_message TEXT,
    cached_from TEXT,
    pages INTEGER,
    credits INTEGER,
    deleted_at REAL,
    owner TEXT NOT NULL,
    lease_until REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_cache ON jobs (sha256, cache_key);
CREATE INDEX IF NOT EXISTS jobs_by_lease ON jobs (status, lease_until);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    entry INTEGER NOT NULL,
    target TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    answer TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL,
    lease_until REAL NOT NULL,
    UNIQUE (job_id, event_type, entry)
);
CREATE INDEX IF NOT EXISTS deliveries_by_lease ON deliveries (status, lease_until);
"""


class State:
    """The file and the documents beside it. Safe to call from any thread."""

    def __init__(self, folder: Path, seed: str, lease_s: float, events: Sequence[str]) -> None:
        self.documents = folder / "documents"
        self.results = folder / "results"
        for place in (self.documents, self.results):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(self.documents)
        self.owner = uuid.uuid4().hex
        self._lease_s = lease_s
        self._events = frozenset(events)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(
            folder / "simulator.sqlite3",
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._write() as db:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            drawn = seed or uuid.uuid4().hex
            db.execute("INSERT OR IGNORE INTO meta VALUES ('seed', ?)", (drawn,))
            self._seed = str(db.execute("SELECT value FROM meta WHERE key = 'seed'").fetchone()[0])

    def close(self) -> None:
        """Close the file; what is not done yet is done by the next process."""
        with self._lock:
            self._db.close()

    # -- jobs ---------------------------------------------------------------------------------

    def create(
        self, new: NewJob, now: float, cache_s: float | None
    ) -> tuple[SimJob, list[Delivery]]:
        """Record a job on the ledger, with the events to send, in one transaction.

        ``cache_s`` is how old an equal result may be that is given again for nothing; None means
        that the cache is off.
        """
        with self._write() as db:
            cached = None if cache_s is None else self._equal(new, now - cache_s)
            number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM jobs").fetchone()[0]
            row = {
                "number": number,
                "id": "pjb-" + hashlib.sha256(f"{self._seed}:{number}".encode()).hexdigest()[:28],
                **columns_of(new),
                "status": "PENDING",
                "created_at": now,
                "updated_at": now,
                "cached_from": cached,
                "owner": self.owner,
                "lease_until": now + self._lease_s,
            }
            names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
            made = db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks}) RETURNING *", row)  # noqa: S608
            job = job_from(made.fetchall()[0])
            return job, self._announce(job, now)

    def find(self, job_id: str) -> SimJob | None:
        """The job, unless there is none or it was deleted."""
        found = self._all("SELECT * FROM jobs WHERE id = ? AND deleted_at IS NULL", (job_id,))
        return job_from(found[0]) if found else None

    def listing(self, query: JobQuery) -> tuple[list[SimJob], int]:
        """One page of jobs, newest first, and how many there are in all."""
        where, values = _conditions(query)
        total = self._all(f"SELECT count(*) FROM jobs WHERE {where}", values)[0][0]  # noqa: S608
        if query.before is not None:
            where, values = f"{where} AND number < ?", [*values, query.before]
        rows = self._all(
            f"SELECT * FROM jobs WHERE {where} ORDER BY number DESC LIMIT ?",  # noqa: S608
            [*values, query.page_size],
        )
        return [job_from(row) for row in rows], total

    def start(self, job_id: str, now: float) -> list[Delivery] | None:
        """PENDING to RUNNING and the events to send; None when it moved on or is another's."""
        return self._move(job_id, ("PENDING",), now, {"status": "RUNNING"})

    def complete(self, job_id: str, now: float, pages: int, credits_: int) -> list[Delivery] | None:
        """RUNNING to COMPLETED with what it is billed; answers as ``start`` does."""
        ended: _Changes = {"finished_at": now, "pages": pages, "credits": credits_}
        return self._move(job_id, ("RUNNING",), now, {"status": "COMPLETED", **ended})

    def fail(self, job_id: str, now: float, message: str) -> list[Delivery] | None:
        """RUNNING to FAILED, which is not billed; answers as ``start`` does."""
        ended: _Changes = {"finished_at": now, "error_message": message, "credits": 0}
        return self._move(job_id, ("RUNNING",), now, {"status": "FAILED", **ended})

    def cancel(self, job_id: str, now: float) -> list[Delivery] | None:
        """To CANCELLED, whoever works on it; None when the job has ended already."""
        ended: _Changes = {"finished_at": now, "credits": 0, "owner": self.owner}
        states = ("PENDING", "RUNNING")
        return self._move(job_id, states, now, {"status": "CANCELLED", **ended}, is_ours=False)

    def delete(self, job_id: str, now: float) -> None:
        """Hide the job and drop its result; the ledger keeps what it cost."""
        with self._write() as db:
            db.execute("UPDATE jobs SET deleted_at = ?, cache_key = '' WHERE id = ?", (now, job_id))
        self.result_path(job_id).unlink(missing_ok=True)

    def adopt(self, now: float) -> tuple[list[SimJob], list[Delivery]]:
        """What others left unfinished when they went away; it is ours from now on."""
        # a lease far in the future was given before the clock was set back
        odd = now + 10 * self._lease_s
        mine = {"owner": self.owner, "until": now + self._lease_s, "now": now, "odd": odd}
        take = (
            "SET owner = :owner, lease_until = :until WHERE owner != :owner"
            " AND (lease_until < :now OR lease_until > :odd)"
        )
        with self._write() as db:
            jobs = db.execute(
                f"UPDATE jobs {take} AND status IN ('PENDING', 'RUNNING') RETURNING *",
                mine,
            ).fetchall()
            events = db.execute(
                f"UPDATE deliveries {take} AND status = 'pending' RETURNING *",
                mine,
            ).fetchall()
        return [job_from(row) for row in jobs], [delivery_from(row) for row in events]

    def hold(self, until: float) -> None:
        """Keep the lease on all that is ours until then; a moment in the past lets go of it."""
        with self._write() as db:
            held = (until, self.owner)
            db.execute(
                "UPDATE jobs SET lease_until = ? WHERE owner = ? AND status IN ('PENDING', 'RUNNING')",
                held,
            )
            db.execute(
                "UPDATE deliveries SET lease_until = ? WHERE owner = ? AND status = 'pending'", held
            )

    def tried(self, delivery_id: int, status: str, attempts: int, answer: str) -> None:
        """Note an attempt: ``pending``, ``delivered`` or ``given_up``, and what the receiver said."""
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET status = ?, attempts = ?, answer = ? WHERE id = ?",
                (status, attempts, answer, delivery_id),
            )

    def ledger(self) -> dict[str, Any]:
        """All that was ever received, billed and sent; deleted jobs too."""
        jobs = [entry_from(row) for row in self._all("SELECT * FROM jobs ORDER BY number")]
        sent = self._all(
            "SELECT job_id, event_id, event_type, status, attempts, answer FROM deliveries ORDER BY id"
        )
        return {
            "jobs": jobs,
            "webhooks": [dict(row) for row in sent],
            "totals": {
                "jobs": len(jobs),
                "pages": sum(job["pages"] or 0 for job in jobs),
                "credits": sum(job["credits"] or 0 for job in jobs),
            },
        }

    def document_path(self, sha256: str, name: str) -> Path:
        """Where these bytes are; the extension stays, because readers look at it."""
        suffix = Path(name).suffix.lower()
        return self.documents / (
            sha256 + (suffix if re.fullmatch(r"\.[a-z0-9]{1,10}", suffix) else "")
        )

    def result_path(self, job_id: str) -> Path:
        """Where the job's result is, once it is completed."""
        return self.results / f"{job_id}.json"

    def write_result(self, job_id: str, data: bytes) -> None:
        """Store a result so that it is whole or not there."""
        temporary = self.results / f".{job_id}.{self.owner}"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.result_path(job_id))

    def _equal(self, new: NewJob, oldest: float) -> str | None:
        if new.configuration.disable_cache:
            return None
        found = self._db.execute(
            "SELECT id FROM jobs WHERE sha256 = ? AND cache_key = ? AND status = 'COMPLETED'"
            " AND deleted_at IS NULL AND finished_at >= ? ORDER BY number DESC LIMIT 1",
            (new.sha256, new.configuration.cache_key, oldest),
        ).fetchone()
        return None if found is None else str(found[0])

    def _move(
        self,
        job_id: str,
        before: Sequence[str],
        now: float,
        changes: _Changes,
        *,
        is_ours: bool = True,
    ) -> list[Delivery] | None:
        assignments = ", ".join(f"{name} = :{name}" for name in changes)
        states = ", ".join(f"'{status}'" for status in before)
        owner = " AND owner = :me" if is_ours else ""
        with self._write() as db:
            moved = db.execute(
                f"UPDATE jobs SET {assignments}, updated_at = :now"  # noqa: S608 - our own names
                f" WHERE id = :id AND status IN ({states}){owner} RETURNING *",
                {**changes, "now": now, "id": job_id, "me": self.owner},
            ).fetchall()
            return self._announce(job_from(moved[0]), now) if moved else None

    def _announce(self, job: SimJob, now: float) -> list[Delivery]:
        """Record the event of the job's present status for each receiver that wants it."""
        event_type = _EVENTS[job.status]
        if event_type not in self._events:
            return []
        event_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._seed}:{job.id}:{event_type}"))
        data = {"id": job.id, "job_id": job.id}
        event = {"event_id": event_id, "event_type": event_type, "timestamp": now, "data": data}
        payload = json.dumps(event, separators=(",", ":"))
        lease = self.owner, now + self._lease_s
        rows: list[sqlite3.Row] = []
        for number, entry in enumerate(job.configuration.webhook_configurations or []):
            if entry.webhook_events is None or event_type in entry.webhook_events:
                rows += self._db.execute(
                    "INSERT OR IGNORE INTO deliveries"
                    " (job_id, entry, target, event_id, event_type, payload, status, owner, lease_until)"
                    " VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?) RETURNING *",
                    (
                        job.id,
                        number,
                        entry.model_dump_json(),
                        event_id,
                        event_type,
                        payload,
                        *lease,
                    ),
                ).fetchall()
        return [delivery_from(row) for row in rows]

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _sweep(documents: Path) -> None:
    """Remove what uploads left that were cut off long ago; newer ones may still be running."""
    for left in documents.glob(".*"):
        if left.stat().st_mtime < time.time() - _LEFT_OVER_S:
            left.unlink(missing_ok=True)


def _conditions(query: JobQuery) -> tuple[str, list[object]]:
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
