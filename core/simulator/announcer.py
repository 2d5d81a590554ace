"""Which events a job's transition announces, recorded in the transaction that makes it."""

import json
import sqlite3
import uuid
from dataclasses import asdict, dataclass

from core.simulator.records import RESULT, Delivery, SimJob, Target, delivery_from

__all__ = ["Announcer"]

_EVENTS = {
    "PENDING": "parse.pending",
    "RUNNING": "parse.running",
    "COMPLETED": "parse.success",
    "FAILED": "parse.error",
    "CANCELLED": "parse.cancelled",
}
_PARTIAL = "parse.partial_success"


@dataclass(frozen=True, slots=True)
class Announcer:
    """Records deliveries that ``owner`` then sends; ``events`` are those that are sent at all."""

    seed: str
    owner: str
    lease_s: float
    events: frozenset[str]

    def announce(self, db: sqlite3.Connection, job: SimJob, now: float) -> list[Delivery]:
        """Record the event of the job's present status for each receiver that wants it."""
        event_type = _EVENTS[job.status]
        if job.status == "COMPLETED" and job.failed_pages and _PARTIAL in self.events:
            event_type = _PARTIAL
        event_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.seed}:{job.id}:{event_type}"))
        data = {"id": job.id, "job_id": job.id}
        event = {"event_id": event_id, "event_type": event_type, "timestamp": now, "data": data}
        rows: list[sqlite3.Row] = []
        for number, target in enumerate(job.targets):
            told = self._told(job, target, event_type)
            if told is None:
                continue
            payload = "" if told == RESULT else json.dumps(event, separators=(",", ":"))
            rows += db.execute(
                "INSERT OR IGNORE INTO deliveries"
                " (job_id, entry, target, event_id, event_type, payload, status, owner, lease_until)"
                " VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?) RETURNING *",
                (
                    job.id,
                    number,
                    json.dumps(asdict(target)),
                    event_id,
                    told,
                    payload,
                    self.owner,
                    now + self.lease_s,
                ),
            ).fetchall()
        return [delivery_from(row) for row in rows]

    def _told(self, job: SimJob, target: Target, event_type: str) -> str | None:
        """The type of the event that this receiver is sent; None for none."""
        if target.format == RESULT:
            return RESULT if job.status == "COMPLETED" else None
        is_wanted = event_type in self.events and event_type in (target.events or (event_type,))
        return event_type if is_wanted else None
