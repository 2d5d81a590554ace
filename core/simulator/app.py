"""The simulator as an ASGI application: routes behind a key check, a back office beside them."""

import asyncio
import hmac
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.clock import Clock, utc_now
from core.simulator import admin, files, hooks, usage, v1, v2
from core.simulator.config import Figures, PageImage, Reader, SimulatorConfig
from core.simulator.desk import Desk
from core.simulator.faults import Faults, FaultSpec
from core.simulator.faulty import TRANSPORT, Faulty, transport_of
from core.simulator.links import Links
from core.simulator.outputs import Archive
from core.simulator.refusals import Refused, problem
from core.simulator.runner import Runner
from core.simulator.sender import Sender
from core.simulator.state import State
from core.simulator.v1_results import legacy_payload

__all__ = ["NAME_HEADER", "create_simulator"]

NAME_HEADER = "X-Parsedeck-Simulator"
_OPEN_PATHS = frozenset(
    {
        "/api/v2/parse/versions",
        "/api/v1/parsing/supported_file_extensions",
        "/api/parsing/supported_file_extensions",
    }
)
_ROUTES = (*v2.ROUTES, *v1.ROUTES, *files.ROUTES, *usage.ROUTES, *hooks.ROUTES, *admin.ROUTES)


def create_simulator(  # noqa: PLR0913 - what it draws with can be left out, and so can its clock
    config: SimulatorConfig,
    folder: Path,
    reader: Reader,
    *,
    page_image: PageImage | None = None,
    figures: Figures | None = None,
    clock: Clock = utc_now,
) -> Starlette:
    """A simulator that keeps all it knows in ``folder`` and reads documents with ``reader``.

    Without ``page_image`` there are no screenshots of PDFs, without ``figures`` no embedded images. Its
    back office runs on the server's event loop between the start and the end of its lifespan. Several processes may serve the same folder;
    after a crash the next one goes on. Raises ``ValueError`` for a fault that is not one.
    """
    faults = Faults((FaultSpec.parse(fault) for fault in config.faults), config.seed)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        state = await asyncio.to_thread(State, folder, config.seed, config.lease_s, config.events)
        app.state.faults = faults
        archive = Archive(state, config.page_separator, page_image, figures)

        def legacy(job_id: str) -> bytes:
            job = state.find(job_id)
            finished = archive.finished(job) if job else None
            return b"{}" if finished is None else legacy_payload(finished)

        sender = Sender(state, config, faults, legacy)
        try:
            async with Runner(state, config, reader, figures, sender, clock) as runner:
                links = Links(state.link_key, config.link_s)
                app.state.desk = Desk(config, state, runner, faults, archive, links)
                yield
        finally:
            await sender.close()
            await asyncio.to_thread(state.close)

    return _Simulator(
        routes=_ROUTES,
        lifespan=lifespan,
        middleware=[
            Middleware(_Named),
            Middleware(admin.LocalOnly),
            Middleware(_Keyed, api_key=config.api_key),
            Middleware(_Tenancy, config=config),
            Middleware(Faulty, faults=faults),
        ],
        exception_handlers={
            Refused: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Exception: _broken,
        },
    )


class _Simulator(Starlette):
    """Remembers the connection of each call, which its middleware cannot see any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT] = transport_of(send)
        await super().__call__(scope, receive, send)


class _Named:
    """Says in every answer that this is the simulator."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[NAME_HEADER] = "1"
            await send(message)

        await self._app(scope, receive, named)


class _Keyed:
    """Refuses calls to the service's routes without a bearer, or with another one than expected."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._api_key = api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else ""
        if problem:
            await JSONResponse({"detail": problem}, 401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> str:
        if not scope["path"].startswith("/api/") or scope["path"] in _OPEN_PATHS:
            return ""
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            return "Not authenticated"
        is_known = not self._api_key or hmac.compare_digest(key.strip().encode(), self._api_key)
        return "" if is_known else "Invalid API Key"


class _Tenancy:
    """Refuses calls that name a project or an organization that the key does not belong to."""

    def __init__(self, app: ASGIApp, config: SimulatorConfig) -> None:
        self._app = app
        self._status = config.other_project_status
        self._ours = {
            "project_id": config.project_id.removeprefix("prj-"),
            "organization_id": config.organization_id.removeprefix("org-"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http" and b"_id=" in scope["query_string"]:
            refusal = self._refusal(parse_qs(scope["query_string"].decode("latin-1")))
        if refusal is not None:
            await JSONResponse({"detail": refusal.detail}, refusal.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, given: dict[str, list[str]]) -> Refused | None:
        for name, ours in self._ours.items():
            for value in given.get(name, ()):
                bare = value.removeprefix("prj-").removeprefix("org-")
                if not _is_uuid(bare):
                    return problem(
                        ["query", name], "uuid_parsing", "Input should be a valid UUID", value
                    )
                if str(uuid.UUID(bare)) != ours.lower():
                    return Refused(self._status, "Access denied to this project")
        return None


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


async def _refused(_request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, Refused) else Refused(500, "Internal Server Error")
    return JSONResponse({"detail": refusal.detail}, refusal.status)


async def _http_error(_request: Request, error: Exception) -> Response:
    problem = error if isinstance(error, HTTPException) else HTTPException(500)
    return JSONResponse({"detail": problem.detail}, problem.status_code, headers=problem.headers)


async def _gone(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"detail": "The request ended before its body did."}, 400)


async def _broken(_request: Request, _error: Exception) -> Response:
    # answered outside of the middleware, so it has to say the name itself
    return JSONResponse({"detail": "Internal Server Error"}, 500, headers={NAME_HEADER: "1"})
