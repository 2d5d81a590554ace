"""Lets calls go wrong the way the faults say, down to the bytes on the wire."""

import asyncio
import socket
import struct
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.simulator.admin import ADMIN_PREFIX
from core.simulator.faults import FaultName, Faults
from core.simulator.results import SECTIONS

__all__ = ["TRANSPORT", "Faulty", "transport_of"]

TRANSPORT = "parsedeck.transport"
_RESULTS = {*SECTIONS, "text_full", "markdown_full"}
_FAMILIES = {
    "/api/v1/beta/files": "files",
    "/api/v1/beta/usage-metrics": "usage",
    "/api/v1/organizations": "usage",
    "/api/v1/projects": "usage",
    "/api/v1/beta/webhook-configs": "hooks",
    "/api/v2/webhook-configs": "hooks",
    "/storage/": "download",
}
_REFUSALS = (
    (FaultName.KEY_REVOKED, 401, "Invalid API Key"),
    (FaultName.QUOTA_OUT, 402, "You've exceeded the maximum number of credits for your plan."),
    (FaultName.SERVER_ERROR, 503, "Service Unavailable"),
)


class Faulty:
    """Stands before the routes of the service; the simulator's own are never hit."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Draw what goes wrong with this call, and let it."""
        faults = self._faults
        if scope["type"] != "http" or not faults.specs or scope["path"].startswith(ADMIN_PREFIX):
            await self._app(scope, receive, send)
            return
        operation = _operation(scope)
        if faults.outage_s(operation):
            faults.counts.update([FaultName.OUTAGE.value])
            await _reset(scope, send)
            return
        await asyncio.sleep(faults.seconds(FaultName.LATENCY, operation))
        if faults.hits(FaultName.LOST_REQUEST, operation):
            await _reset(scope, send)
            return
        refusal = self._refusal(operation)
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self._spoilt(scope, receive, send, operation)

    def _refusal(self, operation: str) -> Response | None:
        if self._faults.is_limited(operation):
            return _answer(429, "Rate limit exceeded. Please try again later.")
        for name, status, detail in _REFUSALS:
            if self._faults.hits(name, operation):
                return _answer(status, detail)
        if operation == "fetch" and self._faults.hits(FaultName.RESULT_MISSING):
            return _answer(404, "Result not found")
        return None

    async def _spoilt(self, scope: Scope, receive: Receive, send: Send, operation: str) -> None:
        """The call is carried out; what is told of it may not arrive, or not whole."""
        hits = self._faults.hits
        if hits(FaultName.LOST_ANSWER, operation):
            await self._app(scope, receive, _swallow)
            await _reset(scope, send)
        elif hits(FaultName.TRUNCATED, operation):
            await self._app(scope, receive, _halved(send))
        elif hits(FaultName.MALFORMED, operation):
            await self._app(scope, receive, _swallow)
            await Response("<html>Bad gateway", 200, media_type="text/html")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def transport_of(send: Send) -> Any:
    """The connection behind uvicorn's ``send``; None under another server."""
    return getattr(getattr(send, "__self__", None), "transport", None)


def _operation(scope: Scope) -> str:
    path, method = scope["path"].rstrip("/"), scope["method"]
    by_path = next((family for start, family in _FAMILIES.items() if path.startswith(start)), "")
    if by_path or method != "GET":
        words = {"POST": "cancel" if path.endswith("/cancel") else "submit", "DELETE": "delete"}
        return by_path or words.get(method, "status")
    if path.endswith(("/versions", "/supported_file_extensions")):
        return "versions"
    if path.endswith("/parse"):
        return "list"
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("expand", [])
    expanded = {part for value in asked for part in value.split(",")}
    return "fetch" if "/result/" in path or expanded & _RESULTS else "status"


def _answer(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)


async def _swallow(_message: Message) -> None:
    return


async def _reset(scope: Scope, send: Send) -> None:
    """Break the connection: the caller's next read or write fails with a reset, not with an end."""
    transport = scope.get(TRANSPORT)
    if transport is not None:
        connection = transport.get_extra_info("socket")
        # to linger for no time makes the kernel send a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await asyncio.sleep(0)  # so that the server knows before it misses an answer
        return
    # an answer that ends before its first byte of body: the server then closes the connection
    headers = [(b"content-length", b"1000"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def _halved(send: Send) -> Send:
    async def halve(message: Message) -> None:
        if message["type"] == "http.response.body":
            half = message.get("body", b"")[: len(message.get("body", b"")) // 2]
            message = {**message, "body": half, "more_body": True}
        await send(message)

    return halve
