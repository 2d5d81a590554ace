"""A key that is gone after a restart: what needs it waits and says so, and goes on when it is back."""

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from core.console import Console
from core.domain.documents import EngineName, ParsedDocument
from core.domain.jobs import AttemptStatus, Job, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.engines.protocol import ParseEngine
from core.errors import KeyMissing
from core.pipeline.driver import Driver
from core.serving import Served
from tests.factories import ALICE, finished, wait_until
from tests.vendor import Switches, a_vendor, pages_that, paid


@contextmanager
def _served(tmp_path: Path, may_end: Event | None = None) -> Iterator[str]:
    """A service whose jobs end only when they may."""

    async def read(path: Path, name: str, target_pages: str) -> ParsedDocument:
        while may_end is not None and not may_end.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.05)
        return await pages_that(1)(path, name, target_pages)

    with Served(a_vendor(tmp_path / "vendor", Switches(), read)) as served:
        yield served.url


@pytest.fixture
def make(make_console: Callable[..., Console], database_url: str) -> Callable[..., Console]:
    """Consoles of one installation."""
    return partial(make_console, database_url=database_url, health_interval_s=1)


def _press(console: Console, mode: Mode) -> str:
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"some words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, mode)
    return console.submissions.submit(quote, ALICE, "press").id


def _only(console: Console, submission: str) -> Job:
    return console.jobs.submission(submission).jobs[0]


def _without_the_key(make: Callable[..., Console], before: Console, url: str) -> Console:
    """The same installation after a restart that lost the key."""
    before.close()
    return make(worker=True, base_url=url, mode="real")


def _goes_on_with_a_key(make: Callable[..., Console], url: str, submission: str) -> None:
    """A start with the key brings the result, and it is paid once."""
    again = make(worker=True, api_key="llx-k", base_url=url, mode="real")
    assert finished(again, submission).jobs[0].status is JobStatus.COMPLETE
    assert len(paid(url)) == 1


def test_a_real_job_that_was_not_sent_is_held_until_there_is_a_key(
    make: Callable[..., Console], tmp_path: Path
) -> None:
    """REAL without a key: held with that reason at once, not failed; with a key it goes on and is paid once."""
    with _served(tmp_path) as url:
        first = make(api_key="llx-k", base_url=url, mode="real")
        submission = _press(first, Mode.REAL)
        without = _without_the_key(make, first, url)
        wait_until(lambda: _only(without, submission).status is JobStatus.HELD)
        held = _only(without, submission)
        assert (held.hold, held.reason) == ("vendor", "LlamaParse has no key.")
        assert "LLAMAPARSE_API_KEY" in held.next_step
        without.close()
        _goes_on_with_a_key(make, url, submission)


def test_a_hybrid_job_that_was_not_sent_goes_on_here_without_a_key(
    make: Callable[..., Console], tmp_path: Path
) -> None:
    """HYBRID without a key: the local engine stands in, marked, and nothing is paid."""
    with _served(tmp_path) as url:
        first = make(api_key="llx-k", base_url=url, mode="hybrid")
        submission = _press(first, Mode.HYBRID)
        first.close()
        job = finished(make(worker=True, base_url=url, mode="hybrid"), submission).jobs[0]
        assert (job.status, job.is_provisional) == (JobStatus.COMPLETE, True)
        assert not paid(url)


def test_what_was_sent_is_fetched_when_the_key_is_back(
    make: Callable[..., Console], tmp_path: Path
) -> None:
    """A job at LlamaParse is neither failed nor sent again while nobody can ask about it."""
    may_end = Event()
    with _served(tmp_path, may_end) as url:
        first = make(worker=True, api_key="llx-k", base_url=url, mode="real")
        submission = _press(first, Mode.REAL)
        job_id = _only(first, submission).id

        def status(console: Console) -> AttemptStatus:
            return console.jobs.view(job_id).attempts[0].status

        wait_until(lambda: status(first) is AttemptStatus.RUNNING)
        without = _without_the_key(make, first, url)
        wait_until(lambda: _only(without, submission).reason == "LlamaParse has no key.")
        assert status(without) is AttemptStatus.RUNNING
        assert "is fetched then" in _only(without, submission).next_step
        without.close()
        may_end.set()
        _goes_on_with_a_key(make, url, submission)


def test_a_bill_that_nobody_can_ask_for_without_a_key_waits(
    make: Callable[..., Console], tmp_path: Path
) -> None:
    """What a job was billed is asked for later; meanwhile the care goes on with everything else."""
    with _served(tmp_path) as url:
        console = make(worker=True, api_key="llx-k", base_url=url, mode="real")
        job = finished(console, _press(console, Mode.REAL)).jobs[0]
        attempt = console.jobs.view(job.id).attempts[0]

    def no_key(_mode: Mode, _name: EngineName) -> ParseEngine:
        raise KeyMissing

    worker = console._worker
    assert worker is not None
    driver = Driver(replace(worker._r, engine_of=no_key), "exe-test")
    assert asyncio.run(driver.settle_late(attempt.id)) is False
