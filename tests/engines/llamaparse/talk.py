"""An engine that talks to a handler in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx2 as httpx
from pydantic import SecretStr

from core.engines.llamaparse import LlamaParseEngine

__all__ = [
    "JOB",
    "SIMULATOR",
    "SINCE",
    "Handler",
    "lost",
    "parts_of",
    "run_engine",
    "submit_answers",
]

T = TypeVar("T")

Handler = Callable[[httpx.Request], httpx.Response]

SINCE = datetime(2026, 11, 24, tzinfo=UTC)

SIMULATOR = {"X-Parsedeck-Simulator": "1"}

JOB = {"id": "pjb-1", "project_id": "p", "status": "COMPLETED"}


def run_engine(
    use: Callable[[LlamaParseEngine], Awaitable[T]],
    transport: Handler | httpx.AsyncBaseTransport,
    **options: Any,
) -> T:
    """What ``use`` makes of an engine that talks to this handler."""

    async def run() -> T:
        seam = (
            transport
            if isinstance(transport, httpx.AsyncBaseTransport)
            else httpx.MockTransport(transport)
        )
        settings: dict[str, Any] = {"retry_pause_s": 0.001, "transport": seam, **options}
        engine = LlamaParseEngine("https://service.example", SecretStr("llx-key"), **settings)
        try:
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def submit_answers(answer: Callable[[], httpx.Response]) -> Handler:
    """A handler that has nothing to say but to a submit."""

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={}) if request.method == "GET" else answer()

    return handle


def lost() -> httpx.Response:
    """A connection that ends before the answer is there."""
    message = "the answer is lost"
    raise httpx.ReadError(message)


def parts_of(request: httpx.Request) -> list[tuple[str, bytes]]:
    """Head and body of each part of a multipart request."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    parts = request.content.split(b"--" + boundary)[1:-1]
    heads = [part.strip(b"\r\n").partition(b"\r\n\r\n") for part in parts]
    return [(head.decode(), body) for head, _, body in heads]
