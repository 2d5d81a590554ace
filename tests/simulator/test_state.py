"""Leases and transitions: who may work on a job, and that each step happens once."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from core.simulator.records import NewJob, Target
from core.simulator.state import State

HOOK = Target("https://receiver.example/")
EVENTS = ("parse.running", "parse.success", "parse.error", "parse.cancelled")
NEW = NewJob("a.pdf", "00", 1, "fast", 1, targets=(HOOK,))
LEASE_S = 3.0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[State, State]]:
    """Two processes on one folder."""
    with ExitStack() as stack:
        states = [State(tmp_path, "seed", LEASE_S, EVENTS) for _ in range(2)]
        for state in states:
            stack.callback(state.close)
        yield states[0], states[1]


def test_a_job_changes_hands_only_when_its_holder_is_gone(pair: tuple[State, State]) -> None:
    """While the lease holds nobody else takes the job, not even its holder twice; then one does."""
    first, second = pair
    job, _ = first.create(NEW, 100.0, None).result()
    assert second.adopt(101.0).result() == ([], [])
    first.hold(104.0).result()
    assert second.adopt(103.5).result() == ([], [])
    assert first.adopt(110.0).result() == ([], [])
    assert [taken.id for taken in second.adopt(110.0).result()[0]] == [job.id]
    assert first.start(job.id, 111.0).result() is None
    assert second.start(job.id, 111.0).result() is not None


def test_a_clock_set_back_does_not_lock_a_job(pair: tuple[State, State]) -> None:
    """A lease given before the clock was set back by an hour is not waited for."""
    first, second = pair
    job, _ = first.create(NEW, 10_000.0, None).result()
    assert [taken.id for taken in second.adopt(6_400.0).result()[0]] == [job.id]


def test_what_is_let_go_is_taken_at_once(pair: tuple[State, State]) -> None:
    """An orderly stop hands over jobs and undelivered events."""
    first, second = pair
    job, _ = first.create(NEW, 100.0, None).result()
    first.start(job.id, 100.0).result()
    first.hold(0.0).result()
    jobs, deliveries = second.adopt(100.5).result()
    assert [taken.id for taken in jobs] == [job.id]
    assert [event.event_type for event in deliveries] == ["parse.running"]


def test_each_step_happens_once(pair: tuple[State, State]) -> None:
    """A job is started and ended once, each with one event, and a final state stays."""
    state, _ = pair
    job, _ = state.create(NEW, 100.0, None).result()
    steps = [
        state.start(job.id, 101.0).result(),
        state.start(job.id, 101.0).result(),
        state.complete(job.id, 102.0, b"[]", pages=1, credits_=1).result(),
        state.complete(job.id, 103.0, b"[]", pages=5, credits_=5).result(),
        state.fail(job.id, 103.0, "late").result(),
        state.cancel(job.id, 103.0).result(),
    ]
    assert [step is not None for step in steps] == [True, False, True, False, False, False]
    assert state.ledger()["totals"] == {"jobs": 1, "pages": 1, "credits": 1}
    assert len(state.ledger()["webhooks"]) == 2


def test_whoever_cancels_wins_over_whoever_works(pair: tuple[State, State]) -> None:
    """A cancel through another process holds: the worker's result is not billed."""
    worker, other = pair
    job, _ = worker.create(NEW, 100.0, None).result()
    worker.start(job.id, 101.0).result()
    assert other.cancel(job.id, 102.0).result() is not None
    assert worker.complete(job.id, 103.0, b"[]", pages=1, credits_=1).result() is None
    assert worker.ledger()["totals"]["credits"] == 0


def test_secrets_do_not_leave_through_the_ledger(pair: tuple[State, State]) -> None:
    """The ledger is open on loopback; addresses, secrets and headers are not in it."""
    secret = replace(HOOK, secret="whsec_x", headers={"X-Token": "whsec_x"})
    state, _ = pair
    job, _ = state.create(replace(NEW, targets=(secret,)), 100.0, None).result()
    state.start(job.id, 101.0).result()
    assert "whsec_x" not in f"{state.ledger()} {job}"


def test_cut_off_uploads_are_swept(tmp_path: Path) -> None:
    """Only what was left long ago goes; an upload that another process receives stays."""
    State(tmp_path, "", LEASE_S, ()).close()
    old, fresh = tmp_path / "documents" / ".old", tmp_path / "documents" / ".fresh"
    for path in (old, fresh):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    State(tmp_path, "", LEASE_S, ()).close()
    assert (old.exists(), fresh.exists()) == (False, True)
