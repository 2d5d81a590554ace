"""When a failed job is tried again by rule, how often, at what price, and when not."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.engines.llamaparse.job_failures import JOB_FAILURES, JobFailure
from core.pipeline.admission import release_held
from core.pipeline.driver import SYSTEM
from core.serving import Served
from core.store import ledger
from tests.factories import ALICE, wait_until
from tests.pipeline.vendor import Vendor, World, tell

_SOME = [f for f in JOB_FAILURES if f.retries or f.code == "PDF_IS_BROKEN"]


@pytest.mark.parametrize("failure", _SOME, ids=lambda failure: failure.code)
def test_a_failure_is_tried_again_as_often_as_its_line_in_the_table_says(
    make_console: Callable[..., Console], failure: JobFailure
) -> None:
    """Each retry is an attempt with an intent of its own; after the last one a person is asked."""

    async def story(world: World) -> None:
        world.vendor.end_as = [("FAILED", f"{failure.code}: sorry")] * 9
        await world.to_the_end()
        assert [a.status for a in world.attempts] == [AttemptStatus.FAILED] * (failure.retries + 1)
        intents = [r["user_metadata"]["parsedeck_attempt"] for r in world.vendor.requests]
        assert intents == [a.id for a in world.attempts]
        assert world.job.status is JobStatus.FAILED_PARSE
        assert failure.what in world.job.reason
        assert world.job.next_step == failure.advice

    tell(make_console, Vendor(), story)


def test_a_retry_by_rule_that_succeeds_completes_the_job(
    make_console: Callable[..., Console],
) -> None:
    """The job is complete, without a trace of the failure in its reason; both attempts are settled."""

    async def story(world: World) -> None:
        world.vendor.end_as = [("FAILED", "ERROR_DURING_PROCESSING"), ("COMPLETED", "")]
        await world.look()
        await world.look(after=timedelta(seconds=5))
        assert "tried again (1 of 2)" in world.job.reason
        await world.to_the_end()
        assert world.job.status is JobStatus.COMPLETE
        assert world.job.reason == ""
        assert world.console.jobs.result(world.job).markdown == "# words"
        for attempt in world.attempts:
            await world.driver.settle_late(attempt.id)
        today = world.console.spend.today(Mode.REAL)
        assert today.reserved_usd == 0
        assert today.credits == 10

    tell(make_console, Vendor(), story)


def test_a_retry_by_rule_waits_for_room_under_the_limits(
    make_console: Callable[..., Console],
) -> None:
    """What would pass the limit is not sent: the job is held like any other, and goes on when there is room."""

    async def story(world: World) -> None:
        world.vendor.end_as = [("FAILED", "ERROR_DURING_PROCESSING"), ("COMPLETED", "")]
        await world.to_the_end()
        assert len(world.vendor.requests) == 1
        job = world.job
        assert (job.status, job.hold) == (JobStatus.HELD, "limit")
        assert "limit" in job.reason
        assert "by itself" in job.next_step
        assert [a.status for a in world.attempts] == [AttemptStatus.FAILED, AttemptStatus.PLANNED]
        console = world.console
        hourly = ("all", Window.HOUR, Unit.SUBMITS)
        console.limits.change("real", hourly, "2", ALICE, "for the test")
        assert release_held(console.store, console.rules(), SYSTEM, world.now)
        assert world.job.workflow_id not in {"", job.workflow_id}
        await world.to_the_end()
        assert len(world.vendor.requests) == 2
        assert world.job.status is JobStatus.COMPLETE

    tell(make_console, Vendor(), story, hourly_request_limit=1)


def test_a_held_retry_is_cancelled_like_anything_that_waits(
    make_console: Callable[..., Console],
) -> None:
    """A person who does not want to wait ends it, and nothing more is sent or reserved."""

    async def story(world: World) -> None:
        world.vendor.end_as = [("FAILED", "ERROR_DURING_PROCESSING")] * 3
        await world.to_the_end()
        world.console.jobs.cancel([world.job_id], ALICE)
        assert world.job.status is JobStatus.CANCELLED
        assert world.attempts[-1].status is AttemptStatus.CANCELLED
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(), story, hourly_request_limit=1)


def test_a_held_retry_goes_on_by_itself(make_console: Callable[..., Console]) -> None:
    """With a worker: the workflow that ended with the hold does not keep the job from being driven again."""
    vendor = Vendor(end_as=[("FAILED", "ERROR_DURING_PROCESSING"), ("COMPLETED", "")])
    with Served(vendor.app) as service:
        console = make_console(
            worker=True, api_key="llx-key", base_url=service.url, hourly_request_limit=1
        )
        upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
        quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
        job_id = console.submissions.submit(quote, ALICE, "press").job_ids[0]
        wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.HELD)
        hourly = ("all", Window.HOUR, Unit.SUBMITS)
        console.limits.change("real", hourly, "2", ALICE, "room for the retry")
        wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.COMPLETE)
        assert len(vendor.requests) == 2
        console.close()


def test_in_hybrid_a_stand_in_does_not_wait_for_a_limit(
    make_console: Callable[..., Console],
) -> None:
    """Where the local engine can stand in for what failed, it does, as it would without a retry."""

    async def story(world: World) -> None:
        world.vendor.end_as = [("FAILED", "ERROR_DURING_PROCESSING")] * 3
        await world.to_the_end()
        assert len(world.vendor.requests) == 1
        assert (world.job.status, world.job.is_provisional) == (JobStatus.COMPLETE, True)
        assert "not tried again by rule" in world.attempts[0].next_step

    tell(make_console, Vendor(), story, hourly_request_limit=1, mode=Mode.HYBRID)


def test_an_approval_is_used_up_by_the_reservation_it_was_given_for(
    make_console: Callable[..., Console],
) -> None:
    """What a lead let pass once is not let pass again by a rule: the retry waits at the limit."""

    async def story(world: World) -> None:
        assert world.job.status is JobStatus.HELD
        world.console.holds.approve([world.job_id], "the auditor waits", ALICE)
        world.vendor.end_as = [("FAILED", "ERROR_DURING_PROCESSING"), ("COMPLETED", "")]
        await world.to_the_end()
        assert len(world.vendor.requests) == 1
        assert (world.job.status, world.job.hold) == (JobStatus.HELD, "limit")
        with world.console.store.read() as tx:
            passed = [e for e in ledger.entries_of(tx, world.job_id) if e.approval_id is not None]
        assert [entry.kind for entry in passed if entry.kind == "reserve"] == ["reserve"]

    tell(make_console, Vendor(), story, daily_limit_usd="0.01")


def test_nothing_is_tried_again_that_a_person_asked_to_stop(
    make_console: Callable[..., Console],
) -> None:
    """A job that fails while its cancel is under way stays failed."""

    async def story(world: World) -> None:
        await world.look()
        world.console.jobs.cancel([world.job_id], ALICE)
        world.vendor.refuses_cancel = True
        world.vendor.jobs[0].update(status="FAILED", error_message="ERROR_DURING_PROCESSING")
        await world.to_the_end()
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(), story)


def test_a_missing_result_is_asked_for_over_minutes_and_then_reported(
    make_console: Callable[..., Console],
) -> None:
    """The operator learns that there is none, and a retry goes past the vendor's cache."""

    async def story(world: World) -> None:
        world.vendor.end_as, world.vendor.has_results = [("COMPLETED", "")] * 2, False
        began = world.now
        await world.to_the_end()
        assert timedelta(minutes=4) < world.now - began < timedelta(minutes=8)
        assert world.vendor.fetches < 12
        assert "has no result" in world.job.reason
        assert "cache" in world.job.next_step
        world.console.jobs.retry([world.job_id], ALICE)
        world.vendor.has_results = True
        await world.to_the_end()
        assert [r.get("disable_cache") for r in world.vendor.requests] == [None, True]
        assert world.job.status is JobStatus.COMPLETE

    tell(make_console, Vendor(), story)


