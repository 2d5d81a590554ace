"""What the simulator must not forget: jobs, their results, what they were billed, events not delivered yet.

One SQLite file, shared by all processes that serve the same folder. Whoever works on a job or an
event holds a lease; when its holder is gone the lease runs out and another process goes on.
Whatever changes something answers with a future that is done when the change is durable.
"""

import json
import re
import sqlite3
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from core.simulator.announcer import Announcer
from core.simulator.database import Database
from core.simulator.files_store import Files
from core.simulator.hooks_store import Hooks
from core.simulator.lookups import conditions, equal_to
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
from core.simulator.schema import SCHEMA

__all__ = ["State"]

_LEFT_OVER_S = 24 * 3600
_Changes = dict[str, str | float | bytes | None]


class State:
    """The file and the documents beside it. Safe to call from any thread."""

    def __init__(self, folder: Path, seed: str, lease_s: float, events: Sequence[str]) -> None:
        self.documents = folder / "documents"
        self.documents.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(self.documents)
        self.owner = uuid.uuid4().hex
        self._lease_s = lease_s
        self._db = Database(folder / "llamacloud.sqlite3", SCHEMA)
        self.seed = self._db.write(lambda db: _meta(db, "seed", seed)).result()
        self.link_key = self._db.write(lambda db: _meta(db, "link_key", "")).result().encode()
        self._announcer = Announcer(self.seed, self.owner, lease_s, frozenset(events))
        self.files = Files(self._db, self.seed)
        self.hooks = Hooks(self._db, self.seed)

    def close(self) -> None:
        """Close the file; what is not done yet is done by the next process."""
        self._db.close()

    # -- jobs ---------------------------------------------------------------------------------

    def create(
        self, new: NewJob, now: float, cache_s: float | None
    ) -> "Future[tuple[SimJob, list[Delivery]]]":
        """Record a job on the ledger, with the events to send, in one transaction.

        ``cache_s`` is how old an equal result may be that is given again for nothing; None means
        that the cache is off.
        """
        columns = columns_of(new)

        def work(db: sqlite3.Connection) -> tuple[SimJob, list[Delivery]]:
            cached = None if cache_s is None else equal_to(db, new, now - cache_s)
            number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM jobs").fetchone()[0]
            drawn = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.seed}:job:{number}")
            row = {
                "number": number,
                "id": str(drawn) if new.api == "v1" else f"pjb-{drawn}",
                **columns,
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
            return job, self._announcer.announce(db, job, now)

        return self._db.write(work)

    def find(self, job_id: str) -> SimJob | None:
        """The job, unless there is none or it was deleted."""
        found = self._db.read("SELECT * FROM jobs WHERE id = ? AND deleted_at IS NULL", (job_id,))
        return job_from(found[0]) if found else None

    def asked(self, job_id: str) -> dict[str, Any]:
        """The request that made the job, as it came."""
        found = self._db.read("SELECT asked FROM jobs WHERE id = ?", (job_id,))
        request: dict[str, Any] = json.loads(found[0][0]) if found else {}
        return request

    def result(self, job_id: str) -> bytes | None:
        """The job's result as it was stored; None unless the job is completed."""
        found = self._db.read("SELECT data FROM results WHERE job_id = ?", (job_id,))
        return bytes(found[0][0]) if found else None

    def listing(self, query: JobQuery) -> tuple[list[SimJob], int]:
        """One page of jobs, newest first, and how many there are in all."""
        where, values = conditions(query)
        total = self._db.read(f"SELECT count(*) FROM jobs WHERE {where}", values)[0][0]  # noqa: S608
        if query.before is not None:
            where, values = f"{where} AND number < ?", [*values, query.before]
        rows = self._db.read(
            f"SELECT * FROM jobs WHERE {where} ORDER BY number DESC LIMIT ?",  # noqa: S608
            [*values, query.page_size],
        )
        return [job_from(row) for row in rows], total

    def spent(self) -> int:
        """Credits of all jobs so far."""
        found: int = self._db.read("SELECT coalesce(sum(credits), 0) FROM jobs")[0][0]
        return found

    def billed(self, now: float) -> list[SimJob]:
        """All jobs that are on the bill, deleted ones too, in the order they came."""
        rows = self._db.read(
            "SELECT * FROM jobs WHERE billed_at <= ? AND credits > 0 ORDER BY number", (now,)
        )
        return [job_from(row) for row in rows]

    def start(self, job_id: str, now: float) -> "Future[list[Delivery] | None]":
        """PENDING to RUNNING and the events to send; None when it moved on or is another's."""
        return self._move(job_id, ("PENDING",), now, {"status": "RUNNING"})

    def complete(  # noqa: PLR0913 - all of it is one row
        self,
        job_id: str,
        now: float,
        data: bytes,
        *,
        pages: int,
        credits_: int,
        failed_pages: int = 0,
        billed_at: float | None = None,
    ) -> "Future[list[Delivery] | None]":
        """RUNNING to COMPLETED with its result and what it is billed; answers as ``start`` does."""
        ended: _Changes = {
            "finished_at": now,
            "pages": pages,
            "failed_pages": failed_pages,
            "credits": credits_,
            "billed_at": now if billed_at is None else billed_at,
        }
        return self._move(job_id, ("RUNNING",), now, {"status": "COMPLETED", **ended}, data=data)

    def fail(self, job_id: str, now: float, message: str) -> "Future[list[Delivery] | None]":
        """RUNNING to FAILED, which is not billed; answers as ``start`` does."""
        ended: _Changes = {"finished_at": now, "error_message": message, "credits": 0}
        return self._move(
            job_id, ("RUNNING",), now, {"status": "FAILED", "billed_at": now, **ended}
        )

    def cancel(self, job_id: str, now: float) -> "Future[list[Delivery] | None]":
        """To CANCELLED, whoever works on it; None when the job has ended already."""
        ended: _Changes = {"finished_at": now, "credits": 0, "billed_at": now, "owner": self.owner}
        states = ("PENDING", "RUNNING")
        return self._move(job_id, states, now, {"status": "CANCELLED", **ended}, is_ours=False)

    def delete(self, job_id: str, now: float) -> "Future[None]":
        """Hide the job and drop its result; the ledger keeps what it cost."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE jobs SET deleted_at = ?, cache_key = '' WHERE id = ?", (now, job_id))
            db.execute("DELETE FROM results WHERE job_id = ?", (job_id,))

        return self._db.write(work)

    def adopt(self, now: float) -> "Future[tuple[list[SimJob], list[Delivery]]]":
        """What others left unfinished when they went away; it is ours from now on."""
        # a lease far in the future was given before the clock was set back
        odd = now + 10 * self._lease_s
        mine = {"owner": self.owner, "until": now + self._lease_s, "now": now, "odd": odd}
        take = (
            "SET owner = :owner, lease_until = :until WHERE owner != :owner"
            " AND (lease_until < :now OR lease_until > :odd)"
        )

        def work(db: sqlite3.Connection) -> tuple[list[SimJob], list[Delivery]]:
            jobs = db.execute(
                f"UPDATE jobs {take} AND status IN ('PENDING', 'RUNNING') RETURNING *",
                mine,
            ).fetchall()
            events = db.execute(
                f"UPDATE deliveries {take} AND status = 'pending' RETURNING *",
                mine,
            ).fetchall()
            return [job_from(row) for row in jobs], [delivery_from(row) for row in events]

        return self._db.write(work)

    def hold(self, until: float) -> "Future[None]":
        """Keep the lease on all that is ours until then; a moment in the past lets go of it."""
        held = (until, self.owner)

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE jobs SET lease_until = ?"
                " WHERE owner = ? AND status IN ('PENDING', 'RUNNING')",
                held,
            )
            db.execute(
                "UPDATE deliveries SET lease_until = ? WHERE owner = ? AND status = 'pending'", held
            )

        return self._db.write(work)

    def tried(self, delivery_id: int, status: str, attempts: int, answer: str) -> "Future[None]":
        """Note an attempt: ``pending``, ``delivered`` or ``given_up``, and what the receiver said."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE deliveries SET status = ?, attempts = ?, answer = ? WHERE id = ?",
                (status, attempts, answer, delivery_id),
            )

        return self._db.write(work)

    def ledger(self) -> dict[str, Any]:
        """All that was ever received, billed and sent; deleted jobs too."""
        jobs = [entry_from(row) for row in self._db.read("SELECT * FROM jobs ORDER BY number")]
        sent = self._db.read(
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

    def _move(  # noqa: PLR0913 - a transition has that many sides
        self,
        job_id: str,
        before: Sequence[str],
        now: float,
        changes: _Changes,
        *,
        is_ours: bool = True,
        data: bytes | None = None,
    ) -> "Future[list[Delivery] | None]":
        assignments = ", ".join(f"{name} = :{name}" for name in changes)
        states = ", ".join(f"'{status}'" for status in before)
        owner = " AND owner = :me" if is_ours else ""
        values = {**changes, "now": now, "id": job_id, "me": self.owner}

        def work(db: sqlite3.Connection) -> list[Delivery] | None:
            moved = db.execute(
                f"UPDATE jobs SET {assignments}, updated_at = :now"  # noqa: S608 - our own names
                f" WHERE id = :id AND status IN ({states}){owner} RETURNING *",
                values,
            ).fetchall()
            if not moved:
                return None
            if data is not None:
                db.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (job_id, data))
            return self._announcer.announce(db, job_from(moved[0]), now)

        return self._db.write(work)


def _meta(db: sqlite3.Connection, key: str, value: str) -> str:
    """The stored value; the first one that comes stays, drawn when there is none."""
    db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value or uuid.uuid4().hex))
    return str(db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])


def _sweep(documents: Path) -> None:
    """Remove what uploads left that were cut off long ago; newer ones may still be running."""
    for left in documents.glob(".*"):
        if left.stat().st_mtime < time.time() - _LEFT_OVER_S:
            left.unlink(missing_ok=True)
