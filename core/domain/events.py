"""Any payload the vendor may send, as one canonical event."""

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

__all__ = ["EventKind", "MalformedEvent", "ParseEvent", "decoded", "named_job", "read_event"]


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
_FLAT_KINDS = {
    "parsed": EventKind.SUCCESS,
    "failed": EventKind.ERROR,
    "processing": EventKind.RUNNING,
}
_LONGEST = 200
_MAX_ARTIFACTS = 1000


class MalformedEvent(ValueError):
    """The body is signed but is no event."""


@dataclass(frozen=True, slots=True)
class ParseEvent:
    """One event: who sent it first decides nothing, the vendor is asked.

    ``vendor_job_id`` may be empty for an event of another kind (``extract.success``). ``at`` is when
    the sender made it; the flat form does not say.
    """

    event_id: str
    event_type: str
    kind: EventKind
    vendor_job_id: str
    at: datetime | None
    is_test: bool = False


def read_event(body: bytes) -> ParseEvent:
    """The event in a raw body: a JSON object, or one more time encoded as a JSON string.

    Two forms are known: the vendor's event (``event_id``, ``event_type``, ``timestamp``, ``data``) and
    the flat one (``job_id``, ``parse_job_id``, ``status``, ``artifacts``), whose checksums are verified.
    Raises ``MalformedEvent`` for everything else.
    """
    payload = decoded(body)
    if _is_flat(payload):
        return _flat(payload, body)
    event_type = _text(payload, "event_type")
    kind = _KINDS.get(event_type, EventKind.OTHER)
    return ParseEvent(
        event_id=_text(payload, "event_id"),
        event_type=event_type,
        kind=kind,
        vendor_job_id=_job_of(payload.get("data"), kind),
        at=_moment(payload.get("timestamp")),
        is_test=payload.get("test") is True,
    )


def named_job(body: bytes) -> str:
    """The vendor job that a body claims to be about, whatever else is wrong with it; empty for none.

    Raises ``MalformedEvent`` when that cannot be read.
    """
    payload = decoded(body)
    return (
        _flat_job(payload) if _is_flat(payload) else _job_of(payload.get("data"), EventKind.OTHER)
    )


def _is_flat(payload: Mapping[str, Any]) -> bool:
    return "event_type" not in payload and "status" in payload


def _job_of(data: object, kind: EventKind) -> str:
    if isinstance(data, dict):
        for key in ("job_id", "id"):
            if key in data:
                return _text(data, key)
    if kind is EventKind.OTHER:
        return ""
    raise MalformedEvent("the event names no job")


def _flat(payload: Mapping[str, Any], body: bytes) -> ParseEvent:
    status = _text(payload, "status")
    _check_artifacts(payload.get("artifacts"))
    return ParseEvent(
        # this form has no id of its own: the same bytes are the same event
        event_id=f"flat-{hashlib.sha256(body).hexdigest()[:40]}",
        event_type=f"flat.{status}"[:_LONGEST],
        kind=_FLAT_KINDS.get(status, EventKind.OTHER),
        vendor_job_id=_flat_job(payload),
        at=_moment(payload.get("timestamp")),
        is_test=payload.get("test") is True,
    )


def _flat_job(payload: Mapping[str, Any]) -> str:
    return _text(payload, "parse_job_id" if payload.get("parse_job_id") else "job_id")


def _check_artifacts(artifacts: object) -> None:
    """Raises ``MalformedEvent`` when a stated checksum or size does not fit the content."""
    if artifacts is None:
        return
    if not isinstance(artifacts, list) or len(artifacts) > _MAX_ARTIFACTS:
        raise MalformedEvent("artifacts is not a list, or too long")
    for number, artifact in enumerate(artifacts, start=1):
        if not isinstance(artifact, dict) or not isinstance(artifact.get("content"), str):
            raise MalformedEvent(f"artifact {number} has no content")
        content = artifact["content"].encode("utf-8", "surrogatepass")
        stated = artifact.get("sha256")
        if stated is not None and stated != hashlib.sha256(content).hexdigest():
            raise MalformedEvent(f"artifact {number} does not have the checksum that it states")
        size = artifact.get("bytes")
        if size is not None and size != len(content):
            raise MalformedEvent(f"artifact {number} does not have the size that it states")


def decoded(body: bytes) -> Mapping[str, Any]:
    """The JSON object in a body, decoded twice when it is a string. Raises ``MalformedEvent``."""
    try:
        # RFC 8259: JSON between systems is UTF-8; left to itself json would guess UTF-16 and UTF-32
        payload = json.loads(body.removeprefix(BOM_UTF8).decode())
        if isinstance(payload, str):
            payload = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise MalformedEvent("the body is not JSON in UTF-8") from error
    if not isinstance(payload, dict):
        raise MalformedEvent("the body is not a JSON object")
    return payload


def _text(payload: Mapping[str, Any], key: str) -> str:
    value = payload.get(key)
    if not isinstance(value, str) or not value:
        raise MalformedEvent(f"the event has no {key}")
    if len(value) > _LONGEST or not value.isprintable():
        raise MalformedEvent(f"the event's {key} is too long, or no plain text")
    return value


def _moment(value: object) -> datetime | None:
    """Seconds since 1970; None when nothing is stated. Raises ``MalformedEvent`` for what is no moment."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            pass
    raise MalformedEvent("the event's timestamp is not in seconds since 1970")
