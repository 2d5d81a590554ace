"""A service of our own that can be told to be slow, silent or wrong, and a driver beside it."""

import asyncio
import io
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.console import Console
from core.domain.documents import EngineName
from core.domain.jobs import Attempt, Job
from core.domain.money import Tier
from core.domain.routing import Mode
from core.engines.llamaparse import LlamaParseEngine
from core.pipeline.driver import Driver, Resources
from core.serving import Served
from tests.factories import ALICE

__all__ = ["Vendor", "World", "tell"]


@dataclass
class Vendor:
    """Takes jobs, which stay PENDING until a test says otherwise; ``jobs`` are in the order of creation.

    ``end_as`` is how each next job ends at once, as (status, error message). ``loses_answers`` takes
    an upload and never answers; ``holds_uploads`` does not even create the job until ``arrive``. With
    ``bills`` off no job says what it cost; ``metered`` are the credits that the usage metrics know of it.
    """

    jobs: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    end_as: list[tuple[str, str]] = field(default_factory=list)
    is_down: bool = False
    forgets: bool = False
    loses_answers: bool = False
    holds_uploads: bool = False
    refuses_uploads: bool = False
    lists: bool = True
    listings: int = 0
    refuses_cancel: bool = False
    has_results: bool = True
    fetches: int = 0
    bills: bool = True
    metered: list[int] = field(default_factory=list)
    has_metrics: bool = True
    held: list[dict[str, Any]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        """The service."""
        answer = self._answer
        return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])])

    def arrive(self) -> None:
        """The uploads that were on the wire all this time arrive."""
        for configuration in self.held:
            self._create(configuration)
        self.held.clear()

    async def _answer(self, request: Request) -> Response:
        body, path = await request.body(), request.url.path
        if self.is_down:
            return JSONResponse({"detail": "down"}, 503)
        if path.endswith("/versions"):
            return JSONResponse({"latest": {"agentic": "2026-10-16"}})
        if request.method == "POST" and not path.endswith("/cancel"):
            return await self._submitted(request, body)
        if path.endswith("/parse"):
            self.listings += 1
            return JSONResponse({"items": self.jobs if self.lists else [], "next_page_token": None})
        if path.endswith(("/organizations", "/usage-metrics")):
            return self._metrics(request)
        return self._about_a_job(request)

    def _metrics(self, request: Request) -> Response:
        if not self.has_metrics:
            return JSONResponse({"detail": "down"}, 503)
        if request.url.path.endswith("/organizations"):
            return JSONResponse([{"id": "org-1"}])
        key = request.query_params["event_aggregation_key"]
        one = {"event_type": "pages_parsed", "day": "2026-11-24", "event_aggregation_key": key}
        found = [{**one, "id": f"u-{n}", "credits": c} for n, c in enumerate(self.metered)]
        return JSONResponse({"items": found, "next_page_token": None})

    def _about_a_job(self, request: Request) -> Response:
        path = request.url.path
        job = next((j for j in self.jobs if f"/{j['id']}" in path), None)
        if job is None or self.forgets:
            said = {"detail": "Parse job not found"}
            return JSONResponse(said, 404, headers={"x-request-id": "req-7"})
        if path.endswith("/cancel"):
            return self._cancelled(job)
        return self._told(request, job)

    async def _submitted(self, request: Request, body: bytes) -> Response:
        if self.refuses_uploads:
            return JSONResponse({"detail": "Rate limit exceeded."}, 429)
        found = re.search(rb"\{.*\}", body)
        configuration = json.loads(found[0]) if found else {}
        self.requests.append(configuration)
        if self.holds_uploads:
            self.held.append(configuration)
            await _gone(request)
            return Response(status_code=500)
        job = self._create(configuration)
        if self.loses_answers:
            await _gone(request)
        return JSONResponse(job)

    def _create(self, configuration: dict[str, Any]) -> dict[str, Any]:
        status, message = self.end_as.pop(0) if self.end_as else ("PENDING", "")
        job = {
            "id": f"pjb-{len(self.jobs) + 1}",
            "project_id": "prj-1",
            "status": status,
            "error_message": message,
            "user_metadata": configuration.get("user_metadata"),
            "usage": {"credits": 10 if status == "COMPLETED" else 0} if self.bills else None,
        }
        self.jobs.append(job)
        return job

    def _cancelled(self, job: dict[str, Any]) -> Response:
        if self.refuses_cancel:
            return JSONResponse({"detail": "no"}, 409)
        job["status"] = "CANCELLED"
        return JSONResponse(job)

    def _told(self, request: Request, job: dict[str, Any]) -> Response:
        if "text" not in request.query_params.getlist("expand") or job["status"] != "COMPLETED":
            return JSONResponse({"job": job})
        self.fetches += 1
        if not self.has_results:
            return JSONResponse({"detail": "Result not found."}, 404)
        page = {"page_number": 1, "markdown": "# words", "success": True}
        return JSONResponse({"job": job, "markdown": {"pages": [page]}})


