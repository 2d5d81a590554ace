"""A recorded sequence of deliveries as a file that tests can run: bytes and verdicts, no secrets."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.errors import ConsoleError
from core.store.deliveries import Delivery

__all__ = ["Step", "dump", "load"]


@dataclass(frozen=True, slots=True)
class Step:
    """One delivery: when it came, its bytes, who had signed it (nobody we know: empty), its verdict."""

    at: datetime
    content_type: str
    body: bytes
    signed_by: str
    verdict: str


def dump(recorded: Sequence[Delivery]) -> str:
    """The file. Refused deliveries whose body was kept in part only are left out."""
    steps = [
        {
            "at": delivery.received_at.isoformat(),
            "content_type": str(delivery.headers.get("content-type", "")),
            "body_base64": base64.b64encode(delivery.body).decode(),
            "signed_by": delivery.scope,
            "verdict": delivery.verdict,
        }
        for delivery in recorded
        if len(delivery.body) == delivery.body_size
    ]
    about = "Deliveries in the order they came; tests/webhooks/test_replay.py runs such files."
    return json.dumps({"about": about, "deliveries": steps}, indent=1) + "\n"


def load(text: str) -> tuple[Step, ...]:
    """The steps of a file. Raises ``ConsoleError`` for what is none."""
    try:
        return tuple(
            Step(
                datetime.fromisoformat(step["at"]),
                str(step["content_type"]),
                base64.b64decode(step["body_base64"], validate=True),
                str(step["signed_by"]),
                str(step["verdict"]),
            )
            for step in json.loads(text)["deliveries"]
        )
    except (ValueError, LookupError, TypeError) as error:
        raise ConsoleError("This is no saved sequence of deliveries.") from error
