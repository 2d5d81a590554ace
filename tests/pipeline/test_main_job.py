"""The main job on both databases: documents in, markdown and a verified webhook out."""

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial

import httpx2 as httpx
import pytest

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.samples import sample_documents
from core.simulator import SimulatorConfig
from core.webhooks.signatures import sign
from tests.factories import ALICE, finished, submitted, wait_until

Maker = Callable[..., Console]


def _all_applied(console: Console, job_id: str) -> bool:
    found = [d for d in console.jobs.view(job_id).deliveries if d.verdict == "accepted"]
    return bool(found) and all(d.applied_at for d in found)


def test_documents_become_markdown_announced_by_a_verified_webhook(make_console: Maker) -> None:
    """Each document is submitted once, parsed, announced by a signed event, and billed."""
    console = make_console(worker=True)
    submission = submitted(console, sample_documents())
    view = finished(console, submission.id)
    assert [job.status for job in view.jobs] == [JobStatus.COMPLETE] * 3
    for job in view.jobs:
        detail = console.jobs.view(job.id)
        assert [a.submits for a in detail.attempts] == [1]
        events = [e for e in detail.timeline if e.subject == "webhook"]
        assert any(e.after == "parse.success" and "verified" in e.cause for e in events)
        wait_until(partial(_all_applied, console, job.id))
    welcome = next(job for job in view.jobs if job.name == "welcome.pdf")
    assert "You are reading the markdown" in console.jobs.markdown_of(welcome).decode()
    assert console.spend.today(Mode.MOCK).settled_usd == submission.estimated_usd


def test_documents_and_results_may_live_in_a_bucket(make_console: Maker, bucket: str) -> None:
    """With an object store the main job is the same: upload, parse, read, download."""
    console = make_console(worker=True, blob_url=bucket)
    view = finished(console, submitted(console, sample_documents()).id)
    assert [job.status for job in view.jobs] == [JobStatus.COMPLETE] * 3
    assert all(console.jobs.result(job).pages for job in view.jobs)
    assert console.jobs.original(view.jobs[0]) == sample_documents()[view.jobs[0].name]
    assert not (console.settings.data_dir / "blobs").exists()


def test_every_line_of_the_timeline_has_an_actor_and_a_cause(make_console: Maker) -> None:
    """Every state change has an actor and a cause."""
    console = make_console(worker=True)
    submission = submitted(console, {"a.txt": b"hello"})
    view = finished(console, submission.id)
    timeline = console.jobs.view(view.jobs[0].id).timeline
    assert len(timeline) > 5
    assert all(entry.actor and entry.cause for entry in timeline)


def test_a_double_click_makes_one_submission(make_console: Maker) -> None:
    """The same press of Parse twice is paid once."""
    console = make_console()
    first = submitted(console, {"a.txt": b"hello"}, key="one press")
    second = submitted(console, {"a.txt": b"hello"}, key="one press")
    assert first.id == second.id
    assert sum(console.jobs.counts().values()) == 1


def test_broken_files_never_stop_good_ones(make_console: Maker) -> None:
    """Files that cannot be read make no job and cost nothing; the others are parsed."""
    console = make_console(worker=True)
    files = {f"good-{n}.txt": f"text {n}".encode() for n in range(5)}
    files |= {"empty.pdf": b"", "fake.pdf": b"just text"}
    view = finished(console, submitted(console, files).id)
    assert sorted(job.name for job in view.jobs) == sorted(n for n in files if n.startswith("good"))
    assert {job.status for job in view.jobs} == {JobStatus.COMPLETE}


def test_a_job_over_the_limit_is_held_and_starts_when_there_is_room(
    make_console: Maker,
) -> None:
    """Over a limit a job waits with a reason; when the limit is raised it starts by itself."""
    console = make_console(worker=True, hourly_request_limit=1)
    submission = submitted(console, {"a.txt": b"one", "b.txt": b"two"})
    wait_until(lambda: console.jobs.counts().get(JobStatus.COMPLETE, 0) == 1)
    held = [
        job for job in console.jobs.submission(submission.id).jobs if job.status is JobStatus.HELD
    ]
    assert [("submits" in job.reason) for job in held] == [True]
    hourly = ("all", Window.HOUR, Unit.SUBMITS)
    console.limits.change("mock", hourly, "10", ALICE, "a busy day")
    view = finished(console, submission.id)
    assert {job.status for job in view.jobs} == {JobStatus.COMPLETE}


def test_a_cancelled_job_stops_and_can_be_retried(make_console: Maker) -> None:
    """Cancel reaches the vendor; a retry opens a new generation, by a named person."""
    console = make_console(worker=True, simulator=SimulatorConfig(pending_s=30))
    submission = submitted(console, {"a.txt": b"slow"})
    job_id = submission.job_ids[0]
    wait_until(lambda: console.jobs.view(job_id).attempts[0].status is AttemptStatus.RUNNING)
    console.jobs.cancel([job_id], ALICE)
    wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.CANCELLED)
    retried = console.jobs.retry([job_id], ALICE)
    assert (retried[0].generation, retried[0].status) == (2, JobStatus.PARSE_QUEUED)


def test_what_is_complete_cannot_be_retried_or_cancelled(make_console: Maker) -> None:
    """A final state regresses only by what the house allows."""
    console = make_console(worker=True)
    view = finished(console, submitted(console, {"a.txt": b"hello"}).id)
    with pytest.raises(NotAllowed):
        console.jobs.cancel([view.jobs[0].id], ALICE)
    with pytest.raises(NotAllowed):
        console.jobs.retry([view.jobs[0].id], ALICE)


def test_a_late_event_is_recorded_and_changes_nothing(make_console: Maker) -> None:
    """An event after the end is kept, applied once, and moves no state."""
    console = make_console(worker=True)
    view = finished(console, submitted(console, {"a.txt": b"hello"}).id)
    job_id = view.jobs[0].id
    attempt = console.jobs.view(job_id).attempts[0]
    secret = (console.settings.data_dir / "mock-webhook-secret").read_text()
    event = {
        "event_id": "late-1",
        "event_type": "parse.error",
        "timestamp": time.time(),
        "data": {"job_id": attempt.vendor_job_id},
    }
    body = json.dumps(event).encode()
    headers = {"LC-Signature": sign(secret, body)}
    receipts = [asyncio.run(console.receiver.receive(headers, body)) for _ in range(2)]
    assert [(r.status_code, r.duplicate) for r in receipts] == [(200, False), (200, True)]
    wait_until(
        lambda: any(
            "late" in e.cause for e in console.jobs.view(job_id).timeline if e.subject == "webhook"
        )
    )
    assert console.jobs.view(job_id).job.status is JobStatus.COMPLETE


def test_the_simulator_names_itself(make_console: Maker) -> None:
    """Every answer of the simulator says that it is one."""
    console = make_console(worker=True)
    answer = httpx.get(f"{console.simulator_url}/api/v2/parse/versions")
    assert "X-Parsedeck-Simulator" in answer.headers


def test_calls_to_the_vendor_are_counted_by_outcome(make_console: Maker) -> None:
    """Whoever watches /metrics sees how often the vendor was called, how it ended, how long it took."""
    console = make_console(worker=True)
    finished(console, submitted(console, {"a.txt": b"hello"}).id)
    shown = console.metrics.text().decode()
    labels = 'mode="mock",operation="submit",outcome="ok"'
    assert f"parsedeck_vendor_calls_total{{{labels}}} 1.0" in shown
    assert 'parsedeck_vendor_call_seconds_count{mode="mock",operation="submit"} 1.0' in shown
