"""After a lost answer: found and adopted, or sent again only when the first can no longer arrive."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.routing import Mode
from core.pipeline.driver import UNKNOWN_OUTCOME, Driver
from core.store import jobs
from tests.factories import ALICE
from tests.pipeline.vendor import Vendor, World, tell

# timeout_s=0.5 ends the upload on our side; on the story's clock it may arrive for 30.5 s and a bit.
_SECONDS = timedelta(seconds=1)


async def _lost(world: World) -> None:
    await world.look()
    assert world.attempts[0].status is AttemptStatus.UNKNOWN


def test_an_upload_still_on_the_wire_is_waited_for(make_console: Callable[..., Console]) -> None:
    """Listings that show nothing prove nothing while the first request may still arrive."""

    async def story(world: World) -> None:
        await _lost(world)
        for _ in range(14):
            await world.look(after=2 * _SECONDS)
        assert world.vendor.listings >= 10
        assert len(world.vendor.requests) == 1
        world.vendor.arrive()
        await world.look(after=2 * _SECONDS)
        assert world.attempts[0].status is AttemptStatus.RUNNING
        assert world.attempts[0].vendor_job_id == "pjb-1"
        await world.watch(timedelta(minutes=10))
        assert (len(world.vendor.requests), len(world.vendor.jobs)) == (1, 1)

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_an_upload_that_arrives_between_the_two_listings_is_adopted(
    make_console: Callable[..., Console],
) -> None:
    """One complete listing that shows nothing is not enough."""

    async def story(world: World) -> None:
        await _lost(world)
        await world.look(after=40 * _SECONDS)
        assert world.attempts[0].polls == 1
        world.vendor.arrive()
        await world.look(after=25 * _SECONDS)
        assert world.attempts[0].status is AttemptStatus.RUNNING
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_a_nudge_does_not_bring_the_second_listing_forward(
    make_console: Callable[..., Console],
) -> None:
    """Looked at again and again within seconds, the listings still count only some time apart."""

    async def story(world: World) -> None:
        await _lost(world)
        await world.look(after=40 * _SECONDS)
        for _ in range(10):
            await world.look(after=_SECONDS)
        assert len(world.vendor.requests) == 1
        await world.look(after=15 * _SECONDS)
        assert len(world.vendor.requests) == 2

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_a_listing_that_could_not_be_read_counts_for_nothing(
    make_console: Callable[..., Console],
) -> None:
    """While the vendor cannot be asked, nothing is sent again, however long that takes."""

    async def story(world: World) -> None:
        await _lost(world)
        world.vendor.is_down = True
        await world.watch(timedelta(hours=3), every=timedelta(minutes=5))
        assert world.attempts[0].status is AttemptStatus.UNKNOWN
        assert world.attempts[0].polls == 0
        world.vendor.is_down = False
        await world.look(after=_SECONDS)
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_of_two_workers_in_doubt_one_sends_again(make_console: Callable[..., Console]) -> None:
    """Both saw two empty listings; the compare-and-set on the intent lets one of them through."""

    async def story(world: World) -> None:
        await _lost(world)
        await world.look(after=40 * _SECONDS)
        world.now += 25 * _SECONDS
        world.vendor.holds_uploads = False
        attempt, other = world.attempts[0], Driver(world.resources, "exe-other")
        await asyncio.gather(world.driver.advance(attempt.id), other.advance(attempt.id))
        assert len(world.vendor.requests) == 2
        assert world.attempts[0].status is AttemptStatus.RUNNING

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_a_clock_that_was_set_back_hides_no_job(make_console: Callable[..., Console]) -> None:
    """An attempt made while our clock was hours ahead still finds what the vendor took."""

    async def story(world: World) -> None:
        world.now += timedelta(hours=9)
        with world.console.store.write() as tx:
            jobs.update_attempt(tx, world.attempts[0].id, created_at=world.now)
        await _lost(world)
        world.now -= timedelta(hours=9)
        await world.look()
        assert world.attempts[0].status is AttemptStatus.RUNNING
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(loses_answers=True), story, timeout_s=0.5)


def test_after_three_submits_without_a_trace_a_person_decides(
    make_console: Callable[..., Console],
) -> None:
    """The money stays reserved until a person, having looked, retries; then it is given back."""

    async def story(world: World) -> None:
        world.vendor.lists = False
        for _ in range(3):
            await _lost(world)
            await world.look(after=40 * _SECONDS)
            await world.look(after=25 * _SECONDS)
        assert len(world.vendor.requests) == 3
        await world.to_the_end()
        attempt = world.attempts[0]
        assert (attempt.status, attempt.error_kind) == (AttemptStatus.FAILED, UNKNOWN_OUTCOME)
        assert "LlamaParse's own history" in world.job.next_step
        reserved = world.console.spend.today(Mode.REAL).reserved_usd
        assert reserved > 0
        world.console.jobs.retry([world.job_id], ALICE)
        assert world.console.spend.today(Mode.REAL).reserved_usd == reserved
        world.vendor.holds_uploads = False
        world.vendor.end_as = [("COMPLETED", "")]
        await world.to_the_end()
        assert world.job.status is JobStatus.COMPLETE

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_submits_that_were_refused_are_not_counted_as_lost(
    make_console: Callable[..., Console],
) -> None:
    """Hours of an outage use up none of the tries that a lost answer has."""

    async def story(world: World) -> None:
        world.vendor.refuses_uploads = True
        for _ in range(6):
            await world.look(after=70 * _SECONDS)
        world.vendor.refuses_uploads = False
        await _lost(world)
        await world.look(after=40 * _SECONDS)
        world.vendor.holds_uploads = False
        await world.look(after=25 * _SECONDS)
        assert world.attempts[0].status is AttemptStatus.RUNNING

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


async def _found_nowhere(world: World) -> None:
    """Two complete listings some time apart show nothing; meanwhile nothing may be sent any more."""
    await _lost(world)
    world.closed = "LlamaParse is on hold until 12:00 UTC by alice: key rotation."
    await world.look(after=40 * _SECONDS)
    await world.look(after=25 * _SECONDS)


def test_nothing_is_sent_again_while_nothing_may_be_sent(
    make_console: Callable[..., Console],
) -> None:
    """A hold, or an open breaker, counts for a second submit as for the first; then it goes on by itself."""

    async def story(world: World) -> None:
        await _found_nowhere(world)
        await world.watch(timedelta(hours=1), every=timedelta(minutes=5))
        assert len(world.vendor.requests) == 1
        assert world.attempts[0].status is AttemptStatus.UNKNOWN
        assert world.job.reason == world.closed
        world.closed = ""
        world.vendor.holds_uploads = False
        await world.look(after=25 * _SECONDS)
        assert (len(world.vendor.requests), len(world.vendor.jobs)) == (2, 1)
        assert world.job.reason == ""

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_what_turns_up_while_nothing_may_be_sent_is_adopted(
    make_console: Callable[..., Console],
) -> None:
    """The vendor is still asked for the first request, and what it has is never paid again."""

    async def story(world: World) -> None:
        await _found_nowhere(world)
        world.vendor.arrive()
        await world.look(after=60 * _SECONDS)
        assert world.attempts[0].status is AttemptStatus.RUNNING
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5)


def test_in_hybrid_a_lost_submit_is_stood_in_for_while_nothing_may_be_sent(
    make_console: Callable[..., Console],
) -> None:
    """HYBRID does not wait with what would have to be sent again; its money is given back."""

    async def story(world: World) -> None:
        await _found_nowhere(world)
        await world.to_the_end()
        assert (world.job.status, world.job.is_provisional) == (JobStatus.COMPLETE, True)
        assert world.console.spend.today(Mode.HYBRID).total_usd == 0
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(holds_uploads=True), story, timeout_s=0.5, mode=Mode.HYBRID)
