"""Bad days of LlamaParse, in short: no job is lost, none is paid twice, no stand-in goes unmarked."""

import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import delete

from core.console import Console
from core.domain.documents import EngineName
from core.domain.health import HealthPolicy
from core.domain.jobs import Job, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.jobs import SubmissionView
from core.serving import Served
from core.store.tables import HealthRow
from tests.factories import ALICE, finished, wait_until
from tests.vendor import Switches, a_vendor, pages_that, paid

# An outage of an hour in these times: everything that waits for minutes waits for seconds.
SCALED = HealthPolicy(in_a_row=3, open_s=0.5, longest_open_s=2, trial_s=5, slow_s=0.5)

_PER_MINUTE = 6000


@dataclass
class _Day:
    """A console and the service it talks to, and what the service was told to do wrong."""

    console: Console
    url: str
    switches: Switches


@contextmanager
def _day(
    make_console: Callable[..., Console], tmp_path: Path, mode: Mode, fail: tuple[int, ...] = ()
) -> Iterator[_Day]:
    switches = Switches()
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(2, fail))) as served:
        console = make_console(
            worker=True,
            api_key="llx-k",
            base_url=served.url,
            mode=mode.value,
            health=SCALED,
            health_interval_s=1,
            max_retries=0,
            timeout_s=3,
            requests_per_minute=_PER_MINUTE,
            hourly_request_limit=100_000,
            daily_limit_usd=1000,
        )
        yield _Day(console, served.url, switches)


def _press(day: _Day, mode: Mode, count: int, key: str = "press") -> str:
    console = day.console
    uploads = [
        console.submissions.preflight(f"{n}.txt", io.BytesIO(f"{key} {n}".encode()))
        for n in range(count)
    ]
    quote = console.submissions.quote(uploads, Tier.AGENTIC, mode, parse_again=True)
    return console.submissions.submit(quote, ALICE, key).id


def _some_done(day: _Day, submission: str) -> Callable[[], bool]:
    return lambda: any(
        job.status is JobStatus.COMPLETE for job in day.console.jobs.submission(submission).jobs
    )


def _check(day: _Day, jobs: Sequence[Job], mode: Mode) -> None:
    """Every job has its result, none is paid twice, each stand-in is marked."""
    assert {job.status for job in jobs} == {JobStatus.COMPLETE}
    bills = _bills(day, jobs)
    if mode is Mode.REAL:
        assert len(bills) == len(jobs)
    for job in jobs:
        pages = day.console.jobs.result(job).pages
        local = [page for page in pages if page.engine is EngineName.LOCAL]
        assert all(page.is_provisional for page in local)
        assert job.is_provisional == bool(local)
        assert mode is Mode.HYBRID or not local


def _bills(day: _Day, jobs: Sequence[Job]) -> Counter[str]:
    """How often the service was paid for each job: never twice, whatever attempts there were."""
    owners = {
        attempt.id: job.id for job in jobs for attempt in day.console.jobs.view(job.id).attempts
    }
    bills = Counter(owners[job["user_metadata"]["parsedeck_attempt"]] for job in paid(day.url))
    assert set(bills.values()) <= {1}
    return bills


def _lasts(day: _Day, seconds: float) -> None:
    """So long, and until some call met it: a trouble that nobody meets shows nothing."""
    met = day.switches.troubled
    wait_until(lambda: day.switches.troubled > met, within_s=120)
    time.sleep(seconds)


def _refuses(day: _Day, status: int, seconds: float) -> None:
    day.switches.status = status
    _lasts(day, seconds)
    day.switches.status = 0


def _outage(day: _Day) -> None:
    _refuses(day, 503, 4)


def _flapping(day: _Day) -> None:
    for _ in range(4):
        _refuses(day, 503, 0.7)
        time.sleep(0.7)


def _key_revoked(day: _Day) -> None:
    _refuses(day, 401, 3)


def _quota_gone(day: _Day) -> None:
    day.switches.submits_only = True
    _refuses(day, 402, 3)


def _slow(day: _Day) -> None:
    day.switches.late_s = 1.0
    _lasts(day, 4)
    day.switches.late_s = 0.0


def _state_lost(day: _Day) -> None:
    day.switches.status = 503
    for _ in range(4):
        _lasts(day, 0.8)
        with day.console.store.write() as tx:
            tx.execute(delete(HealthRow))
    day.switches.status = 0


