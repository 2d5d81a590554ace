"""Facts that tests need, with short names."""

import io
import json
import socket
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from core.console import Console
from core.domain.jobs import Actor, Submission
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.jobs import SubmissionView
from core.store.deliveries import Delivery

__all__ = ["ALICE", "a_delivery", "finished", "free_port", "submitted", "wait_until"]

ALICE = Actor("alice")


def submitted(
    console: Console, files: Mapping[str, bytes], *, tier: Tier = Tier.AGENTIC, key: str = "press-1"
) -> Submission:
    """Alice drops these files and presses Parse."""
    uploads = [
        console.submissions.preflight(name, io.BytesIO(data)) for name, data in files.items()
    ]
    quote = console.submissions.quote(uploads, tier, Mode.MOCK, parse_again=True)
    return console.submissions.submit(quote, ALICE, key)


def finished(console: Console, submission_id: str, *, within_s: float = 60) -> SubmissionView:
    """The submission once no job of it is under way."""
    wait_until(lambda: console.jobs.submission(submission_id).is_finished, within_s=within_s)
    return console.jobs.submission(submission_id)


def wait_until(holds: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait for a fact; fails when it does not come to hold."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.05)


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def a_delivery(number: int, at: datetime, **facts: object) -> Delivery:
    """An event that came at that moment; accepted, of no known job, unless the facts say otherwise."""
    plain: dict[str, object] = {
        "id": f"dlv-{number:06}",
        "event_id": f"e-{number}",
        "event_type": "parse.success",
        "vendor_job_id": f"pjb-{number}",
        "scope": "mock",
        "verdict": "accepted",
        "reason": "",
        "secret_label": "",
        "headers": {},
        "body": json.dumps({"number": f"<{number}>"}).encode(),
        "body_size": 10,
        "received_at": at,
        "duration_ms": 1.0,
        "event_at": None,
        **facts,
    }
    return Delivery(**plain)  # type: ignore[arg-type]
