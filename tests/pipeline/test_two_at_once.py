"""Two processes at one job: each judges by what the other wrote, on both databases."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.admission import admit
from core.pipeline.driver import SYSTEM
from core.store import Transaction, jobs
from tests.factories import ALICE, submitted
from tests.pipeline.test_handoff import stage

__all__ = ["stage"]

Maker = Callable[..., Console]
T = TypeVar("T")


def _meanwhile(
    console: Console, first: Callable[[Transaction], object], then: Callable[[], T]
) -> Future[T]:
    """``then`` begins while the transaction of ``first`` is open, and ends after its commit."""
    with ThreadPoolExecutor(1) as pool:
        with console.store.write() as tx:
            first(tx)
            late = pool.submit(then)
            time.sleep(0.5)  # time enough to come to the lock; too little makes the test easier
        late.exception(timeout=30)
    return late


def _send(tx: Transaction, console: Console, job_id: str) -> None:
    """What a worker writes at the moment it sends a document."""
    now = console.clock()
    attempt = jobs.attempts(tx, job_id)[-1]
    assert jobs.claim_intent(tx, attempt.id, expected_owner="", owner="other", now=now)
    jobs.change_attempt(tx, attempt.id, AttemptStatus.SUBMITTING, SYSTEM, "t", now)
    jobs.change_job(tx, job_id, JobStatus.PARSING, SYSTEM, "t", now)


def test_what_is_being_sent_is_not_planned_again(make_console: Maker) -> None:
    """A document that leaves while the mode is switched keeps its plan: it is paid for once."""
    console = make_console(api_key="llx-key")
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    replan = console.replans.quote(Mode.REAL)
    assert [job.id for job in replan.jobs] == [job_id]
    late = _meanwhile(
        console,
        lambda tx: _send(tx, console, job_id),
        lambda: console.replans.apply(replan, ALICE),
    )
    view = console.jobs.view(job_id)
    assert late.result() == 0
    assert view.job.mode is Mode.MOCK
    assert [a.status for a in view.attempts] == [AttemptStatus.SUBMITTING]


def test_what_a_person_cancelled_is_not_let_in(make_console: Maker) -> None:
    """Whoever looked at a job before it was cancelled cannot queue it any more."""
    console = make_console()
    if console.store.is_sqlite:
        pytest.skip("its writers are alone")
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    now = console.clock()
    with console.store.write() as tx:
        jobs.change_job(tx, job_id, JobStatus.HELD, SYSTEM, "t", now, hold="vendor")
    with console.store.write() as tx:
        seen = jobs.job(tx, job_id)
        console.jobs.cancel([job_id], ALICE)
        with pytest.raises(NotAllowed, match="cancelled"):
            admit(tx, seen, console.rules(), SYSTEM, now)
        tx.rollback()
    assert console.jobs.view(job_id).job.status is JobStatus.CANCELLED
