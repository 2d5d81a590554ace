"""Two processes at one job: each judges by what the other wrote, on both databases."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.admission import admit
from core.pipeline.again import order_again, plan_again
from core.pipeline.driver import SYSTEM
from core.pipeline.handoff import settle_job
from core.pipeline.terms import Terms
from core.store import Transaction, handoffs, jobs, queue
from core.store.handoffs import HandoffTry
from tests.factories import ALICE, finished, submitted, wait_until
from tests.pipeline.test_handoff import Stage, _parsed, _status, stage

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
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    now, are_alone = console.clock(), console.store.is_sqlite
    with console.store.write() as tx:
        jobs.change_job(tx, job_id, JobStatus.HELD, SYSTEM, "t", now, hold="vendor")
    with console.store.read() as tx:
        seen = jobs.job(tx, job_id)
    if are_alone:
        console.jobs.cancel([job_id], ALICE)
    with console.store.write() as tx:
        if not are_alone:
            # in the middle of a transaction that read the job before
            seen = jobs.job(tx, job_id)
            console.jobs.cancel([job_id], ALICE)
        with pytest.raises(NotAllowed, match="cancelled"):
            admit(Terms(tx, console.rules(), now), seen, SYSTEM)
        tx.rollback()
    assert console.jobs.view(job_id).job.status is JobStatus.CANCELLED


def _complete(make_console: Maker) -> tuple[Console, str]:
    """A parsed and billed document, and a console that does not parse."""
    working = make_console(worker=True)
    submission = submitted(working, {"a.txt": b"one"})
    job = finished(working, submission.id).jobs[0]
    wait_until(lambda: working.jobs.view(job.id).job.status is JobStatus.COMPLETE)
    wait_until(lambda: working.jobs.view(job.id).job.billed_credits is not None)
    working.close()
    return make_console(), job.id


def test_pages_are_ordered_again_once(make_console: Maker) -> None:
    """Of two people who have a document parsed again at once, the second is told, and nothing is paid twice."""
    console, job_id = _complete(make_console)
    wanted = console.again.at_tier(console.jobs.view(job_id).job, [1], Tier.AGENTIC_PLUS)
    rules = console.rules()

    def order(tx: Transaction) -> None:
        queue.lock_attempts(tx, [job_id])
        terms = Terms(tx, rules, console.clock())
        plan = plan_again({Tier.AGENTIC_PLUS: (1,)}, 1, terms.price, "t")
        order_again(terms, jobs.job(tx, job_id), plan, ALICE)

    late = _meanwhile(console, order, lambda: console.again.order(wanted, ALICE))
    with pytest.raises(NotAllowed, match="again already"):
        late.result()
    view = console.jobs.view(job_id)
    assert [(a.generation, a.estimated_credits) for a in view.attempts] == [(1, 10), (2, 45)]
    assert view.job.estimated_credits == 55


def test_a_late_bill_and_an_order_do_not_wait_for_each_other(make_console: Maker) -> None:
    """A bill that comes while pages are ordered again is written, and so is the order."""
    console, job_id = _complete(make_console)
    view = console.jobs.view(job_id)
    wanted = console.again.at_tier(view.job, [1], Tier.AGENTIC_PLUS)
    with ThreadPoolExecutor(1) as pool:
        with console.store.write() as tx:
            jobs.update_attempt(tx, view.attempts[0].id, reported_credits=10)
            late = pool.submit(console.again.order, wanted, ALICE)
            time.sleep(0.5)
            jobs.update_job(tx, job_id, billed_credits=10)
        assert late.result(timeout=30).generation == 2


def test_two_stages_that_answer_at_once_complete_the_job(make_console: Maker, stage: Stage) -> None:
    """The last of the next stages completes a job, also when two answer in the same moment."""
    console = make_console(downstream_private=True)
    console.downstreams.add(stage.url, ALICE)
    console.downstreams.add(f"{stage.url}/2", ALICE)
    job_id = _parsed(console)
    with console.store.read() as tx:
        one, two = handoffs.of_job(tx, job_id, 1)

    def answered(tx: Transaction, which: str) -> None:
        now = console.clock()
        tried = HandoffTry(1, now, 200, "", "", 1.0)
        assert handoffs.record_try(tx, which, tried, status="delivered", next_at=None, at=now)
        settle_job(tx, job_id, 1, now)

    def second() -> None:
        with console.store.write() as tx:
            answered(tx, two.id)

    _meanwhile(console, lambda tx: answered(tx, one.id), second).result()
    assert _status(console, job_id) is JobStatus.COMPLETE
