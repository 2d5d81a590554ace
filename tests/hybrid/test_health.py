"""The breaker in the house: one state for all processes, jobs that wait and go on, one prober."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, delete, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.api import all_routes
from core.clock import utc_now
from core.console import Console
from core.domain.documents import EngineName
from core.domain.health import BreakerState, HealthPolicy, Hold, OpenReason
from core.domain.jobs import JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.pipeline.health import Watch
from core.serving import Served
from core.store import health
from core.store.tables import HealthRow, PaceRow
from tests.factories import ALICE, finished, wait_until
from tests.vendor import Switches, a_vendor, pages_that, paid

QUICK = HealthPolicy(in_a_row=3, open_s=1, longest_open_s=2, trial_s=5)
VENDOR = "llamaparse"


@contextmanager
def _served(tmp_path: Path, switches: Switches) -> Iterator[Served]:
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(1))) as served:
        yield served


def _press(console: Console, mode: Mode, names: str = "ab", key: str = "press") -> str:
    uploads = [
        console.submissions.preflight(f"{n}.txt", io.BytesIO(f"words {n}".encode())) for n in names
    ]
    quote = console.submissions.quote(uploads, Tier.AGENTIC, mode, parse_again=True)
    return console.submissions.submit(quote, ALICE, key).id


def _all(console: Console, submission_id: str, status: JobStatus) -> Callable[[], bool]:
    return lambda: all(j.status is status for j in console.jobs.submission(submission_id).jobs)


def _state(console: Console) -> BreakerState:
    return console.health.look().breaker.state


@pytest.mark.parametrize(
    "status", [503, *(pytest.param(other, marks=pytest.mark.soak) for other in (401, 402))]
)
def test_in_real_jobs_wait_and_go_on_by_themselves(
    make_console: Callable[..., Console], tmp_path: Path, status: int
) -> None:
    """An outage holds what comes in, with the reason; when it is over each is parsed and paid once."""
    switches = Switches(status=status)
    with _served(tmp_path, switches) as service:
        console = make_console(
            worker=True,
            api_key="llx-k",
            base_url=service.url,
            mode="real",
            health=QUICK,
            health_interval_s=1,
            max_retries=0,
        )
        wait_until(lambda: _state(console) is not BreakerState.CLOSED)
        submission = _press(console, Mode.REAL)
        wait_until(_all(console, submission, JobStatus.HELD))
        held = console.jobs.submission(submission).jobs[0]
        assert held.hold == "vendor"
        assert held.reason
        assert held.next_step
        switches.status = 0
        view = finished(console, submission, within_s=60)
        assert {job.status for job in view.jobs} == {JobStatus.COMPLETE}
        assert not any(job.is_provisional for job in view.jobs)
        taken = Counter(job["user_metadata"]["parsedeck_attempt"] for job in paid(service.url))
        changes = [(c.before, c.after) for c in _changes(console)]
    assert sorted(taken.values()) == [1, 1]
    assert changes[-1] == ("closed", "open")
    assert changes[0][1] == "closed"


def _changes(console: Console) -> tuple[health.HealthChange, ...]:
    with console.store.read() as tx:
        return health.changes(tx, VENDOR, limit=100)


def test_in_hybrid_nobody_waits_for_a_broken_vendor(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """With an open breaker HYBRID makes stand-ins: planned as such, free, nothing sent."""
    switches = Switches(status=401)
    with _served(tmp_path, switches) as service:
        console = make_console(
            worker=True, api_key="llx-k", base_url=service.url, mode="hybrid", health_interval_s=1
        )
        wait_until(lambda: _state(console) is BreakerState.OPEN)
        view = finished(console, _press(console, Mode.HYBRID))
    assert [(j.status, j.is_provisional) for j in view.jobs] == [(JobStatus.COMPLETE, True)] * 2
    assert "401" in view.jobs[0].plan.reason
    assert console.spend.today(Mode.HYBRID).total_usd == 0
    assert not switches.submits()


def test_the_breaker_is_one_for_all_processes_and_so_is_the_prober(
    make_console: Callable[..., Console], tmp_path: Path, database_url: str
) -> None:
    """What one process learns the others know; each interval one of them probes."""
    switches = Switches()
    with _served(tmp_path, switches) as service:
        facts = {
            "api_key": "llx-k",
            "base_url": service.url,
            "mode": "real",
            "database_url": database_url,
        }
        first = make_console(worker=True, health_interval_s=2, **facts)
        second = make_console(**facts)
        third = make_console(**facts)
        claimed = [
            third.watch.claim_probe("third", 2),
            second.watch.claim_probe("second", 2),
        ]
        assert sum(claimed) <= 1
        wait_until(lambda: bool(switches.asked))
        probes = len(switches.asked)
        switches.status = 402
        switches.submits_only = True
        job = _press(first, Mode.REAL, "a")
        wait_until(_all(first, job, JobStatus.HELD))
        wait_until(lambda: _state(second) is BreakerState.OPEN)
        assert second.health.look().breaker.reason is OpenReason.QUOTA
        assert second.watch.gate() != ""
    assert probes <= 2


def test_a_pause_that_the_service_asks_for_is_kept(
    make_console: Callable[..., Console], tmp_path: Path, database_url: str
) -> None:
    """Retry-After: for so long nothing is sent and nobody probes, however often one is asked to; then it is tried."""
    hour = timedelta(hours=1)
    moment = [timedelta(0)]
    policy = HealthPolicy(in_a_row=2, open_s=1)
    with _served(tmp_path, Switches(status=503, retry_after_s=3600)) as service:
        console = make_console(
            api_key="llx-k",
            base_url=service.url,
            mode="real",
            health=policy,
            database_url=database_url,
            clock=lambda: utc_now() + moment[-1],
        )
        assert console.watch.claim_probe("one", 1)
        for _ in range(2):
            console.health.ask_now()
    known = console.health.look()
    assert known.breaker.state is BreakerState.OPEN
    assert known.breaker.until is not None
    assert hour - timedelta(minutes=1) < known.breaker.until - console.clock() <= hour
    assert known.next_probe_at == known.breaker.until
    watch = Watch(
        console.store, EngineName.LLAMAPARSE, policy, lambda: utc_now() + moment[-1], lambda: "UTC"
    )
    for minutes, may in ((10, False), (50, False), (61, True)):
        moment.append(timedelta(minutes=minutes))
        assert watch.claim_probe("another", 1) is may
        assert (watch.gate() == "") is may


def test_probes_take_turns_of_the_pace(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """What the service sees in a minute is never more than the pace, the probes included."""
    switches = Switches()
    with _served(tmp_path, switches) as service:
        facts = {"api_key": "llx-k", "base_url": service.url, "mode": "real"}
        console = make_console(worker=True, health_interval_s=1, **facts)
        wait_until(lambda: len(switches.asked) >= 2)
        with console.store.read() as tx:
            (turns,) = tx.execute(select(col(PaceRow.turns))).scalars()
        # a turn may have been taken and its call be on the way
        assert len(turns) >= 2
        assert len(switches.asked) <= len(turns) + 1


def test_a_lost_state_is_found_again(make_console: Callable[..., Console], tmp_path: Path) -> None:
    """Without its row the breaker is what the last calls lead to, not blindly closed."""
    console = make_console()
    console.watch.start()
    console.watch.heard("probe", "unauthorized", 0.1)
    wait_until(lambda: _state(console) is BreakerState.OPEN)
    with console.store.write() as tx:
        tx.execute(delete(HealthRow))
    assert _state(console) is BreakerState.OPEN
    assert "401" in console.watch.gate()


def test_an_outage_is_noticed_without_traffic_and_over_without_waiting(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """One probe an hour would never tell, so a failed one is followed at once; the one that works ends it."""
    switches, patient = Switches(status=503), HealthPolicy(in_a_row=3, open_s=3600)
    facts = {"api_key": "llx-k", "mode": "real", "health": patient}
    with _served(tmp_path, switches) as service:
        hourly = make_console(worker=True, base_url=service.url, health_interval_s=3600, **facts)
        wait_until(lambda: _state(hourly) is BreakerState.OPEN)
        hourly.close()
        often = make_console(worker=True, base_url=service.url, health_interval_s=1, **facts)
        with often.store.write() as tx:
            health.hasten_probe(tx, VENDOR, often.clock())
        failed = len(switches.asked)
        wait_until(lambda: len(switches.asked) > failed)
        switches.status = 0
        wait_until(lambda: _state(often) is BreakerState.CLOSED)
        assert _changes(often)[0].reason == "trials went well"


def _engines(console: Console) -> set[str]:
    exposed = TestClient(Starlette(routes=all_routes(console))).get("/metrics").text
    return {line for line in exposed.splitlines() if line.startswith("parsedeck_engine{")}


def test_whoever_watches_the_metrics_sees_an_outage(make_console: Callable[..., Console]) -> None:
    """/metrics tells the state of each engine, and only the present one."""
    console = make_console()
    local = 'parsedeck_engine{engine="local",state="closed"} 1.0'
    assert _engines(console) == {
        'parsedeck_engine{engine="llamaparse",state="closed"} 1.0',
        local,
    }
    console.watch.heard("submit", "quota", 0.1)
    console.watch.write_now()
    assert _engines(console) == {'parsedeck_engine{engine="llamaparse",state="open"} 1.0', local}
    console.watch.hold(Hold(console.clock() + timedelta(minutes=5), "alice", "a test"))
    assert _engines(console) == {'parsedeck_engine{engine="llamaparse",state="held"} 1.0', local}


def test_a_person_can_hold_llamaparse_for_a_while(make_console: Callable[..., Console]) -> None:
    """A hold stops what would be sent, ends by itself or by a person, and stands on record."""
    console = make_console()
    until = console.clock() + timedelta(minutes=5)
    console.watch.hold(Hold(until, "alice", "key rotation"))
    assert "key rotation" in console.watch.gate()
    assert console.watch.room(5) == 0
    console.watch.release("bob", "rotated")
    assert console.watch.gate() == ""
    assert [(c.actor, c.reason) for c in _changes(console)] == [
        ("bob", "rotated"),
        ("alice", "key rotation"),
    ]
    console.watch.hold(Hold(console.clock(), "alice", "a moment"))
    assert console.watch.gate() == ""
