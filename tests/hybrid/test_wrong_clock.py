"""A host whose clock is an hour wrong, and what one left behind: nobody waits for that hour."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from core.clock import Clock, utc_now
from core.console import Console
from core.domain.health import BreakerState, HealthPolicy
from core.domain.jobs import JobStatus
from core.store import Store, pacing, workers
from core.store.clock import StoreClock
from core.store.tables import HealthRow, PaceRow
from tests.factories import finished, submitted, wait_until

HOUR = timedelta(hours=1)
LLAMAPARSE = "llamaparse"


def _off_by(hours: int) -> Clock:
    return lambda: utc_now() + hours * HOUR


@pytest.fixture(params=[1, -1], ids=["ahead", "behind"])
def hours(request: pytest.FixtureRequest) -> int:
    """By how many hours a clock is wrong."""
    wrong: int = request.param
    return wrong


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_host_with_a_wrong_clock_goes_by_the_databases(
    make_console: Callable[..., Console], database_url: str, hours: int
) -> None:
    """What it writes holds for the others as if its clock were right; Setup names the difference."""
    policy = HealthPolicy(in_a_row=1, open_s=600)
    make = partial(make_console, database_url=database_url, health=policy)
    wrong, right = make(clock=_off_by(hours)), make()
    assert wrong.watch.claim_probe("wrong", 30)
    assert not right.watch.claim_probe("right", 30)
    planned = right.watch.look().next_probe_at
    assert planned is not None
    assert timedelta(0) < planned - right.clock() <= timedelta(seconds=31)
    wrong.watch.heard("submit", "server", 0.1)
    wrong.watch.write_now()
    breaker = right.watch.look().breaker
    assert breaker.state is BreakerState.OPEN
    assert breaker.until is not None
    assert timedelta(0) < breaker.until - right.clock() <= timedelta(seconds=601)
    wrong.presence.begin()
    assert [lives for _one, lives in right.presence.known()] == [True]
    clocks = [fact.what for fact in wrong.setup.facts() if fact.topic == "Clock"]
    assert [what.endswith("the database's, which counts.") for what in clocks] == [True]
    assert not [fact for fact in right.setup.facts() if fact.topic == "Clock"]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_clock_that_is_set_while_it_runs_is_put_right(store: Store, hours: int) -> None:
    """An hour's leap of the machine lasts until the next comparison, and so does the way back."""
    off = timedelta(0)
    clock = StoreClock(store, lambda: utc_now() + off)
    for off in (timedelta(0), hours * HOUR, timedelta(0)):
        clock.compare()
        assert abs(clock() - utc_now()) < HOUR / 2
        assert abs(clock.ahead - off) < HOUR / 2


def test_the_prober_of_a_wrong_clock_keeps_nobody_from_probing(
    make_console: Callable[..., Console], database_url: str, hours: int
) -> None:
    """A probe that was planned an hour away is done now, by one process."""
    console = make_console(database_url=database_url)
    assert console.watch.claim_probe("wrong", 30)
    _write(console.store, next_probe_at=utc_now() + hours * HOUR)
    assert console.watch.claim_probe("one", 30)
    assert not console.watch.claim_probe("another", 30)


def test_a_breaker_that_a_wrong_clock_opened_lets_trials_through(
    make_console: Callable[..., Console], database_url: str, hours: int
) -> None:
    """Neither its time nor its grants of an hour away are waited for."""
    console = make_console(database_url=database_url)
    at = utc_now() + hours * HOUR
    console.watch.gate()
    _write(
        console.store,
        state="open",
        since=at,
        until=at + timedelta(minutes=5),
        reason="in_a_row",
        words="5 calls in a row failed.",
    )
    assert console.watch.look().breaker.state is BreakerState.HALF_OPEN
    assert console.watch.gate() == ""
    _write(console.store, granted=console.watch.policy.trials, granted_at=at)
    assert console.watch.gate() == ""


def test_what_a_process_with_a_wrong_clock_left_is_taken_over(
    make_console: Callable[..., Console], database_url: str, hours: int
) -> None:
    """The heartbeat of a dead process, an hour away, is no sign of life."""
    console = make_console(database_url=database_url)
    at = utc_now() + hours * HOUR
    with console.store.write() as tx:
        workers.start(tx, workers.Worker("exe-gone", "elsewhere", 1, at, at))
    assert not console.has_worker()
    console.run_worker()
    wait_until(lambda: "exe-gone" not in _running(console.store))


@pytest.mark.parametrize("ahead_s", [1, 1800, 7200])
def test_turns_taken_by_a_clock_that_was_ahead_are_not_waited_for(
    store: Store, ahead_s: float
) -> None:
    """However far it is set back: one waits as if it had been right all the time, no longer and no less."""
    then = time.time() + ahead_s
    with store.write() as tx:
        turns = [then - 20, then - 10]
        tx.add(PaceRow(key="key", turns=turns, not_before=0, asked_at=then))
        tx.add(PaceRow(key="held", turns=[], not_before=then + 30, asked_at=then))
        # far ahead, as where many wait: those are taken, and no wrong clock's
        waits = [then + 20, then + 40]
        tx.add(PaceRow(key="queued", turns=waits, not_before=0, asked_at=then))
    with store.write() as tx:
        assert 39 < pacing.take_turn(tx, "key", 2).wait_s <= 40
        assert 29 < pacing.take_turn(tx, "held", 2).wait_s <= 30
        assert 79 < pacing.take_turn(tx, "queued", 2).wait_s <= 80


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_machine_whose_clock_is_set_back_goes_on_at_its_pace(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an hour back after a turn and a rest: the next ones wait a minute and half of one, not half an hour."""
    now = time.time()
    clock = SimpleNamespace(time=lambda: now)
    monkeypatch.setattr("core.store.pacing.time", clock)
    with store.write() as tx:
        assert pacing.take_turn(tx, "key", 1).wait_s == 0
        pacing.hold(tx, "other", 30)
    now -= HOUR.total_seconds() / 2
    with store.write() as tx:
        assert pacing.take_turn(tx, "key", 1).wait_s == pytest.approx(60)
        pacing.hold(tx, "other", 10)
        assert pacing.take_turn(tx, "other", 1).wait_s == pytest.approx(30)


def _write(store: Store, **facts: object) -> None:
    with store.write() as tx:
        row = tx.get(HealthRow, LLAMAPARSE)
        assert row is not None
        for name, value in facts.items():
            setattr(row, name, value)
        tx.add(row)


def _running(store: Store) -> set[str]:
    with store.read() as tx:
        return {one.executor_id for one in workers.known(tx)}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_host_with_a_wrong_clock_parses_like_any_other(
    make_console: Callable[..., Console], database_url: str, hours: int
) -> None:
    """Its document is sent, told of by a webhook that is accepted, stored, and dated by the database's clock."""
    console = make_console(worker=True, database_url=database_url, clock=_off_by(hours))
    submission = submitted(console, {"a.txt": b"some words"})
    job = finished(console, submission.id).jobs[0]
    assert job.status is JobStatus.COMPLETE
    assert abs(job.created_at - utc_now()) < HOUR / 2
    deliveries = console.jobs.view(job.id).deliveries
    assert {one.verdict for one in deliveries} == {"accepted"}