_TROUBLES = [_outage, _flapping, _key_revoked, _quota_gone, _slow, _state_lost]


def _first_minute(day: _Day, since: float) -> int:
    """How many calls came in the minute after a trouble was over."""
    return sum(since <= at < since + 60 for at, _ in day.switches.asked)


def _drill(
    make_console: Callable[..., Console],
    tmp_path: Path,
    trouble: Callable[[_Day], None],
    mode: Mode,
    count: int,
) -> int:
    """Half of the documents before the trouble, half while it is on; the calls of the minute after it."""
    ended: list[float] = []

    def troubled(day: _Day) -> None:
        trouble(day)
        ended.append(time.monotonic())

    with _day(make_console, tmp_path, mode) as day:
        first = _press(day, mode, count // 2, "before")
        wait_until(_some_done(day, first), within_s=120)
        worker = threading.Thread(target=troubled, args=(day,))
        worker.start()
        # the other half comes in while it is on, so that submits meet it whatever else does
        wait_until(lambda: bool(day.switches.status or day.switches.late_s))
        second = _press(day, mode, count - count // 2, "meanwhile")
        views = [finished(day.console, one, within_s=600) for one in (first, second)]
        worker.join()
        assert day.switches.troubled
        _check(day, [job for view in views for job in view.jobs], mode)
        calls = _first_minute(day, ended[0])
    assert calls <= _PER_MINUTE
    return calls


def test_real_waits_out_an_empty_account(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """In the middle of a batch the credits end: what is not sent waits, and all is parsed once."""
    _drill(make_console, tmp_path, _quota_gone, Mode.REAL, 12)


def test_hybrid_goes_on_while_the_key_is_revoked(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """HYBRID finishes the batch with stand-ins, each marked, and pays for none of them."""
    _drill(make_console, tmp_path, _key_revoked, Mode.HYBRID, 12)


@pytest.mark.soak
@pytest.mark.parametrize("mode", [Mode.REAL, Mode.HYBRID])
@pytest.mark.parametrize("trouble", _TROUBLES)
def test_two_hundred_jobs_survive_any_bad_day(
    make_console: Callable[..., Console],
    tmp_path: Path,
    trouble: Callable[[_Day], None],
    mode: Mode,
    record_property: Callable[[str, object], None],
) -> None:
    """Two hundred jobs, any trouble, both modes that talk to the service."""
    calls = _drill(make_console, tmp_path, trouble, mode, 200)
    record_property("calls in the minute after it", calls)


@pytest.mark.soak
def test_half_the_pages_failing_loses_none(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Every second page fails at the service: LlamaParse's pages stay, the others are stand-ins."""
    with _day(make_console, tmp_path, Mode.HYBRID, fail=(2,)) as day:
        submission = _press(day, Mode.HYBRID, 50)
        view = finished(day.console, submission, within_s=300)
        _check_pages(day, view)


def _check_pages(day: _Day, view: SubmissionView) -> None:
    assert {job.status for job in view.jobs} <= {JobStatus.COMPLETE, JobStatus.PARTLY_PARSED}
    assert len(_bills(day, view.jobs)) == len(view.jobs)
    for job in view.jobs:
        assert day.console.jobs.result(job).pages[0].engine is EngineName.LLAMAPARSE


@pytest.mark.soak
def test_recovery_is_no_stampede(
    make_console: Callable[..., Console],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Forty jobs wait for the service; in its first minute it sees no more calls than the pace allows.

    As many as that are right: what waits has more to ask than a minute holds, and probes are paced with it.
    """
    switches = Switches(status=503)
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(1))) as served:
        console = make_console(
            worker=True,
            api_key="llx-k",
            base_url=served.url,
            mode="real",
            health=SCALED,
            health_interval_s=5,
            max_retries=0,
            requests_per_minute=60,
            hourly_request_limit=100_000,
            daily_limit_usd=1000,
        )
        wait_until(lambda: console.health.trouble() != "", within_s=60)
        day = _Day(console, served.url, switches)
        submission = _press(day, Mode.REAL, 40)
        wait_until(
            lambda: all(
                job.status is JobStatus.HELD for job in console.jobs.submission(submission).jobs
            ),
            within_s=120,
        )
        switches.status = 0
        recovered = time.monotonic()
        view = finished(console, submission, within_s=900)
        calls = _first_minute(day, recovered)
        record_property("calls in the minute after it", calls)
        assert calls <= 60
        _check(day, view.jobs, Mode.REAL)
