"""Faults on demand: what a bad day at the service looks like, seeded, counted and composable.

A fault is written ``NAME=NUMBER[@OPERATION]``. The number is the share of calls (or deliveries) that it
hits, from 0 to 1; for ``latency`` and ``webhook_late`` it is a mean in seconds, drawn anew each time
from an exponential distribution. Without an operation it hits all of them.
"""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["FaultName", "FaultSpec", "Faults", "Faulty", "faults_route"]

_LOOPBACK = {"127.0.0.1", "::1"}
_WRITTEN = re.compile(r"(?P<name>\w+)=(?P<number>\d*\.?\d+)(?:@(?P<operation>\w+))?")
_OPERATIONS = ("submit", "status", "fetch", "list", "cancel", "delete", "versions")
_RESULTS = {"text", "markdown", "items", "metadata", "text_full", "markdown_full"}


class FaultName(StrEnum):
    """All there are. Those that begin with ``webhook`` hit deliveries, the others calls."""

    LATENCY = "latency"
    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    LOST_REQUEST = "lost_request"
    LOST_ANSWER = "lost_answer"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    RESULT_MISSING = "result_missing"
    WEBHOOK_LOST = "webhook_lost"
    WEBHOOK_LATE = "webhook_late"
    WEBHOOK_TWICE = "webhook_twice"
    WEBHOOK_WRONG_SIGNATURE = "webhook_wrong_signature"
    WEBHOOK_DOUBLE_ENCODED = "webhook_double_encoded"

    @property
    def is_seconds(self) -> bool:
        """Whether its number is a mean in seconds and not a share."""
        return self in {FaultName.LATENCY, FaultName.WEBHOOK_LATE}


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault as it was asked for; an empty operation means all."""

    name: FaultName
    number: float
    operation: str = ""

    @classmethod
    def parse(cls, written: str) -> "FaultSpec":
        """Read ``NAME=NUMBER[@OPERATION]``. Raises ``ValueError`` that says what is possible."""
        match = _WRITTEN.fullmatch(written.strip())
        if match is None or match["name"] not in set(FaultName):
            names = ", ".join(FaultName)
            raise ValueError(
                f"{written!r} is no fault. Write NAME=NUMBER[@OPERATION]; names: {names}."
            )
        name, number, operation = (
            FaultName(match["name"]),
            float(match["number"]),
            match["operation"],
        )
        if not name.is_seconds and number > 1:
            raise ValueError(f"{written!r}: the share of calls is from 0 to 1.")
        if operation and (operation not in _OPERATIONS or name.startswith("webhook")):
            raise ValueError(
                f"{written!r}: operations are {', '.join(_OPERATIONS)}, for calls only."
            )
        return cls(name, number, operation or "")

    def __str__(self) -> str:
        """As it is written."""
        where = f"@{self.operation}" if self.operation else ""
        return f"{self.name}={self.number:g}{where}"


class Faults:
    """Draws faults from a seed and counts them. Belongs to one event loop."""

    def __init__(self, specs: Iterable[FaultSpec] = (), seed: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self.set(specs, seed)

    def set(self, specs: Iterable[FaultSpec], seed: str) -> None:
        """From now on these, drawn from the seed's beginning; the counts go on."""
        self.specs = tuple(specs)
        self.seed = seed
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret

    def hits(self, name: FaultName, operation: str = "") -> bool:
        """Whether this fault hits now, drawn and counted."""
        found = [s for s in self._of(name, operation) if self._random.random() < s.number]
        self.counts.update([name.value] if found else [])
        return bool(found)

    def seconds(self, name: FaultName, operation: str = "") -> float:
        """How long this fault lasts now, drawn."""
        return sum(
            self._random.expovariate(1 / s.number) for s in self._of(name, operation) if s.number
        )

    def _of(self, name: FaultName, operation: str) -> list[FaultSpec]:
        return [s for s in self.specs if s.name is name and s.operation in {"", operation}]


class Faulty:
    """Lets calls to the service's routes go wrong."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Draw what goes wrong with this call, and let it."""
        if scope["type"] != "http" or not self._faults.specs or scope["path"].startswith("/__"):
            await self._app(scope, receive, send)
            return
        operation, hits = _operation(scope), self._faults.hits
        await asyncio.sleep(self._faults.seconds(FaultName.LATENCY, operation))
        if hits(FaultName.LOST_REQUEST, operation):
            await _drop(send)
        elif hits(FaultName.RATE_LIMIT, operation):
            await _answer(429, "Rate limit exceeded. Please try again later.")(scope, receive, send)
        elif hits(FaultName.SERVER_ERROR, operation):
            await _answer(503, "Service Unavailable")(scope, receive, send)
        elif operation == "fetch" and hits(FaultName.RESULT_MISSING):
            await _answer(404, "Result not found")(scope, receive, send)
        else:
            await self._spoilt(scope, receive, send, operation)

    async def _spoilt(self, scope: Scope, receive: Receive, send: Send, operation: str) -> None:
        """The call is carried out; what is told of it may not arrive, or not whole."""
        hits = self._faults.hits
        if hits(FaultName.LOST_ANSWER, operation):
            await self._app(scope, receive, _swallow)
            await _drop(send)
        elif hits(FaultName.TRUNCATED, operation):
            await self._app(scope, receive, _halved(send))
        elif hits(FaultName.MALFORMED, operation):
            await self._app(scope, receive, _swallow)
            await Response("<html>Bad gateway", 200, media_type="text/html")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def faults_route(request: Request) -> Response:
    """``/__simulator/faults``: GET what is set and how often it hit; PUT ``{"faults", "seed"}``."""
    if request.client is not None and request.client.host not in _LOOPBACK:
        return JSONResponse({"detail": "Only from this machine."}, 403)
    faults: Faults = request.app.state.faults
    if request.method == "PUT":
        try:
            asked = await request.json()
            faults.set([FaultSpec.parse(f) for f in asked["faults"]], str(asked.get("seed", "")))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            return JSONResponse({"detail": str(error)}, 422)
    said = {"faults": [str(s) for s in faults.specs], "seed": faults.seed, "counts": faults.counts}
    return JSONResponse(said)


def _operation(scope: Scope) -> str:
    path, method = scope["path"].rstrip("/"), scope["method"]
    if path.endswith("/versions"):
        return "versions"
    if path.endswith("/cancel"):
        return "cancel"
    if method == "DELETE":
        return "delete"
    if method == "POST":
        return "submit"
    if path.endswith("/parse"):
        return "list"
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("expand", [])
    expanded = {part for value in asked for part in value.split(",")}
    return "fetch" if expanded & _RESULTS else "status"


def _answer(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)


async def _swallow(_message: Message) -> None:
    return


async def _drop(send: Send) -> None:
    """An answer that ends before its first byte of body: the server then closes the connection."""
    headers = [(b"content-length", b"1000"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def _halved(send: Send) -> Send:
    async def halve(message: Message) -> None:
        if message["type"] == "http.response.body":
            half = message.get("body", b"")[: len(message.get("body", b"")) // 2]
            message = {**message, "body": half, "more_body": True}
        await send(message)

    return halve