def test_a_result_that_comes_late_is_taken(make_console: Callable[..., Console]) -> None:
    """Minutes without a result are no failure when it comes in the end."""

    async def story(world: World) -> None:
        world.vendor.end_as, world.vendor.has_results = [("COMPLETED", "")], False
        for _ in range(5):
            await world.look(after=timedelta(seconds=20))
        assert "has no result" in world.job.reason
        world.vendor.has_results = True
        await world.to_the_end()
        assert (world.job.status, world.job.reason) == (JobStatus.COMPLETE, "")

    tell(make_console, Vendor(), story)


def test_a_job_that_the_vendor_does_not_know_yet_is_not_given_up(
    make_console: Callable[..., Console],
) -> None:
    """A 404 right after the submit may pass; one that stays fails it, with what support will ask for."""

    async def story(world: World) -> None:
        await world.look()
        world.vendor.forgets = True
        await world.look(after=timedelta(seconds=20))
        assert [a.status for a in world.attempts] == [AttemptStatus.RUNNING]
        await world.look(after=timedelta(minutes=3))
        assert [a.status for a in world.attempts] == [AttemptStatus.FAILED]
        assert "does not know this job" in world.attempts[0].error
        told = world.console.jobs.view(world.job_id).timeline[-1].detail
        assert told == {
            "status": 404,
            "request_id": "req-7",
            "vendor_message": "Parse job not found",
        }

    tell(make_console, Vendor(), story)
