"""A job's own deadline: it passes while the vendor is heard, and pauses while it is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from core.clock import utc_now
from core.console import Console
from core.domain.documents import EngineName
from core.domain.jobs import Attempt, AttemptStatus, JobStatus
from core.domain.money import Tier
from core.pipeline.driving import timing
from tests.pipeline.vendor import Vendor, World, tell


def _stands(world: World) -> list[tuple[AttemptStatus, str]]:
    statuses = [attempt.status for attempt in world.attempts]
    return list(zip(statuses, [job["status"] for job in world.vendor.jobs], strict=True))


def test_the_deadline_pauses_while_the_vendor_cannot_be_asked(
    make_console: Callable[..., Console],
) -> None:
    """Hours in which nobody could ask are not held against the job; hours in which it stood still are."""

    async def story(world: World) -> None:
        await world.look()
        assert _stands(world) == [(AttemptStatus.RUNNING, "PENDING")]
        world.vendor.is_down = True
        for _ in range(10):
            await world.look(after=timedelta(minutes=30))
        assert _stands(world) == [(AttemptStatus.RUNNING, "PENDING")]
        assert "internal error" in world.job.reason
        world.vendor.is_down = False
        await world.watch(timedelta(minutes=100))
        assert _stands(world) == [(AttemptStatus.RUNNING, "PENDING")]
        assert world.job.reason == ""
        await world.watch(timedelta(minutes=25))
        assert _stands(world)[0] == (AttemptStatus.FAILED, "CANCELLED")

    tell(make_console, Vendor(), story)


def test_the_deadline_pauses_while_parsedeck_is_not_running(
    make_console: Callable[..., Console],
) -> None:
    """A weekend with the console switched off cancels nothing."""

    async def story(world: World) -> None:
        await world.look()
        await world.look(after=timedelta(days=2))
        await world.look(after=timedelta(minutes=1))
        assert _stands(world) == [(AttemptStatus.RUNNING, "PENDING")]

    tell(make_console, Vendor(), story)


def test_polls_grow_rare(make_console: Callable[..., Console]) -> None:
    """A job that takes its time is asked about ever more rarely, in the end once in 30 s."""

    async def story(world: World) -> None:
        waits = [await world.look()]
        while len(waits) < 34:
            waits.append(await world.look(after=timedelta(seconds=waits[-1] or 0)))
        assert waits == [1, *range(1, 31), 30, 30, 30]
        assert _stands(world) == [(AttemptStatus.RUNNING, "PENDING")]

    tell(make_console, Vendor(), story)


def test_with_a_webhook_under_way_the_first_look_is_late() -> None:
    """Where an event will tell, looks are only the backstop: from 8 s to one in a minute."""
    attempt = Attempt(
        id="att-1",
        job_id="job-1",
        generation=1,
        number=1,
        engine=EngineName.LLAMAPARSE,
        tier=Tier.AGENTIC,
        target_pages="",
        status=AttemptStatus.RUNNING,
        created_at=utc_now(),
    )
    waits = [timing.next_poll(replace(attempt, polls=n), webhook=True) for n in range(20)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (8, 60)


def test_a_stuck_job_is_cancelled_and_then_tried_once_more_by_rule(
    make_console: Callable[..., Console],
) -> None:
    """A new intent is made only after CANCELLED is confirmed, once, and its line names the rule."""

    async def story(world: World) -> None:
        await world.watch(timedelta(minutes=125))
        assert _stands(world) == [
            (AttemptStatus.FAILED, "CANCELLED"),
            (AttemptStatus.RUNNING, "PENDING"),
        ]
        by_rule = [
            entry
            for entry in world.console.jobs.view(world.job_id).timeline
            if entry.actor == "system:retry-rule"
        ]
        assert "retry 1 of 1 by rule, after: overdue" in [entry.cause for entry in by_rule]
        await world.watch(timedelta(minutes=130))
        assert _stands(world) == [(AttemptStatus.FAILED, "CANCELLED")] * 2
        await world.driver.conclude(world.job_id, 1)
        assert world.job.status is JobStatus.FAILED_PARSE
        assert "cancelled there" in world.job.reason

    tell(make_console, Vendor(), story)


def test_a_cancel_that_is_not_confirmed_leads_to_no_second_submit(
    make_console: Callable[..., Console],
) -> None:
    """While the vendor neither cancels nor ends a job, nothing is sent again and the job says why."""

    async def story(world: World) -> None:
        world.vendor.refuses_cancel = True
        await world.watch(timedelta(minutes=180), every=timedelta(minutes=1))
        assert _stands(world) == [(AttemptStatus.RUNNING, "PENDING")]
        assert "refuses to cancel" in world.job.reason
        assert world.job.next_step

    tell(make_console, Vendor(), story)
