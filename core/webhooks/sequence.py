"""A recorded sequence of deliveries as a file that tests can run: bytes and verdicts, no secrets."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import ConsoleError
from core.store.deliveries import DUPLICATE, Delivery

__all__ = ["Step", "dump", "load"]


@dataclass(frozen=True, slots=True)
class Step:
    """One delivery: when it came, its bytes, who had signed it (nobody we know: empty), its verdict."""

    at: datetime
    content_type: str
    body: bytes
    signed_by: str
    verdict: str
    content_encoding: str = ""
    is_signed: bool = True
    is_replay: bool = False


def dump(recorded: Sequence[Delivery]) -> str:
    """The file. What could not be sent again as it came is left out, and named with the reason."""
    steps, left_out = [], []
    known: set[tuple[str, str]] = set()
    for delivery in recorded:
        key = delivery.scope, delivery.event_id
        if why := _why_not(delivery, is_known=key in known):
            left_out.append({"id": delivery.id, "verdict": delivery.verdict, "why": why})
            continue
        if not delivery.is_refused and not delivery.replay_of:
            known.add(key)
        steps.append(
            {
                "at": delivery.received_at.isoformat(),
                "content_type": str(delivery.headers.get("content-type", "")),
                "content_encoding": str(delivery.headers.get("content-encoding", "")),
                "body_base64": base64.b64encode(delivery.body).decode(),
                "is_signed": delivery.verdict != "missing_signature",
                "signed_by": delivery.scope,
                "is_replay": bool(delivery.replay_of),
                "verdict": delivery.verdict,
            }
        )
    about = "Deliveries in the order they came; tests/webhooks/test_replay.py runs such files."
    file = {"about": about, "deliveries": steps, "left_out": left_out}
    return json.dumps(file, indent=1) + "\n"


def _why_not(delivery: Delivery, *, is_known: bool) -> str:
    """Why a delivery cannot be sent again and get the same verdict; empty when it can."""
    if delivery.verdict == "flood":
        return "It is no delivery: it says how many were refused and not kept."
    if not delivery.is_whole:
        return "Not all of its body is on record."
    if delivery.verdict == DUPLICATE and not is_known:
        return "It repeats an event whose first delivery is not among these."
    return ""


def load(text: str) -> tuple[Step, ...]:
    """The steps of a file. Raises ``ConsoleError`` for what is none, or has none."""
    try:
        file = json.loads(text)
        steps = tuple(_step(step) for step in file["deliveries"])
        reasons = {str(one["why"]) for one in file.get("left_out", ())}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConsoleError("This is no saved sequence of deliveries.") from error
    if not steps:
        raise ConsoleError(" ".join(["No delivery in this sequence can be run.", *sorted(reasons)]))
    return steps


def _step(step: dict[str, Any]) -> Step:
    return Step(
        datetime.fromisoformat(step["at"]),
        str(step["content_type"]),
        base64.b64decode(step["body_base64"], validate=True),
        str(step["signed_by"]),
        str(step["verdict"]),
        # not in files of before
        str(step.get("content_encoding", "")),
        bool(step.get("is_signed", True)),
        bool(step.get("is_replay", False)),
    )
