"""A job's own deadline: it passes while the vendor is heard, and pauses while it is not."""

import asyncio
import io
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.console import Console
from core.domain.jobs import Attempt, AttemptStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.engines.llamaparse import LlamaParseEngine
from core.pipeline.driver import Driver, Resources
from core.serving import Served
from tests.factories import ALICE


class _Vendor:
    """A service that takes one job, never gets on with it, and can be down."""

    def __init__(self) -> None:
        self.is_down = False
        self.status = "PENDING"
        self.uploads = 0

    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            await request.body()
            if self.is_down:
                return JSONResponse({"detail": "down"}, 503)
            if request.url.path.endswith("/versions"):
                return JSONResponse({})
            if request.url.path.endswith("/cancel"):
                self.status = "CANCELLED"
            job = {"id": "pjb-1", "project_id": "prj-1", "status": self.status}
            if request.url.path.endswith("/upload"):
                self.uploads += 1
                return JSONResponse(job)
            return JSONResponse({"job": job} if request.method == "GET" else job)

        return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


class _World:
    """A vendor, a console beside it, and a clock that is moved by hand."""

    def __init__(self, make_console: Callable[..., Console], vendor: _Vendor, url: str) -> None:
        self.now = utc_now()
        self.vendor = vendor
        self.console = make_console(api_key="llx-key", base_url=url)
        upload = self.console.submissions.preflight("a.txt", io.BytesIO(b"words"))
        quote = self.console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL, parse_again=True)
        self.job_id = self.console.submissions.submit(quote, ALICE, "press").job_ids[0]
        self.engine = LlamaParseEngine(url, SecretStr("llx-key"), max_retries=0)
        resources = Resources(
            store=self.console.store,
            blobs=self.console.blobs,
            engine_of=lambda _mode, _name: self.engine,
            webhook_of=lambda _mode: None,
            timeout_s=30,
            concurrency=2,
            clock=self._clock,
        )
        self.driver = Driver(resources, "exe-test")

    def _clock(self) -> datetime:
        return self.now

    @property
    def attempt(self) -> Attempt:
        return self.console.jobs.view(self.job_id).attempts[0]

    async def look(self, *, after: timedelta = timedelta(0)) -> None:
        """Time passes, then the attempt is looked at."""
        self.now += after
        await self.driver.advance(self.attempt.id)

    async def watch(self, span: timedelta) -> None:
        """The attempt is looked at all the time for so long."""
        end = self.now + span
        while self.now < end:
            await self.look(after=timedelta(seconds=30))


@pytest.fixture
def vendor() -> _Vendor:
    """A service that never gets on."""
    return _Vendor()


def test_the_deadline_pauses_while_the_vendor_cannot_be_asked(
    make_console: Callable[..., Console], vendor: _Vendor
) -> None:
    """Hours in which nobody could ask are not held against the job; hours in which it stood still are."""

    async def story(world: _World) -> None:
        await world.look()
        assert world.attempt.status is AttemptStatus.RUNNING
        vendor.is_down = True
        for _ in range(10):
            await world.look(after=timedelta(minutes=30))
        assert world.attempt.status is AttemptStatus.RUNNING
        vendor.is_down = False
        await world.watch(timedelta(minutes=100))
        assert (world.attempt.status, vendor.status) == (AttemptStatus.RUNNING, "PENDING")
        await world.watch(timedelta(minutes=30))
        assert (world.attempt.status, vendor.status) == (AttemptStatus.CANCELLED, "CANCELLED")
        assert vendor.uploads == 1
        await world.engine.close()

    with Served(vendor.app()) as service:
        asyncio.run(story(_World(make_console, vendor, service.url)))


def test_the_deadline_pauses_while_parsedeck_is_not_running(
    make_console: Callable[..., Console], vendor: _Vendor
) -> None:
    """A weekend with the console switched off cancels nothing."""

    async def story(world: _World) -> None:
        await world.look()
        await world.look(after=timedelta(days=2))
        await world.look(after=timedelta(minutes=1))
        assert (world.attempt.status, vendor.status) == (AttemptStatus.RUNNING, "PENDING")
        await world.engine.close()

    with Served(vendor.app()) as service:
        asyncio.run(story(_World(make_console, vendor, service.url)))
