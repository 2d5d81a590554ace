"""The routes of saved webhook configurations. A secret goes in and never comes out."""

import asyncio
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.simulator.desk import desk_of, durable
from core.simulator.hooks_store import Hook
from core.simulator.options import Open
from core.simulator.queries import flag, from_token, page_size, token
from core.simulator.refusals import Refused
from core.simulator.requests import read_body
from core.simulator.results import moment

__all__ = ["ROUTES"]

_FAMILIES = {
    "extract": "pending success error partial_success cancelled",
    "parse": "pending running success error partial_success cancelled",
    "classify": "pending running success error partial_success cancelled",
    "sheets": "pending success error partial_success cancelled",
    "split": "pending processing success error cancelled",
    "batch": "pending running success error cancelled",
    "verify": "pending running success error cancelled",
}
_EVENTS = {f"{family}.{state}" for family, states in _FAMILIES.items() for state in states.split()}
_Event = Annotated[str, Field(pattern=rf"^({'|'.join(sorted(_EVENTS))}|unmapped_event)$")]
_EVERYTHING = 1000


class _Changes(Open):
    webhook_url: Annotated[str, Field(pattern=r"^https?:")] | None = None
    webhook_events: Annotated[list[_Event], Field(min_length=1)] | None = None
    webhook_headers: dict[str, str] | None = None
    webhook_output_format: Literal["string", "json"] | None = None
    webhook_signing_secret: str | None = Field(default=None, repr=False)


class _New(_Changes):
    webhook_url: Annotated[str, Field(pattern=r"^https?:")]


async def create(request: Request) -> Response:
    """POST /api/v1/beta/webhook-configs: 201."""
    desk, entry = desk_of(request), await _body(request, _New)
    hook = await durable(desk.state.hooks.add(entry, desk.now()))
    return JSONResponse(_shown(request, hook), 201)


async def get_hook(request: Request) -> Response:
    """GET /api/v1/beta/webhook-configs/{config_id}."""
    return JSONResponse(_shown(request, _hook(request)))


async def change(request: Request) -> Response:
    """PUT /api/v1/beta/webhook-configs/{config_id}: only keys that are present change."""
    desk, hook = desk_of(request), _hook(request)
    changes = await _body(request, _Changes)
    if changes.get("webhook_url", "") is None:
        del changes["webhook_url"]
    changed = await durable(desk.state.hooks.change(hook.id, changes, desk.now()))
    return JSONResponse(_shown(request, changed))


async def delete(request: Request) -> Response:
    """DELETE /api/v1/beta/webhook-configs/{config_id}: 204."""
    desk = desk_of(request)
    await durable(desk.state.hooks.delete(_hook(request).id, desk.now()))
    return Response(status_code=204)


async def list_all(request: Request) -> Response:
    """GET /api/v1/beta/webhook-configs: the deprecated list, whole."""
    hooks, _total = await asyncio.to_thread(desk_of(request).state.hooks.listing, 0, _EVERYTHING)
    return JSONResponse([_shown(request, hook) for hook in hooks])


async def list_paged(request: Request) -> Response:
    """GET /api/v2/webhook-configs: page by page; the total when it is asked for."""
    given = request.query_params
    size, after, with_total = page_size(given), from_token(given) or 0, flag(given, "include_total")
    hooks, total = await asyncio.to_thread(desk_of(request).state.hooks.listing, after, size)
    return JSONResponse(
        {
            "items": [_shown(request, hook) for hook in hooks],
            "next_page_token": token(hooks[-1].number) if len(hooks) == size else None,
            "total_size": total if with_total else None,
        }
    )


_ONE = "/api/v1/beta/webhook-configs/{config_id}"
ROUTES = (
    Route("/api/v1/beta/webhook-configs", create, methods=["POST"]),
    Route("/api/v1/beta/webhook-configs", list_all),
    Route(_ONE, get_hook),
    Route(_ONE, change, methods=["PUT"]),
    Route(_ONE, delete, methods=["DELETE"]),
    Route("/api/v2/webhook-configs", list_paged),
)


async def _body(request: Request, kind: type[Open]) -> dict[str, Any]:
    return read_body(kind, await request.body()).model_dump(exclude_unset=True)


def _hook(request: Request) -> Hook:
    hook = desk_of(request).state.hooks.find(request.path_params["config_id"])
    if hook is None:
        raise Refused(404, "Webhook configuration not found")
    return hook


def _shown(request: Request, hook: Hook) -> dict[str, Any]:
    entry = hook.entry
    return {
        "id": hook.id,
        "created_at": moment(hook.created_at),
        "updated_at": moment(hook.updated_at),
        "tenant_type": "project",
        "tenant_id": desk_of(request).config.project_id,
        "webhook_url": entry["webhook_url"],
        "has_secret": bool(entry.get("webhook_signing_secret")),
        "webhook_headers": entry.get("webhook_headers"),
        "webhook_events": entry.get("webhook_events"),
        "webhook_output_format": entry.get("webhook_output_format"),
    }
