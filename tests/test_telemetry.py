"""What the log tells of a document."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import structlog

from core.console import Console
from core.telemetry import configure_logs
from tests.factories import ALICE, submitted, wait_until


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, str]]]]:
    """The lines of the log so far."""
    stream = io.StringIO()
    configure_logs(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()


def test_one_correlation_id_leads_from_the_upload_to_the_webhook(
    make_console: Callable[..., Console], lines: Callable[[], list[dict[str, str]]]
) -> None:
    """Every line about a document carries its submission's id: made, submitted, announced, handed on."""
    console = make_console(worker=True, downstream_private=True)
    console.downstreams.add("http://127.0.0.1:9/nobody", ALICE)
    submission = submitted(console, {"a.txt": b"one", "b.txt": b"two"})

    def events() -> list[str]:
        return [x["event"] for x in lines() if x.get("correlation_id") == submission.correlation_id]

    wait_until(lambda: min(map(events().count, ("accepted", "handed off"))) >= 2)
    assert {"job made": 2, "submitted": 2}.items() <= Counter(events()).items()
    about = [line for line in lines() if line.get("job_id") in submission.job_ids]
    assert {line.get("correlation_id") for line in about} == {submission.correlation_id}
