"""The simulator without its mark: what REAL and HYBRID take for the service, with switches for bad days."""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.domain.documents import EngineName, ParsedDocument, ParsedPage, parse_page_ranges
from core.engines.llamaparse import SIMULATOR_HEADER
from core.simulator import SimulatorConfig, create_simulator
from core.simulator.config import Reader

__all__ = ["Switches", "a_vendor", "pages_that", "paid"]

_WORDS = {401: "Invalid API Key", 402: "No quota left to create a job", 503: "Service Unavailable"}


@dataclass
class Switches:
    """What goes wrong now; a test turns these while the vendor serves.

    ``status`` refuses calls, only submits where ``submits_only``; ``retry_after_s`` goes with a refusal;
    ``late_s`` delays every answer. ``asked`` notes when each call came (monotonic seconds) and whether it
    was a submit; ``troubled`` counts those that were refused or delayed.
    """

    status: int = 0
    submits_only: bool = False
    retry_after_s: int | None = None
    late_s: float = 0.0
    asked: list[tuple[float, bool]] = field(default_factory=list)
    troubled: int = 0

    def submits(self) -> list[float]:
        """When documents came in."""
        return [at for at, is_submit in self.asked if is_submit]


class _Unmarked:
    def __init__(self, app: ASGIApp, switches: Switches) -> None:
        self._app = app
        self._switches = switches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/__"):
            await self._app(scope, receive, send)
            return
        now = self._switches
        is_submit = scope["path"].endswith("/upload")
        now.asked.append((time.monotonic(), is_submit))
        is_refused = bool(now.status and (is_submit or not now.submits_only))
        now.troubled += is_refused or now.late_s > 0
        await asyncio.sleep(now.late_s)
        if is_refused:
            headers = {"Retry-After": str(now.retry_after_s)} if now.retry_after_s else None
            detail = _WORDS.get(now.status, "Refused")
            while (await receive()).get("more_body"):
                pass
            await JSONResponse({"detail": detail}, now.status, headers)(scope, receive, send)
            return

        async def unmarked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if SIMULATOR_HEADER in headers:
                    del headers[SIMULATOR_HEADER]
            await send(message)

        await self._app(scope, receive, unmarked)


def a_vendor(
    folder: Path, switches: Switches, reader: Reader, config: SimulatorConfig | None = None
) -> ASGIApp:
    """A service that REAL and HYBRID talk to; what it was paid for stands in its ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    return _Unmarked(create_simulator(config or SimulatorConfig(), folder, reader), switches)


def paid(url: str) -> list[dict[str, Any]]:
    """The jobs that the vendor at this address took and bills."""
    jobs: list[dict[str, Any]] = httpx.get(f"{url}/__simulator/ledger").json()["jobs"]
    return jobs


def pages_that(count: int, fail: Collection[int] = ()) -> Reader:
    """A reader whose documents have ``count`` pages, of which these fail."""

    async def read(_path: Path, name: str, target_pages: str) -> ParsedDocument:
        numbers = parse_page_ranges(target_pages) if target_pages else range(1, count + 1)
        made = (ParsedPage(n, f"# {name} {n}", f"{name} {n}", EngineName.LOCAL) for n in numbers)
        return ParsedDocument(
            tuple(
                replace(page, markdown="", error="torn") if page.number in fail else page
                for page in made
            )
        )

    return read
