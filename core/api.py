"""The HTTP routes beside the console: webhooks, health, metrics. Depends on no screen."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.console import Console
from core.domain.budgets import LimitUse, Unit
from core.errors import ConsoleError
from core.serving import prepare_process
from core.settings import Settings
from core.telemetry import configure_logs
from core.webhooks.endpoint import WEBHOOK_PATH, webhook_route

__all__ = ["all_routes", "ingress_app", "ingress_of_this_process"]

_SERVED = {
    f"POST {WEBHOOK_PATH}": "LlamaCloud events, signed",
    "GET /api/v1": "what is served here",
    "GET /api/v1/health": "alive",
    "GET /api/v1/ready": "database, workflows and files answer",
}
_SERVED_HERE_ONLY = {"GET /metrics": "figures for Prometheus", "GET /": "the console"}


def all_routes(console: Console) -> list[Route]:
    """Everything, for the console's own port."""
    routes = _health_routes(console, {**_SERVED, **_SERVED_HERE_ONLY})
    metrics = Route("/metrics", _answering(lambda: _metrics(console)))
    return [webhook_route(console.receiver), *routes, metrics]


def ingress_app(console: Console) -> Starlette:
    """What a tunnel may publish: webhooks and health, and nothing else."""
    return Starlette(routes=[webhook_route(console.receiver), *_health_routes(console, _SERVED)])


def ingress_of_this_process() -> Starlette:
    """The same with a console of its own, for servers that start several processes."""
    settings = Settings.load()
    console = Console(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with (settings.data_dir / "parsedeck.log").open("a", encoding="utf-8") as stream:
            configure_logs(stream)
            await anyio.to_thread.run_sync(console.presence.begin)
            prepare_process()
            yield
            await anyio.to_thread.run_sync(console.close)

    routes = [webhook_route(console.receiver), *_health_routes(console, _SERVED)]
    return Starlette(routes=routes, lifespan=lifespan)


def _health_routes(console: Console, served: dict[str, str]) -> list[Route]:
    return [
        Route("/api/v1", _answering(lambda: JSONResponse({"routes": served}))),
        Route("/api/v1/health", _answering(lambda: JSONResponse({"status": "ok"}))),
        Route("/api/v1/ready", _answering(lambda: _ready(console))),
    ]


def _answering(make: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        del request
        return await anyio.to_thread.run_sync(make)

    return answer


def _ready(console: Console) -> Response:
    checks: dict[str, str] = {}
    for name, check in console.readiness().items():
        try:
            check()
            checks[name] = "ok"
        except ConsoleError as error:
            checks[name] = error.what
    is_ready = all(value == "ok" for value in checks.values())
    return JSONResponse({"ready": is_ready, **checks}, 200 if is_ready else 503)


def _metrics(console: Console) -> Response:
    console.metrics.set_jobs({s.value: count for s, count in console.jobs.counts().items()})
    console.metrics.set_money(
        {
            (book, use.limit.scope, use.limit.window.value, use.limit.unit.value): _amounts(use)
            for book in ("real", "mock")
            for use in (line.use for line in console.limits.lines(book))
        }
    )
    console.metrics.set_alerts(console.alerts.counts())
    console.metrics.set_engines(
        {
            state.card.name: "held" if state.health.hold else state.health.breaker.state.value
            for state in console.engines_view.states()
        }
    )
    return Response(console.metrics.text(), media_type="text/plain; version=0.0.4")


def _amounts(use: LimitUse) -> dict[str, float]:
    one = 1_000_000 if use.limit.unit is Unit.USD else 1
    parts = {
        "limit": use.limit.amount,
        "reserved": use.reserved,
        "settled": use.settled,
        "left": use.left,
    }
    return {name: amount / one for name, amount in parts.items()}
