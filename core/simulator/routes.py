"""The routes of v2 Parse, with the bodies and refusals that the fact sheet documents."""

import asyncio
import base64
import binascii
import hashlib
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.simulator.config import SimulatorConfig
from core.simulator.faults import faults_route
from core.simulator.records import JobQuery, NewJob, SimJob
from core.simulator.requests import Configuration, problems_of
from core.simulator.results import expanded, job_json, load
from core.simulator.runner import Runner
from core.simulator.state import State

__all__ = ["ROUTES", "Desk", "Refused"]

_STATUSES = ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")
_CHUNK = 1024 * 1024
_PAGE_SIZE, _LARGEST_PAGE = 50, 1000
_VERSIONS: dict[str, Any] = {
    "fast": ["2026-06-15"],
    "cost_effective": ["2026-09-28"],
    "agentic": ["2026-10-16"],
    "agentic_plus": ["2026-09-28"],
}


class Refused(Exception):
    """An answer that is no success; ``detail`` is the body's only key."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Desk:
    """All that a route works with."""

    config: SimulatorConfig
    state: State
    runner: Runner

    async def job(self, request: Request) -> SimJob:
        """The job that the path names. Raises ``Refused`` when there is none."""
        job = await asyncio.to_thread(self.state.find, request.path_params["job_id"])
        if job is None:
            raise Refused(404, "Parse job not found")
        return job


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _problem(loc: list[str], kind: str, message: str, value: object) -> Refused:
    return Refused(422, [{"type": kind, "loc": loc, "msg": message, "input": value}])


async def upload(request: Request) -> Response:
    """POST /api/v2/parse/upload: document and options in one request."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(400, "file field is required for multipart requests.")
    async with request.form(max_files=1, max_fields=10) as form:
        configuration = _configuration(form.get("configuration"))
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused(400, "file field is required for multipart requests.")
        if not file.filename:
            raise Refused(400, "File must have a filename.")
        new = await _stored(_desk(request), file, configuration)
    return await _created(_desk(request), new)


async def create(request: Request) -> Response:
    """POST /api/v2/parse: checks the options; a source other than an upload is not served yet."""
    configuration = _configuration((await request.body()).decode("utf-8", "replace"))
    sources = [source for source in (configuration.file_id, configuration.source_url) if source]
    if len(sources) != 1:
        raise _problem(
            ["body"], "value_error", "Exactly one of file_id or source_url is required", None
        )
    raise Refused(400, "file_id and source_url are not supported by the simulator yet.")


async def get_job(request: Request) -> Response:
    """GET /api/v2/parse/{job_id}: the job, wrapped, with what is expanded."""
    desk, job = _desk(request), await _desk(request).job(request)
    wanted = {name for value in request.query_params.getlist("expand") for name in value.split(",")}
    if (
        job.tier == "fast"
        and not desk.config.fast_has_markdown
        and wanted & {"markdown", "markdown_full"}
    ):
        raise Refused(400, "Markdown expansion is not available for FAST tier jobs.")
    shown = job_json(job, desk.config.project_id)
    if "usage" in wanted:
        shown["usage"] = {"credits": _billed(job, desk)}
    if job.status != "COMPLETED":
        return JSONResponse({"job": shown})
    return JSONResponse(
        {"job": shown, **await asyncio.to_thread(_sections, desk.state, job, wanted)}
    )


async def list_jobs(request: Request) -> Response:
    """GET /api/v2/parse: newest first, page by page."""
    desk, query = _desk(request), _query(request)
    jobs, total = await asyncio.to_thread(desk.state.listing, query)
    is_full = len(jobs) == query.page_size
    return JSONResponse(
        {
            "items": [job_json(job, desk.config.project_id) for job in jobs],
            "next_page_token": _token(jobs[-1].number) if jobs and is_full else None,
            "total_size": total,
        }
    )


async def cancel(request: Request) -> Response:
    """POST /api/v2/parse/{job_id}/cancel: refused once the job has ended."""
    desk, job = _desk(request), await _desk(request).job(request)
    deliveries = await asyncio.to_thread(desk.state.cancel, job.id, desk.runner.now())
    if deliveries is None:
        raise Refused(desk.config.refusal_status, "Parse job has already ended.")
    desk.runner.deliver(deliveries)
    return JSONResponse(job_json(await desk.job(request), desk.config.project_id))


async def delete(request: Request) -> Response:
    """DELETE /api/v2/parse/{job_id}: refused while the job has not ended."""
    desk, job = _desk(request), await _desk(request).job(request)
    if not job.is_final:
        raise Refused(desk.config.refusal_status, "Parse job has not ended yet.")
    await asyncio.to_thread(desk.state.delete, job.id, desk.runner.now())
    return JSONResponse({"id": job.id, "project_id": desk.config.project_id})