async def _gone(request: Request) -> None:
    while not await request.is_disconnected():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.02)


class World:
    """A vendor, a console beside it with one job, a driver, and a clock that is moved by hand.

    ``closed`` is why nothing may be sent now; empty when it may.
    """

    def __init__(
        self,
        console: Console,
        vendor: Vendor,
        url: str,
        timeout_s: float = 30,
        mode: Mode = Mode.REAL,
        key: str = "press",
    ) -> None:
        self.now = utc_now()
        self.closed = ""
        self.vendor = vendor
        self.console = console
        upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
        quote = console.submissions.quote([upload], Tier.AGENTIC, mode, parse_again=True)
        self.job_id = console.submissions.submit(quote, ALICE, key).job_ids[0]
        self.engine = LlamaParseEngine(
            url,
            SecretStr("llx-key"),
            max_retries=0,
            timeout_s=timeout_s,
            clock=lambda: self.now,
        )
        self.resources = Resources(
            store=console.store,
            blobs=console.blobs,
            engine_of=lambda _mode, name: (
                console.local if name is EngineName.LOCAL else self.engine
            ),
            webhook_of=lambda _mode: None,
            rules=console.rules,
            timeout_s=timeout_s,
            concurrency=2,
            clock=lambda: self.now,
            gate=lambda _mode, name: self.closed if name is EngineName.LLAMAPARSE else "",
        )
        self.driver = Driver(self.resources, "exe-test")

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All of them."""
        return self.console.jobs.view(self.job_id).attempts

    @property
    def job(self) -> Job:
        """The job."""
        return self.console.jobs.view(self.job_id).job

    async def look(self, *, after: timedelta = timedelta(0)) -> float | None:
        """Time passes, then what is due is done; seconds until the next look."""
        self.now += after
        first = next(
            a for a in self.attempts if a.generation == self.job.generation and not a.retry_of
        )
        return await self.driver.advance(first.id)

    async def watch(self, span: timedelta, every: timedelta = timedelta(seconds=30)) -> None:
        """It is looked at all the time for so long."""
        end = self.now + span
        while self.now < end:
            await self.look(after=every)

    async def to_the_end(self, looks: int = 60) -> None:
        """It is looked at when it asks for it, until it needs no more look."""
        wait_s = await self.look()
        while wait_s is not None and looks:
            wait_s, looks = await self.look(after=timedelta(seconds=wait_s)), looks - 1
        assert wait_s is None, "it never came to an end"
        await self.driver.conclude(self.job_id, self.job.generation)


def tell(
    make_console: Callable[..., Console],
    vendor: Vendor,
    story: Callable[[World], Awaitable[None]],
    *,
    timeout_s: float = 30,
    mode: Mode = Mode.REAL,
    **settings: object,
) -> None:
    """Run the story beside this vendor."""

    async def run(url: str) -> None:
        console = make_console(api_key="llx-key", base_url=url, **settings)
        world = World(console, vendor, url, timeout_s, mode)
        try:
            await story(world)
        finally:
            await world.engine.close()

    with Served(vendor.app) as service:
        asyncio.run(run(service.url))
