"""The routes of v2 Parse, with the bodies and refusals that the fact sheet documents."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.simulator.desk import Desk, desk_of, durable
from core.simulator.intake import fetched, form_of, stored
from core.simulator.outputs import OUTPUTS, Finished
from core.simulator.queries import each, from_token, moment, one_of, page_size, token
from core.simulator.records import JobQuery, SimJob, Target
from core.simulator.refusals import Refused, problem
from core.simulator.requests import (
    Configuration,
    Content,
    WebhookEntry,
    job_of,
    read_body,
    targets_of,
)
from core.simulator.results import SECTIONS, job_json

__all__ = ["ROUTES"]

_STATUSES = ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")
_NO_FAST_MARKDOWN = {"markdown", "markdown_full"}
_SUFFIX = "_content_metadata"
_VERSIONS: dict[str, list[str]] = {
    "fast": ["2026-06-15"],
    "cost_effective": ["2026-09-28", "2026-08-19"],
    "agentic": ["2026-10-16", "2026-08-19"],
    "agentic_plus": ["2026-09-28", "2026-08-19"],
}


async def upload(request: Request) -> Response:
    """POST /api/v2/parse/upload: document and options in one request."""
    desk = desk_of(request)
    desk.admit()
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(400, "file field is required for multipart requests.")
    async with form_of(request, desk.config) as form:
        configuration = _configuration(form.get("configuration"))
        saved = _saved(desk, configuration)
        content = await stored(form, desk.state, desk.config)
    return await _created(request, configuration, content, saved)


async def create(request: Request) -> Response:
    """POST /api/v2/parse: from a file that was uploaded before, or from an address."""
    desk = desk_of(request)
    desk.admit()
    configuration = read_body(Configuration, await request.body())
    if (configuration.file_id is None) == (configuration.source_url is None):
        message = "Exactly one of file_id or source_url is required"
        raise problem(["body"], "value_error", message)
    saved = _saved(desk, configuration)
    if configuration.source_url is not None:
        content = await fetched(configuration.source_url, desk.state, desk.config)
    else:
        file = desk.state.files.find(configuration.file_id or "")
        if file is None:
            raise Refused(404, "Source file not found in storage")
        content = file.name, file.sha256, file.size_bytes
    return await _created(request, configuration, content, saved)


async def get_job(request: Request) -> Response:
    """GET /api/v2/parse/{job_id}: the job, wrapped, with what is expanded."""
    desk = desk_of(request)
    job, wanted = desk.job(request), set(each(request.query_params, "expand"))
    if job.tier == "fast" and not desk.config.fast_has_markdown and wanted & _NO_FAST_MARKDOWN:
        raise Refused(400, "Markdown expansion is not available for FAST tier jobs.")
    shown = job_json(job, desk.config.project_id)
    if "usage" in wanted:
        shown["usage"] = {"credits": job.billed(desk.now())}
    if job.status != "COMPLETED" or not wanted - {"usage"}:
        return JSONResponse({"job": shown})
    return JSONResponse({"job": shown, **await asyncio.to_thread(_expanded, request, job, wanted)})


async def list_jobs(request: Request) -> Response:
    """GET /api/v2/parse: newest first, page by page."""
    desk, query = desk_of(request), _query(request)
    jobs, total = await asyncio.to_thread(desk.state.listing, query)
    is_full = len(jobs) == query.page_size
    return JSONResponse(
        {
            "items": [job_json(job, desk.config.project_id) for job in jobs],
            "next_page_token": token(jobs[-1].number) if jobs and is_full else None,
            "total_size": total,
        }
    )


async def cancel(request: Request) -> Response:
    """POST /api/v2/parse/{job_id}/cancel: refused once the job has ended."""
    desk = desk_of(request)
    job = desk.job(request)
    deliveries = await durable(desk.state.cancel(job.id, desk.now()))
    if deliveries is None:
        raise Refused(desk.config.refusal_status, "Parse job has already ended.")
    desk.runner.deliver(deliveries)
    return JSONResponse(job_json(desk.job(request), desk.config.project_id))


async def delete(request: Request) -> Response:
    """DELETE /api/v2/parse/{job_id}: refused while the job has not ended."""
    desk = desk_of(request)
    job = desk.job(request)
    if not job.is_final:
        raise Refused(desk.config.refusal_status, "Parse job has not ended yet.")
    await durable(desk.state.delete(job.id, desk.now()))
    return JSONResponse({"id": job.id, "project_id": desk.config.project_id})


async def versions(_request: Request) -> Response:
    """GET /api/v2/parse/versions: needs no key."""
    latest = {tier: known[0] for tier, known in _VERSIONS.items()}
    return JSONResponse({**_VERSIONS, "latest": latest})


ROUTES = (
    Route("/api/v2/parse/versions", versions),
    Route("/api/v2/parse/upload", upload, methods=["POST"]),
    Route("/api/v2/parse", create, methods=["POST"]),
    Route("/api/v2/parse", list_jobs),
    Route("/api/v2/parse/{job_id}/cancel", cancel, methods=["POST"]),
    Route("/api/v2/parse/{job_id}", get_job),
    Route("/api/v2/parse/{job_id}", delete, methods=["DELETE"]),
)


def _configuration(text: object) -> Configuration:
    if not isinstance(text, str):
        raise problem(["body", "configuration"], "missing", "Field required")
    return read_body(Configuration, text.encode("utf-8", "replace"))


def _saved(desk: Desk, configuration: Configuration) -> tuple[Target, ...]:
    """The saved receivers that the request names."""
    hooks = []
    for hook_id in configuration.webhook_configuration_ids or ():
        hook = desk.state.hooks.find(hook_id)
        if hook is None:
            raise Refused(404, f"Webhook configuration {hook_id} not found")
        hooks.append(WebhookEntry.model_validate(hook.entry))
    return targets_of(hooks)


async def _created(
    request: Request, configuration: Configuration, content: Content, saved: tuple[Target, ...]
) -> Response:
    desk = desk_of(request)
    tags = tuple(tag.strip() for tag in request.headers.get("usage-tags", "").split(","))
    new = job_of(
        configuration, content, saved, desk.config, (desk.today(), tuple(filter(None, tags)))
    )
    return JSONResponse(job_json(await desk.accept(new), desk.config.project_id))


def _expanded(request: Request, job: SimJob, wanted: set[str]) -> dict[str, Any]:
    """The sections that were asked for; names that this simulator does not know are left out."""
    finished = desk_of(request).finished(job)
    given: dict[str, Any] = {
        name: section(finished.pages) for name, section in SECTIONS.items() if name in wanted
    }
    if "markdown_full" in wanted:
        given["markdown_full"] = finished.markdown
    if "text_full" in wanted:
        given["text_full"] = finished.text
    if "job_metadata" in wanted:
        given["job_metadata"] = {
            "job_pages": len(finished.pages),
            "job_is_cache_hit": job.cached_from is not None,
        }
    linked = [name for name in OUTPUTS if name + _SUFFIX in wanted]
    if linked:
        given["result_content_metadata"] = dict(
            _content(request, finished, name) for name in linked
        )
    if "images" + _SUFFIX in wanted:
        given["images_content_metadata"] = _images(request, finished)
    return given


def _content(request: Request, finished: Finished, name: str) -> tuple[str, dict[str, Any]]:
    desk, output = desk_of(request), OUTPUTS[name]
    data = output.data(finished)
    if data is None:
        return output.key, {"size_bytes": 0, "exists": False, "presigned_url": None}
    url = desk.links.to(request, desk.now(), "results", finished.job.id, name)
    return output.key, {"size_bytes": len(data), "exists": True, "presigned_url": url}


def _images(request: Request, finished: Finished) -> dict[str, Any]:
    desk = desk_of(request)
    chosen = {name for name in request.query_params.get("image_filenames", "").split(",") if name}
    images = [
        {
            "index": image.index,
            "filename": image.filename,
            "content_type": image.content_type,
            "category": image.category,
            "bbox": dict(zip("xywh", image.box, strict=True)),
            "size_bytes": None,
            "presigned_url": desk.links.to(
                request, desk.now(), "images", finished.job.id, image.filename
            ),
        }
        for image in finished.album.images()
        if not chosen or image.filename in chosen
    ]
    return {"total_count": len(images), "images": images}


def _query(request: Request) -> JobQuery:
    given = request.query_params
    return JobQuery(
        page_size=page_size(given),
        before=from_token(given),
        status=one_of(given, "status", _STATUSES),
        job_ids=tuple(given.getlist("job_ids")),
        created_from=moment(given, "created_at_on_or_after"),
        created_to=moment(given, "created_at_on_or_before"),
    )