async def versions(_request: Request) -> Response:
    """GET /api/v2/parse/versions: needs no key."""
    return JSONResponse(
        {**_VERSIONS, "latest": {tier: known[0] for tier, known in _VERSIONS.items()}}
    )


async def ledger(request: Request) -> Response:
    """GET /__simulator/ledger: what was received, billed and sent."""
    return JSONResponse(await asyncio.to_thread(_desk(request).state.ledger))


async def health(_request: Request) -> Response:
    """GET /__simulator/health: alive."""
    return JSONResponse({"status": "ok"})


ROUTES = (
    Route("/api/v2/parse/versions", versions),
    Route("/api/v2/parse/upload", upload, methods=["POST"]),
    Route("/api/v2/parse", create, methods=["POST"]),
    Route("/api/v2/parse", list_jobs),
    Route("/api/v2/parse/{job_id}/cancel", cancel, methods=["POST"]),
    Route("/api/v2/parse/{job_id}", get_job),
    Route("/api/v2/parse/{job_id}", delete, methods=["DELETE"]),
    Route("/__simulator/ledger", ledger),
    Route("/__simulator/health", health),
    Route("/__simulator/faults", faults_route, methods=["GET", "PUT"]),
)


def _configuration(text: object) -> Configuration:
    if not isinstance(text, str):
        raise _problem(["body", "configuration"], "missing", "Field required", None)
    try:
        return Configuration.model_validate_json(text)
    except ValidationError as error:
        raise Refused(422, problems_of(error)) from error


async def _stored(desk: Desk, file: UploadFile, configuration: Configuration) -> NewJob:
    name = file.filename or ""
    temporary = desk.state.documents / f".{uuid.uuid4().hex}"
    try:
        digest, size = await _copied(file, temporary)
        if size == 0:
            raise Refused(400, "Uploaded file is empty.")
        temporary.replace(desk.state.document_path(digest, name))
    finally:
        temporary.unlink(missing_ok=True)
    return NewJob(name, digest, size, configuration)


async def _copied(file: UploadFile, to: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with to.open("wb") as target:
        while chunk := await file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            await asyncio.to_thread(target.write, chunk)
        target.flush()
        await asyncio.to_thread(os.fsync, target.fileno())
    return digest.hexdigest(), size


async def _created(desk: Desk, new: NewJob) -> Response:
    cache_s = desk.config.cache_s if desk.config.cache else None
    job, deliveries = await asyncio.to_thread(desk.state.create, new, desk.runner.now(), cache_s)
    desk.runner.take(job.id)
    desk.runner.deliver(deliveries)
    return JSONResponse(job_json(job, desk.config.project_id))


def _sections(state: State, job: SimJob, wanted: Iterable[str]) -> dict[str, Any]:
    return expanded(job, load(state.result_path(job.id).read_bytes()), set(wanted))


def _billed(job: SimJob, desk: Desk) -> int | None:
    is_due = (
        job.finished_at is not None
        and desk.runner.now() >= job.finished_at + desk.config.billed_after_s
    )
    return job.credits if is_due else None


def _query(request: Request) -> JobQuery:
    given = request.query_params
    status = given.get("status")
    if status is not None and status not in _STATUSES:
        expected = ", ".join(_STATUSES)
        raise _problem(
            ["query", "status"], "literal_error", f"Input should be one of {expected}", status
        )
    return JobQuery(
        page_size=_page_size(given.get("page_size")),
        before=_from_token(given.get("page_token")),
        status=status,
        job_ids=tuple(given.getlist("job_ids")),
        created_from=_moment("created_at_on_or_after", given.get("created_at_on_or_after")),
        created_to=_moment("created_at_on_or_before", given.get("created_at_on_or_before")),
    )


def _page_size(value: str | None) -> int:
    if value is None:
        return _PAGE_SIZE
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= _LARGEST_PAGE):
        message = f"Input should be a whole number from 1 to {_LARGEST_PAGE}"
        raise _problem(["query", "page_size"], "int_parsing", message, value)
    return int(value)


def _moment(name: str, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        # a plus that was not escaped arrives as a space
        moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
    except ValueError as error:
        raise _problem(
            ["query", name], "datetime_parsing", "Input should be a valid datetime", value
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _token(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode()


def _from_token(token: str | None) -> int | None:
    if token is None:
        return None
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error) as error:
        raise Refused(400, "Invalid page token") from error
