"""A cancel wins: whatever happens to a document at the moment a person calls it off, it stays called off."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.documents import EngineName
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.routing import Mode
from core.pipeline.driver import SYSTEM, Driver
from core.store import jobs
from tests.factories import ALICE
from tests.pipeline.vendor import Vendor, World, tell

Maker = Callable[..., Console]


@dataclass
class _Interrupted(Vendor):
    """While it looks at an upload or at a listing a person does something; then it answers as told."""

    answer: int = 200
    at_upload: Callable[[], object] = lambda: None
    at_listing: Callable[[], object] = lambda: None

    async def _submitted(self, request: Request, body: bytes) -> Response:
        await asyncio.to_thread(self.at_upload)
        if self.answer != 200:
            self.requests.append({})
            return JSONResponse({"detail": "no"}, self.answer)
        return await super()._submitted(request, body)

    async def _answer(self, request: Request) -> Response:
        if request.method == "GET" and request.url.path.endswith("/parse"):
            await asyncio.to_thread(self.at_listing)
        return await super()._answer(request)


def _cancel(world: World) -> None:
    world.console.jobs.cancel([world.job_id], ALICE)


def _spent(world: World) -> int:
    use = world.console.spend.today(Mode.REAL).use(Window.DAY, Unit.USD)
    assert use is not None
    return use.used


@pytest.mark.parametrize(
    ("mode", "answer"), [(Mode.REAL, 402), (Mode.REAL, 429), (Mode.HYBRID, 401), (Mode.HYBRID, 422)]
)
def test_a_cancel_while_it_is_sent_wins_over_a_refusal(
    make_console: Maker, mode: Mode, answer: int
) -> None:
    """Refused for want of money or a key, for its own sake or for the pace: nothing waits, nothing stands in."""
    vendor = _Interrupted(answer=answer)

    async def story(world: World) -> None:
        vendor.at_upload = lambda: _cancel(world)
        assert await world.look() is None
        await world.driver.conclude(world.job_id, 1)
        assert world.job.status is JobStatus.CANCELLED
        assert [a.status for a in world.attempts] == [AttemptStatus.CANCELLED]
        assert (len(vendor.requests), _spent(world)) == (1, 0)

    tell(make_console, vendor, story, mode=mode)


def test_a_cancel_wins_over_a_way_that_is_closed(make_console: Maker) -> None:
    """Called off while it is found that LlamaParse cannot be used, a document is not held for it."""

    async def story(world: World) -> None:
        def gate(_mode: Mode, _engine: EngineName) -> str:
            _cancel(world)
            return "LlamaParse cannot be used."

        # as after a first attempt, when more pages are still to be sent
        with world.console.store.write() as tx:
            jobs.change_job(tx, world.job_id, JobStatus.PARSING, SYSTEM, "t", world.now)
        world.driver = Driver(replace(world.resources, gate=gate), "exe-test")
        assert await world.look() is None
        await world.driver.conclude(world.job_id, 1)
        assert world.job.status is JobStatus.CANCELLED
        assert _spent(world) == 0

    tell(make_console, Vendor(), story)


def test_what_is_called_off_while_it_is_looked_for_is_not_sent_again(make_console: Maker) -> None:
    """A submit that was lost is not repeated once a person said stop, however far the search was."""
    vendor = _Interrupted(holds_uploads=True)

    async def story(world: World) -> None:
        def stop() -> None:
            attempt = world.attempts[0]
            # this listing is the last that is needed before it may be sent again
            if attempt.polls == 1 and not attempt.is_called_off:
                _cancel(world)

        await world.look()
        vendor.at_listing = stop
        await world.watch(timedelta(minutes=4))
        assert len(vendor.requests) == 1
        assert [a.status for a in world.attempts] == [AttemptStatus.CANCELLED]

    tell(make_console, vendor, story, timeout_s=2)


def test_nothing_stands_in_for_what_was_called_off(make_console: Maker) -> None:
    """In HYBRID a document that is called off, and fails at LlamaParse before the cancel arrives, is not made here."""

    async def story(world: World) -> None:
        await world.look()
        _cancel(world)
        world.vendor.jobs[0].update(status="FAILED", error_message="torn")
        world.vendor.refuses_cancel = True
        await world.to_the_end()
        assert [a.engine for a in world.attempts] == [EngineName.LLAMAPARSE]

    tell(make_console, Vendor(), story, mode=Mode.HYBRID)
