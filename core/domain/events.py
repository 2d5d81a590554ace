"""Any payload the vendor may send, as one canonical event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

__all__ = ["EventKind", "MalformedEvent", "ParseEvent", "read_event"]


class EventKind(StrEnum):
    """What an event says about a parse job."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    PARTIAL_SUCCESS = "partial_success"
    CANCELLED = "cancelled"
    OTHER = "other"


# ``parse.done`` stands in an old sample of the vendor's documentation only.
_KINDS = {f"parse.{kind.value}": kind for kind in EventKind if kind is not EventKind.OTHER} | {
    "parse.done": EventKind.SUCCESS
}


class MalformedEvent(ValueError):
    """The body is signed but is no event."""


@dataclass(frozen=True, slots=True)
class ParseEvent:
    """One event: who sent it first decides nothing, the vendor is asked."""

    event_id: str
    event_type: str
    kind: EventKind
    vendor_job_id: str
    at: datetime | None


def read_event(body: bytes) -> ParseEvent:
    """The event in a raw body: a JSON object, or one more time encoded as a JSON string.

    Raises ``MalformedEvent`` for everything else.
    """
    payload = _decoded(body)
    event_type = _text(payload, "event_type")
    data = payload.get("data")
    if not isinstance(data, dict):
        msg = "the event has no data object"
        raise MalformedEvent(msg)
    vendor_job_id = data.get("job_id") or data.get("id")
    if not isinstance(vendor_job_id, str) or not vendor_job_id:
        msg = "the event names no job"
        raise MalformedEvent(msg)
    return ParseEvent(
        event_id=_text(payload, "event_id"),
        event_type=event_type,
        kind=_KINDS.get(event_type, EventKind.OTHER),
        vendor_job_id=vendor_job_id[:200],
        at=_moment(payload.get("timestamp")),
    )


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(body)
        if isinstance(payload, str):
            payload = json.loads(payload)
    except (ValueError, RecursionError) as error:
        msg = "the body is not JSON"
        raise MalformedEvent(msg) from error
    if not isinstance(payload, dict):
        msg = "the body is not a JSON object"
        raise MalformedEvent(msg)
    return payload


def _text(payload: Mapping[str, Any], key: str) -> str:
    value = payload.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        msg = f"the event has no {key}"
        raise MalformedEvent(msg)
    return value[:200]


def _moment(value: object) -> datetime | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
