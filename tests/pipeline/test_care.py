"""The care of a worker: events that are not for a job, and jobs whose workflow is gone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.pipeline.driver import SYSTEM
from core.pipeline.handoff import HandOff
from core.pipeline.worker import PipelineWorker
from core.store import deliveries, jobs, recording
from tests.factories import a_delivery, submitted, wait_until
from tests.pipeline.vendor import Vendor, World, tell

Maker = Callable[..., Console]


def _worker(world: World) -> PipelineWorker:
    console = world.console
    handoff = HandOff(console.store, console.seal, console.clock, allow_private=False)
    return PipelineWorker(
        world.resources, console.queue, console._workflow_url, console.rules, handoff
    )


def _park_a_test_event(world: World) -> None:
    parked = a_delivery(1, world.now, scope="test", vendor_job_id="pjb-1")
    with world.console.store.write() as tx:
        recording.add(tx, parked)


def _outcome_of_the_event(world: World) -> str:
    with world.console.store.read() as tx:
        seen = deliveries.delivery(tx, "dlv-000001")
    assert seen is not None
    return seen.outcome


def test_an_early_event_signed_for_tests_does_not_wake_a_real_job(make_console: Maker) -> None:
    """It came before the job was known; it is put aside with the reason, and LlamaParse is not asked."""

    async def story(world: World) -> None:
        _park_a_test_event(world)
        await world.look()
        assert world.attempts[0].status is AttemptStatus.RUNNING
        _worker(world)._remind(world.now + timedelta(seconds=10))
        assert "signed for tests" in _outcome_of_the_event(world)
        assert world.attempts[0].status is AttemptStatus.RUNNING

    tell(make_console, Vendor(), story)


def test_a_job_under_way_whose_workflow_is_lost_goes_on(make_console: Maker) -> None:
    """With the workflow database gone, as after a restore, what was being parsed is looked at again."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    now = console.clock()
    with console.store.write() as tx:
        jobs.change_job(tx, job_id, JobStatus.PARSING, SYSTEM, "t", now)
        jobs.update_job(tx, job_id, workflow_id="lost")
    console.run_worker()
    wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.COMPLETE, within_s=40)


def test_a_part_of_the_care_that_fails_does_not_stop_the_others(make_console: Maker) -> None:
    """Whatever goes wrong in one, events are still applied, documents handed on and bills asked for."""

    async def story(world: World) -> None:
        def fail() -> None:
            raise RuntimeError

        _park_a_test_event(world)
        await world.look()
        world.resources = replace(world.resources, also_care=fail)
        _worker(world).care()
        assert "signed for tests" in _outcome_of_the_event(world)

    tell(make_console, Vendor(), story)


def test_a_job_from_before_the_clock_was_set_back_is_not_forgotten(make_console: Maker) -> None:
    """A document that was queued at an hour which is yet to come is enqueued now, not in an hour."""

    async def story(world: World) -> None:
        queue = world.console.queue
        facts = {"updated_at": world.now + timedelta(hours=1), "workflow_id": "lost"}
        with world.console.store.write() as tx:
            jobs.update_job(tx, world.job_id, **facts)
        _worker(world)._enqueue_forgotten(world.now)
        assert queue.alive(["lost"]) == {"lost": True}

    tell(make_console, Vendor(), story)
