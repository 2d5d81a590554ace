"""Crafting deliveries for tests: templates for each event, faults on demand, signed and marked as tests."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from core.clock import new_id
from core.errors import ConsoleError
from core.webhooks.signatures import VENDOR_HEADER, SigningSecret, sign

__all__ = [
    "TEMPLATES",
    "Crafted",
    "Fault",
    "as_curl",
    "as_signing_curl",
    "craft",
    "from_body",
    "template",
]


class Fault(StrEnum):
    """What can be wrong with a delivery on purpose."""

    STALE = "stale"
    FUTURE = "future"
    BAD_SIGNATURE = "bad_signature"
    TRUNCATED = "truncated"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    DOUBLE_ENCODED = "double_encoded"
    OVERSIZED = "oversized"


@dataclass(frozen=True, slots=True)
class Crafted:
    """A delivery that is ready to be sent."""

    headers: Mapping[str, str]
    body: bytes


_EVENTS = (
    "parse.success",
    "parse.error",
    "parse.partial_success",
    "parse.cancelled",
    "parse.running",
    "parse.pending",
    "parse.done",
    "extract.success",
)
_FLAT = ("parsed", "failed", "processing")
TEMPLATES = (*_EVENTS, *(f"flat.{status}" for status in _FLAT))
"""What a delivery can be started from: the vendor's events, an older name, another kind, the flat form."""

_JOB = "pjb-of-a-test"
_STALE_BY, _FUTURE_BY = timedelta(days=30), timedelta(hours=6)


def template(name: str, now: datetime, vendor_job_id: str = "") -> str:
    """The payload of a template as JSON text, marked as a test. Raises ``ConsoleError`` for other names."""
    job = vendor_job_id or _JOB
    if name.startswith("flat.") and name in TEMPLATES:
        flat = {
            "job_id": job,
            "document_id": "doc-of-a-test",
            "parse_job_id": job,
            "status": name.removeprefix("flat."),
            "artifacts": [],
            "meta": {},
            "correlation_id": new_id("cor"),
        }
        return _text({**flat, "timestamp": round(now.timestamp(), 3), "test": True})
    if name not in TEMPLATES:
        raise ConsoleError(f"There is no template {name!r}.", f"Use one of {', '.join(TEMPLATES)}.")
    event = {
        "event_id": new_id("test"),
        "event_type": name,
        "timestamp": round(now.timestamp(), 3),
        "data": {"id": job, "job_id": job},
    }
    return _text({**event, "test": True})


def from_body(body: bytes, now: datetime) -> str:
    """The payload of a recorded delivery as a new test: a new event id, the present moment."""
    payload = _object(body.decode("utf-8", "replace"), "start from it")
    if "event_id" in payload:
        payload["event_id"] = new_id("test")
    return _text({**payload, "timestamp": round(now.timestamp(), 3), "test": True})


def craft(
    text: str,
    faults: frozenset[Fault],
    secret: SigningSecret,
    now: datetime,
    max_bytes: int,
) -> tuple[Crafted, ...]:
    """What to send, in order, for a payload with these faults; without faults, one good delivery.

    Raises ``ConsoleError`` when a fault needs a JSON object and the payload is none.
    """
    payloads = [text]
    if faults & {Fault.STALE, Fault.FUTURE}:
        moved = now - _STALE_BY if Fault.STALE in faults else now + _FUTURE_BY
        payloads = [_changed(text, timestamp=moved.timestamp())]
    if Fault.REORDERED in faults:
        earlier = _changed(
            payloads[0],
            event_id=new_id("test"),
            event_type="parse.running",
            timestamp=(now - timedelta(seconds=30)).timestamp(),
        )
        payloads = [payloads[0], earlier]
    if Fault.OVERSIZED in faults:
        payloads = [_changed(one, padding="x" * max_bytes) for one in payloads]
    if Fault.DUPLICATE in faults:
        payloads = [one for one in payloads for _ in range(2)]
    return tuple(_signed(one, faults, secret) for one in payloads)


def as_curl(url: str, crafted: Crafted) -> str:
    """The same delivery as a command line."""
    headers = " ".join(f"-H {shlex.quote(f'{n}: {v}')}" for n, v in crafted.headers.items())
    body = shlex.quote(crafted.body.decode("utf-8", "replace"))
    return f"curl -sS -X POST {headers} --data-raw {body} {shlex.quote(url)}"


def as_signing_curl(url: str, body: bytes, secret: str) -> str:
    """Lines for a shell that send these bytes, signed there: they hold neither a secret nor a signature.

    ``secret`` is what stands for it within double quotes. Empty for bytes that no shell can hold as text.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return ""
    if "\0" in text:
        return ""
    digest = f'printf %s "$BODY" | openssl dgst -sha256 -hmac "{secret}" -r | cut -d\' \' -f1'
    return (
        f"BODY={shlex.quote(text)}\n"
        f"curl -sS -X POST -H 'Content-Type: application/json' \\\n"
        f'  -H "{VENDOR_HEADER}: sha256=$({digest})" \\\n'
        f'  --data-raw "$BODY" {shlex.quote(url)}'
    )


def _signed(text: str, faults: frozenset[Fault], secret: SigningSecret) -> Crafted:
    body = text.encode("utf-8", "replace")
    if Fault.DOUBLE_ENCODED in faults:
        body = json.dumps(text).encode()
    key = "nobody's secret" if Fault.BAD_SIGNATURE in faults else secret
    headers = {"Content-Type": "application/json", VENDOR_HEADER: sign(key, body)}
    if Fault.TRUNCATED in faults:
        body = body[: len(body) // 2]
    return Crafted(headers, body)


def _changed(text: str, **changes: object) -> str:
    return _text({**_object(text, "have this fault"), **changes})


def _object(text: str, purpose: str) -> dict[str, Any]:
    try:
        payload = json.loads(text)
        payload = json.loads(payload) if isinstance(payload, str) else payload
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise ConsoleError(f"The payload must be a JSON object to {purpose}.", "Correct the JSON.")
    return payload


def _text(payload: Mapping[str, object]) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)


def known_faults(names: Sequence[str]) -> frozenset[Fault]:
    """Faults by their names. Raises ``ConsoleError`` for a name that is none."""
    try:
        return frozenset(Fault(name) for name in names)
    except ValueError as error:
        known = ", ".join(Fault)
        raise ConsoleError(f"{error}".capitalize() + ".", f"Use {known}.") from error
