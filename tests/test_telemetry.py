"""What the log tells of a document."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import structlog

from core.console import Console
from core.telemetry import configure_logs
from tests.factories import finished, submitted, wait_until


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
    """Every line about a document carries the id of its submission: made, submitted, announced by a webhook."""
    console = make_console(worker=True)
    submission = submitted(console, {"a.txt": b"one", "b.txt": b"two"})
    finished(console, submission.id)

    def events() -> list[str]:
        return [x["event"] for x in lines() if x.get("correlation_id") == submission.correlation_id]

    wait_until(lambda: events().count("accepted") >= 2)
    assert {"job made": 2, "submitted": 2}.items() <= Counter(events()).items()
    about = [line for line in lines() if line.get("job_id") in submission.job_ids]
    assert {line.get("correlation_id") for line in about} == {submission.correlation_id}
