"""The simulator's own routes, for whoever runs it: ledger, faults, health. For callers on this machine only."""

import asyncio
import ipaddress
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from core.simulator.desk import desk_of
from core.simulator.faults import Faults, FaultSpec

__all__ = ["ADMIN_PREFIX", "ROUTES", "LocalOnly"]

ADMIN_PREFIX = "/__simulator/"


class LocalOnly:
    """Refuses the simulator's own routes to callers on other machines."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the call through, or answer 403."""
        if scope["type"] == "http" and scope["path"].startswith(ADMIN_PREFIX):
            client = scope.get("client")
            if client is not None and not _is_loopback(client[0]):
                answer = JSONResponse({"detail": "Only from this machine."}, 403)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def ledger(request: Request) -> Response:
    """GET /__simulator/ledger: what was received, billed and sent."""
    return JSONResponse(await asyncio.to_thread(desk_of(request).state.ledger))


async def health(_request: Request) -> Response:
    """GET /__simulator/health: alive."""
    return JSONResponse({"status": "ok"})


async def faults(request: Request) -> Response:
    """``/__simulator/faults``: GET what is set and how often it hit; PUT ``{"faults", "seed"}``.

    ``{"faults": []}`` ends them all, an outage too.
    """
    drawn: Faults = request.app.state.faults
    if request.method == "PUT":
        try:
            asked = await request.json()
            drawn.set([FaultSpec.parse(f) for f in asked["faults"]], str(asked.get("seed", "")))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            return JSONResponse({"detail": str(error)}, 422)
    said = {"faults": [str(s) for s in drawn.specs], "seed": drawn.seed, "counts": drawn.counts}
    return JSONResponse(said)


ROUTES = (
    Route("/__simulator/ledger", ledger),
    Route("/__simulator/health", health),
    Route("/__simulator/faults", faults, methods=["GET", "PUT"]),
)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
