"""The routes of files, and the downloads behind presigned links."""

import asyncio
import mimetypes
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import Field
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from core.simulator.desk import desk_of, durable
from core.simulator.files_store import ORDERS, FileQuery
from core.simulator.intake import form_of, stored
from core.simulator.options import Open
from core.simulator.outputs import OUTPUTS
from core.simulator.queries import each, from_token, number, one_of, page_size, token
from core.simulator.records import SimFile
from core.simulator.refusals import Refused, problem
from core.simulator.requests import read_body
from core.simulator.results import moment

__all__ = ["ROUTES"]

_PURPOSES = ("user_data", "parse", "extract", "classify", "split", "sheet", "agent_app")
_WEEK_S = 7 * 24 * 3600
_NOT_FOUND = "File not found"


async def create(request: Request) -> Response:
    """POST /api/v1/beta/files: keep a document, to be parsed by its id."""
    desk = desk_of(request)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise problem(["body", "file"], "missing", "Field required")
    async with form_of(request, desk.config) as form:
        purpose, external_id = form.get("purpose"), form.get("external_file_id")
        if purpose not in _PURPOSES:
            expected = f"Input should be one of {', '.join(_PURPOSES)}"
            raise problem(["body", "purpose"], "enum", expected, str(purpose))
        content = await stored(form, desk.state, desk.config)
    external = external_id if isinstance(external_id, str) else None
    file = await durable(desk.state.files.add(content, str(purpose), external, desk.now()))
    return JSONResponse(_shown(request, file), 201)


async def list_files(request: Request) -> Response:
    """GET /api/v1/beta/files: page by page, newest first unless ordered."""
    given = request.query_params
    return JSONResponse(
        await _listed(
            request,
            FileQuery(
                page_size=page_size(given),
                offset=from_token(given) or 0,
                order=one_of(given, "order_by", ORDERS) or "",
                ids=tuple(each(given, "file_ids")),
                name=given.get("file_name"),
                external_id=given.get("external_file_id"),
            ),
        )
    )


_Id = Annotated[
    str, Field(pattern=r"^(dfl-|prj-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
]


class _Filter(Open):
    project_id: _Id | None = None
    file_ids: list[_Id] | None = None
    file_name: str | None = None
    data_source_id: _Id | None = None
    external_file_id: str | None = None
    only_manually_uploaded: bool | None = None


class _Query(Open):
    page_size: int | None = Field(default=None, ge=1)
    page_token: str | None = None
    filter: _Filter | None = None
    order_by: str | None = None


async def query_files(request: Request) -> Response:
    """POST /api/v1/beta/files/query: the deprecated way to list."""
    asked = read_body(_Query, await request.body())
    wanted, order = asked.filter or _Filter(), asked.order_by or ""
    if order not in ORDERS:
        raise problem(["body", "order_by"], "literal_error", "Not an order of files", order)
    config, ids = desk_of(request).config, tuple(wanted.file_ids or ())
    project = config.project_id.removeprefix("prj-")
    if wanted.project_id and wanted.project_id.removeprefix("prj-").lower() != project.lower():
        raise Refused(config.other_project_status, "Access denied to this project")
    if wanted.data_source_id:
        ids = ("none",)  # files of the simulator were all uploaded by hand
    place = QueryParams({"page_token": asked.page_token or token(0)})
    return JSONResponse(
        await _listed(
            request,
            FileQuery(
                page_size=min(asked.page_size or 50, 1000),
                offset=from_token(place) or 0,
                order=order,
                ids=ids,
                name=wanted.file_name,
                external_id=wanted.external_file_id,
            ),
        )
    )


async def get_file(request: Request) -> Response:
    """GET /api/v1/beta/files/{file_id}."""
    return JSONResponse(_shown(request, _file(request)))


async def delete(request: Request) -> Response:
    """DELETE /api/v1/beta/files/{file_id}: 204."""
    desk = desk_of(request)
    await durable(desk.state.files.delete(_file(request).id, desk.now()))
    return Response(status_code=204)


async def content(request: Request) -> Response:
    """GET /api/v1/beta/files/{file_id}/content: a presigned link to the bytes."""
    life_s = number(request.query_params, "expires_at_seconds", smallest=1, largest=_WEEK_S)
    return JSONResponse(_link(request, _file(request), life_s))


async def download_file(request: Request) -> Response:
    """GET /storage/files/{file_id}: the bytes, for whoever has the link."""
    desk, file_id = desk_of(request), request.path_params["file_id"]
    desk.links.check(request, desk.now(), "files", file_id)
    file = desk.state.files.find(file_id)
    if file is None:
        raise Refused(404, _NOT_FOUND)
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    path = desk.state.document_path(file.sha256, file.name)
    return FileResponse(path, media_type=media_type)


async def download_result(request: Request) -> Response:
    """GET /storage/{results,images}/{job_id}/{name}: an output or an image of a job."""
    desk = desk_of(request)
    kind, job_id, name = (request.path_params[key] for key in ("kind", "job_id", "name"))
    desk.links.check(request, desk.now(), kind, job_id, name)
    finished = desk.finished(desk.job(request))
    if kind == "images":
        found = await asyncio.to_thread(finished.album.data, name)
    else:
        data = await asyncio.to_thread(OUTPUTS[name].data, finished)
        found = None if data is None else (OUTPUTS[name].media_type, data)
    if found is None:
        raise Refused(404, "Result not found.")
    return Response(found[1], media_type=found[0])


ROUTES = (
    Route("/api/v1/beta/files", create, methods=["POST"]),
    Route("/api/v1/beta/files", list_files),
    Route("/api/v1/beta/files/query", query_files, methods=["POST"]),
    Route("/api/v1/beta/files/{file_id}", get_file),
    Route("/api/v1/beta/files/{file_id}", delete, methods=["DELETE"]),
    Route("/api/v1/beta/files/{file_id}/content", content),
    Route("/storage/files/{file_id}", download_file),
    Route("/storage/{kind}/{job_id}/{name}", download_result),
)


def _file(request: Request) -> SimFile:
    file = desk_of(request).state.files.find(request.path_params["file_id"])
    if file is None:
        raise Refused(404, _NOT_FOUND)
    return file


async def _listed(request: Request, query: FileQuery) -> dict[str, Any]:
    files, total = await asyncio.to_thread(desk_of(request).state.files.listing, query)
    end = query.offset + len(files)
    return {
        "items": [_shown(request, file) for file in files],
        "next_page_token": token(end) if end < total else None,
        "total_size": total,
    }


def _shown(request: Request, file: SimFile) -> dict[str, Any]:
    is_linked = "download_url" in each(request.query_params, "expand")
    return {
        "id": file.id,
        "name": file.name,
        # a bare UUID here, though jobs say prj-… (OpenAPI document)
        "project_id": desk_of(request).config.project_id.removeprefix("prj-"),
        "external_file_id": file.external_file_id,
        "file_type": PurePath(file.name).suffix.lstrip(".").lower() or None,
        "last_modified_at": moment(file.created_at),
        "expires_at": None,
        "purpose": file.purpose,
        "download_url": _link(request, file, None) if is_linked else None,
    }


def _link(request: Request, file: SimFile, life_s: float | None) -> dict[str, Any]:
    desk = desk_of(request)
    now = desk.now()
    return {
        "url": desk.links.to(request, now, "files", file.id, life_s=life_s),
        "expires_at": moment(desk.links.expires(now, life_s)),
        "form_fields": None,
    }
