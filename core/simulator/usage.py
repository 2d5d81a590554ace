"""The routes that say who pays, and what was used: one record for each job that is on the bill."""

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.simulator.desk import Desk, desk_of
from core.simulator.queries import day, each, flag, from_token, page_size, token
from core.simulator.records import SimJob
from core.simulator.refusals import problem

__all__ = ["ROUTES"]

_GROUPS = ("day", "project_id", "event_type", "tier")
_USER = "usr-simulator"

Record = dict[str, Any]


async def list_usage(request: Request) -> Response:
    """GET /api/v1/beta/usage-metrics: the records, oldest first, page by page."""
    given = request.query_params
    size, start = page_size(given), from_token(given) or 0
    with_total = flag(given, "include_total")
    records = await asyncio.to_thread(_records, desk_of(request), _checked(given))
    end = start + size
    return JSONResponse(
        {
            "items": records[start:end],
            "next_page_token": token(end) if end < len(records) else None,
            "total_size": len(records) if with_total else None,
        }
    )


async def aggregate(request: Request) -> Response:
    """GET /api/v1/beta/usage-metrics/aggregate: totals by day, project, event type or tier."""
    given = request.query_params
    groups = each(given, "group_by")
    if not groups or set(groups) - set(_GROUPS):
        message = f"Input should be some of {', '.join(_GROUPS)}"
        raise problem(["query", "group_by"], "missing" if not groups else "enum", message, groups)
    records = await asyncio.to_thread(_records, desk_of(request), _checked(given))
    buckets: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        shown = {**record, **record["properties"]}
        buckets.setdefault(tuple(str(shown[group]) for group in groups), []).append(record)
    return JSONResponse(
        {
            "group_by": groups,
            "buckets": [
                {
                    "dimensions": dict(zip(groups, values, strict=True)),
                    "total_credits": sum(record["credits"] for record in found),
                    "total_value": sum(record["value"] for record in found),
                    "metric_count": len(found),
                }
                for values, found in buckets.items()
            ],
        }
    )


async def organizations(request: Request) -> Response:
    """GET /api/v1/organizations: the one that every key belongs to."""
    config = desk_of(request).config
    return JSONResponse([{"id": config.organization_id, "name": "Simulated"}])


async def projects(request: Request) -> Response:
    """GET /api/v1/projects: the one there is."""
    config = desk_of(request).config
    whose = {"id": config.project_id, "organization_id": config.organization_id}
    return JSONResponse([{**whose, "name": "Simulated", "is_default": True}])


ROUTES = (
    Route("/api/v1/organizations", organizations),
    Route("/api/v1/projects", projects),
    Route("/api/v1/beta/usage-metrics", list_usage),
    Route("/api/v1/beta/usage-metrics/aggregate", aggregate),
)


def _checked(given: QueryParams) -> QueryParams:
    """The same parameters. Raises ``Refused`` for those that make no sense."""
    if given.get("organization_id") is None:
        raise problem(["query", "organization_id"], "missing", "Field required")
    for name in ("day_on_or_before", "day_on_or_after"):
        day(given.get(name), name)
    for value in each(given, "days"):
        day(value, "days")
    _least(given)
    return given


def _least(given: QueryParams) -> float | None:
    name = "credits_consumed_greater_than_or_equal"
    value = given.get(name)
    try:
        return None if value is None else float(value)
    except ValueError as error:
        message = "Input should be a valid number"
        raise problem(["query", name], "float_parsing", message, value) from error


def _records(desk: Desk, given: QueryParams) -> list[Record]:
    records = [_record(desk, job) for job in desk.state.billed(desk.now())]
    types, days, least = each(given, "event_types"), each(given, "days"), _least(given)
    equal = {
        name: given[name]
        for name in ("user_id", "event_aggregation_type", "event_aggregation_key")
        if name in given
    }
    first, last = given.get("day_on_or_after", ""), given.get("day_on_or_before", "9999")
    return [
        record
        for record in records
        if all(record[name] == value for name, value in equal.items())
        and (not types or record["event_type"] in types)
        and (not days or record["day"] in days)
        and first <= record["day"] <= last
        and (least is None or record["credits"] >= least)
    ]


def _record(desk: Desk, job: SimJob) -> Record:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"usage:{job.id}")),
        "user_id": _USER,
        "event_type": "pages_parsed",
        "project_id": desk.config.project_id,
        "organization_id": desk.config.organization_id,
        "value": job.pages or 0,
        "properties": {"tier": job.tier, "job_id": job.id},
        "day": datetime.fromtimestamp(job.billed_at or 0.0, UTC).date().isoformat(),
        "event_aggregation_key": job.id,
        "event_aggregation_type": PurePath(job.name).suffix.lstrip(".").lower() or "file",
        "credits": (job.credits or 0) + desk.config.metered_extra_credits,
        "usage_tags": list(job.usage_tags) or None,
    }
