"""What the simulator keeps, as values, and how they come out of their rows."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from core.simulator.requests import Configuration, WebhookEntry

__all__ = [
    "TERMINAL",
    "Delivery",
    "JobQuery",
    "NewJob",
    "SimJob",
    "columns_of",
    "delivery_from",
    "entry_from",
    "job_from",
]

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class NewJob:
    """A request that was accepted, with the document already in the folder."""

    name: str
    sha256: str
    size_bytes: int
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class SimJob:
    """A job as it is stored."""

    number: int
    id: str
    name: str
    sha256: str
    size_bytes: int
    tier: str
    configuration: Configuration
    user_metadata: dict[str, str] | None
    status: str
    created_at: float
    updated_at: float
    finished_at: float | None
    error_message: str | None
    cached_from: str | None
    pages: int | None
    credits: int | None

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one receiver."""

    id: int
    job_id: str
    target: WebhookEntry
    event_id: str
    event_type: str
    payload: str
    attempts: int


@dataclass(frozen=True, slots=True)
class JobQuery:
    """What a listing asks for; jobs numbered ``before`` or above were on earlier pages."""

    page_size: int
    before: int | None = None
    status: str | None = None
    job_ids: tuple[str, ...] = ()
    created_from: float | None = None
    created_to: float | None = None


def columns_of(new: NewJob) -> dict[str, str | int | None]:
    """The request as columns of the jobs table."""
    asked = new.configuration
    return {
        "name": new.name,
        "sha256": new.sha256,
        "size_bytes": new.size_bytes,
        "tier": asked.tier.value,
        "configuration": asked.model_dump_json(exclude_none=True),
        "cache_key": "" if asked.disable_cache else asked.cache_key,
        "user_metadata": None if asked.user_metadata is None else json.dumps(asked.user_metadata),
    }


def job_from(row: sqlite3.Row) -> SimJob:
    """The job in a row."""
    metadata = row["user_metadata"]
    return SimJob(
        number=row["number"],
        id=row["id"],
        name=row["name"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        tier=row["tier"],
        configuration=Configuration.model_validate_json(row["configuration"]),
        user_metadata=None if metadata is None else json.loads(metadata),
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        finished_at=row["finished_at"],
        error_message=row["error_message"],
        cached_from=row["cached_from"],
        pages=row["pages"],
        credits=row["credits"],
    )


def delivery_from(row: sqlite3.Row) -> Delivery:
    """The delivery in a row."""
    return Delivery(
        id=row["id"],
        job_id=row["job_id"],
        target=WebhookEntry.model_validate_json(row["target"]),
        event_id=row["event_id"],
        event_type=row["event_type"],
        payload=row["payload"],
        attempts=row["attempts"],
    )


def entry_from(row: sqlite3.Row) -> dict[str, Any]:
    """The row as the ledger shows it."""
    kept = (
        "id",
        "name",
        "sha256",
        "size_bytes",
        "tier",
        "status",
        "pages",
        "credits",
        "error_message",
        "created_at",
    )
    metadata = row["user_metadata"]
    return {
        **{name: row[name] for name in kept},
        "user_metadata": None if metadata is None else json.loads(metadata),
        "is_cached": row["cached_from"] is not None,
        "is_deleted": row["deleted_at"] is not None,
    }
