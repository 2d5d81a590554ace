"""What the simulator keeps, as values, and how they go into their rows and come out of them."""

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "RESULT",
    "TERMINAL",
    "Delivery",
    "JobQuery",
    "NewJob",
    "Options",
    "SimFile",
    "SimJob",
    "Target",
    "columns_of",
    "delivery_from",
    "entry_from",
    "file_from",
    "job_from",
]

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
RESULT = "result"
"""The format, and the event type, of the legacy push that carries the whole result."""


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver of events; no list of events means all of them."""

    url: str
    events: tuple[str, ...] | None = None
    headers: dict[str, str] | None = None
    format: str = "string"
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Options:
    """What of a request changes the work or its result, whichever API it came through."""

    target_pages: str = ""
    max_pages: int | None = None
    screenshots: bool = False
    embedded: bool = False
    layout: bool = False
    xlsx: bool = False
    pdf: bool = False
    failure_ratio: float | None = None
    separator: str | None = None
    prefix: str = ""
    suffix: str = ""
    doomed: str = ""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A request that was accepted, with the document already in the folder.

    ``price`` is in credits per page, ``form_price`` what a page with a form costs on top. ``asked`` is
    the request as it came.
    """

    name: str
    sha256: str
    size_bytes: int
    tier: str
    price: int
    api: str = "v2"
    form_price: int = 0
    options: Options = field(default_factory=Options)
    targets: tuple[Target, ...] = field(default=(), repr=False)
    cache_key: str = ""
    reads_cache: bool = True
    stores_cache: bool = True
    user_metadata: dict[str, str] | None = None
    usage_tags: tuple[str, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict, repr=False)
    is_stuck: bool = False


@dataclass(frozen=True, slots=True)
class SimJob:
    """A job as it is stored."""

    number: int
    id: str
    api: str
    name: str
    sha256: str
    size_bytes: int
    tier: str
    price: int
    form_price: int
    options: Options
    targets: tuple[Target, ...] = field(repr=False)
    user_metadata: dict[str, str] | None
    usage_tags: tuple[str, ...]
    status: str
    created_at: float
    updated_at: float
    finished_at: float | None
    billed_at: float | None
    error_message: str | None
    cached_from: str | None
    pages: int | None
    failed_pages: int | None
    credits: int | None
    is_stuck: bool

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self.status in TERMINAL

    def billed(self, now: float) -> int | None:
        """The credits, once they are on the bill."""
        return self.credits if self.billed_at is not None and now >= self.billed_at else None


@dataclass(frozen=True, slots=True)
class SimFile:
    """An uploaded file as it is stored."""

    number: int
    id: str
    name: str
    sha256: str
    size_bytes: int
    purpose: str
    external_file_id: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one receiver."""

    id: int
    job_id: str
    target: Target
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
    return {
        "api": new.api,
        "name": new.name,
        "sha256": new.sha256,
        "size_bytes": new.size_bytes,
        "tier": new.tier,
        "price": new.price,
        "form_price": new.form_price,
        "options": json.dumps(asdict(new.options)),
        "targets": json.dumps([asdict(target) for target in new.targets]),
        "asked": json.dumps(new.asked),
        "cache_key": new.cache_key if new.stores_cache else "",
        "user_metadata": None if new.user_metadata is None else json.dumps(new.user_metadata),
        "usage_tags": json.dumps(new.usage_tags),
        "is_stuck": int(new.is_stuck),
    }


def job_from(row: sqlite3.Row) -> SimJob:
    """The job in a row."""
    metadata = row["user_metadata"]
    kept = {name: row[name] for name in _AS_THEY_ARE}
    return SimJob(
        **kept,
        options=Options(**json.loads(row["options"])),
        targets=tuple(_target(target) for target in json.loads(row["targets"])),
        user_metadata=None if metadata is None else json.loads(metadata),
        usage_tags=tuple(json.loads(row["usage_tags"])),
        is_stuck=bool(row["is_stuck"]),
    )


_PARSED = {"options", "targets", "user_metadata", "usage_tags", "is_stuck"}
_AS_THEY_ARE = tuple(name for name in SimJob.__slots__ if name not in _PARSED)


def file_from(row: sqlite3.Row) -> SimFile:
    """The file in a row."""
    return SimFile(**{name: row[name] for name in SimFile.__slots__})


def delivery_from(row: sqlite3.Row) -> Delivery:
    """The delivery in a row."""
    return Delivery(
        id=row["id"],
        job_id=row["job_id"],
        target=_target(json.loads(row["target"])),
        event_id=row["event_id"],
        event_type=row["event_type"],
        payload=row["payload"],
        attempts=row["attempts"],
    )


def entry_from(row: sqlite3.Row) -> dict[str, Any]:
    """The row as the ledger shows it: no addresses, no secrets."""
    kept = (
        "id",
        "api",
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


def _target(stored: dict[str, Any]) -> Target:
    events = stored["events"]
    return Target(**{**stored, "events": None if events is None else tuple(events)})
