"""Downstream is told once per result: parsing again that brings nothing new tells nobody."""

from collections.abc import Callable

import pytest

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.money import Tier
from core.pipeline.handoff import HandOff
from core.store.outbox import HandoffFilter
from tests.factories import ALICE
from tests.pipeline.test_handoff import Stage, stage
from tests.pipeline.vendor import Vendor, World, tell

__all__ = ["stage"]

Maker = Callable[..., Console]
DONE, FAILED, PENDING = ("COMPLETED", ""), ("FAILED", "torn"), ("PENDING", "")


def _is(world: World, status: JobStatus) -> bool:
    return world.job.status is status


def _send(world: World) -> None:
    HandOff(
        world.console.store, world.console.seal, world.console.clock, allow_private=True
    ).send_due()


async def _parsed_and_told(world: World, stage: Stage) -> None:
    world.console.downstreams.add(stage.url, ALICE)
    await world.to_the_end()
    _send(world)


async def _again_and_cancelled(world: World) -> None:
    console = world.console
    console.again.order(console.again.at_tier(world.job, [1], Tier.AGENTIC), ALICE)
    await world.look()
    assert world.attempts[-1].vendor_job_id
    console.jobs.cancel([world.job_id], ALICE)
    await world.to_the_end()
    assert world.attempts[-1].status is AttemptStatus.CANCELLED
    _send(world)


def test_what_is_parsed_again_and_cancelled_is_not_told_again(
    make_console: Maker, stage: Stage
) -> None:
    """The earlier result stands and downstream has it already."""

    async def story(world: World) -> None:
        await _parsed_and_told(world, stage)
        assert _is(world, JobStatus.COMPLETE)
        await _again_and_cancelled(world)
        assert _is(world, JobStatus.COMPLETE)
        assert world.console.jobs.result(world.job).markdown == "# words"
        assert len(stage.received) == 1

    tell(make_console, Vendor(end_as=[DONE, PENDING]), story, downstream_private=True)


@pytest.mark.parametrize(("tier", "told"), [(Tier.AGENTIC, 1), (Tier.AGENTIC_PLUS, 2)])
def test_only_a_result_that_is_new_is_told(
    make_console: Maker, stage: Stage, tier: Tier, told: int
) -> None:
    """Parsed again with the same outcome, or failed at it, downstream hears nothing; of a better one it does."""

    async def story(world: World) -> None:
        await _parsed_and_told(world, stage)
        again = world.console.again
        for tier_ in (Tier.AGENTIC_PLUS, tier):
            again.order(again.at_tier(world.job, [1], tier_), ALICE)
            await world.to_the_end()
            _send(world)
        assert _is(world, JobStatus.COMPLETE)
        assert len(stage.received) == told

    vendor = Vendor(end_as=[DONE, FAILED, DONE])
    tell(make_console, vendor, story, downstream_private=True)


def test_a_downstream_that_did_not_take_it_still_has_not(make_console: Maker, stage: Stage) -> None:
    """A cancelled second run does not hide that the first was not taken, and a replay mends it."""

    async def story(world: World) -> None:
        console, stage.status = world.console, 410
        await _parsed_and_told(world, stage)
        assert _is(world, JobStatus.FAILED_HANDOFF)
        await _again_and_cancelled(world)
        assert _is(world, JobStatus.FAILED_HANDOFF)
        assert "replay" in world.job.next_step
        assert len(stage.received) == 1
        # and once more, called off before anything was sent
        console.again.order(console.again.at_tier(world.job, [1], Tier.AGENTIC), ALICE)
        console.jobs.cancel([world.job_id], ALICE)
        assert _is(world, JobStatus.FAILED_HANDOFF)
        stage.status = 200
        console.downstreams.enable(console.downstreams.known()[0].id)
        console.downstreams.replay(console.downstreams.page(HandoffFilter()).lines[0].id, ALICE)
        _send(world)
        assert _is(world, JobStatus.COMPLETE)
        assert len(stage.received) == 2

    tell(make_console, Vendor(end_as=[DONE, PENDING]), story, downstream_private=True)
