"""The routes of v1 Parsing, the same under ``/api/v1/parsing`` and ``/api/parsing``."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.simulator.desk import desk_of
from core.simulator.intake import fetched, form_of, stored
from core.simulator.outputs import OUTPUTS, Finished
from core.simulator.refusals import Refused
from core.simulator.results import moment, workbook
from core.simulator.v1_form import check_form, job_of_form
from core.simulator.v1_results import job_v1, metadata_v1, pages_v1

__all__ = ["EXTENSIONS", "ROUTES"]

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_NO_SOURCE = "Either file, input_url, or input_s3_path must be provided."
_NO_RESULT = "Result not found. Check job status to see if it has completed."

# The enumeration of the service's OpenAPI document.
EXTENSIONS = tuple(
    f".{extension}"
    for extension in (  # noqa: SIM905 - 147 words read better as a text
        "pdf abw awt cgm cwk doc docm docx dot dotm dotx fodg fodp fopd fodt fb2 hwp lwp mcw mw mwd odf"
        " odt otg ott pages pbd psw rtf sda sdd sdp sdw sgl std stw sxd sxg sxm sxw uof uop uot vor wpd"
        " wps wpt wri wn xml zabw key odp odg otp pot potm potx ppt pptm pptx sti sxi vsd vsdm vsdx vdx"
        " bmp gif heic heif jpg jpeg png svg tif tiff webp htm html xhtm csv dbf dif et eth fods numbers"
        " ods ots prn qpw slk stc sxc sylk tsv uos1 uos2 uos wb1 wb2 wb3 wk1 wk2 wk3 wk4 wks wq1 wq2 xlr"
        " xls xlsb xlsm xlsx xlw azw azw3 azw4 cb7 cbc cbr cbz chm djvu epub fbz htmlz lit lrf md mobi"
        " pdb pml prc rb snb tcr txtz m4a mp3 mp4 mpeg mpga wav webm yxmd"
    ).split()
)


async def upload(request: Request) -> Response:
    """POST /upload: a document, or an address, with options; multipart or urlencoded."""
    return await _submitted(request, {})


async def screenshot(request: Request) -> Response:
    """POST /screenshot: a job for the page images alone."""
    return await _submitted(
        request, {"take_screenshot": "true", "parse_mode": "parse_page_without_llm"}
    )


async def get_job(request: Request) -> Response:
    """GET /job/{job_id}."""
    desk = desk_of(request)
    return JSONResponse(job_v1(desk.job(request), desk.config))


async def details(request: Request) -> Response:
    """GET /job/{job_id}/details: the job, when it was made, and what was asked."""
    desk = desk_of(request)
    job = desk.job(request)
    asked = await asyncio.to_thread(desk.state.asked, job.id)
    facts = {
        "file_name": job.name,
        "file_size": job.size_bytes,
        "created_at": moment(job.created_at),
        "updated_at": moment(job.updated_at),
        "parameters": asked,
    }
    return JSONResponse({**job_v1(job, desk.config), **facts})


async def parameters(request: Request) -> Response:
    """GET /job/{job_id}/parameters: what was asked, without its secrets."""
    desk = desk_of(request)
    job = desk.job(request)
    return JSONResponse(await asyncio.to_thread(desk.state.asked, job.id))


async def read(request: Request) -> Response:
    """GET /job/{job_id}/read/{filename}: a link to one of the job's outputs or images."""
    desk, name = desk_of(request), request.path_params["filename"]
    finished = desk.finished(desk.job(request))
    if name in OUTPUTS and OUTPUTS[name].data(finished) is not None:
        kind = "results"
    elif name in {image.filename for image in finished.album.images()}:
        kind = "images"
    else:
        raise Refused(404, _NO_RESULT)
    now = desk.now()
    url = desk.links.to(request, now, kind, finished.job.id, name)
    return JSONResponse(
        {"url": url, "expires_at": moment(desk.links.expires(now)), "form_fields": None}
    )


async def result(request: Request) -> Response:
    """GET /job/{job_id}/result/{kind}: a part of the result with the job's metadata, or a file."""
    desk, kind = desk_of(request), request.path_params["kind"]
    finished = desk.finished(desk.job(request))
    if kind in _FILES:
        media_type, make = _FILES[kind]
        return _file(await asyncio.to_thread(make, finished), media_type)
    if kind not in _PARTS:
        raise Refused(404, _NO_RESULT)
    body = {
        **await asyncio.to_thread(_PARTS[kind], finished),
        "job_metadata": metadata_v1(finished, desk.config, desk.now()),
    }
    return JSONResponse(body)


async def raw(request: Request) -> Response:
    """GET /job/{job_id}/result/raw/{kind}: the same, bare."""
    desk, kind = desk_of(request), request.path_params["kind"]
    finished = desk.finished(desk.job(request))
    if kind in _FILES:
        media_type, make = _FILES[kind]
        return _file(await asyncio.to_thread(make, finished), media_type)
    if kind not in _PARTS:
        raise Refused(404, _NO_RESULT)
    part = next(iter((await asyncio.to_thread(_PARTS[kind], finished)).values()))
    is_text = isinstance(part, str)
    return Response(part, media_type="text/plain") if is_text else JSONResponse(part)


async def image(request: Request) -> Response:
    """GET /job/{job_id}/result/image/{name}: a page screenshot, or a picture within a page."""
    desk = desk_of(request)
    finished = desk.finished(desk.job(request))
    found = await asyncio.to_thread(finished.album.data, request.path_params["name"])
    if found is None:
        raise Refused(404, _NO_RESULT)
    return Response(found[1], media_type=found[0])


async def extensions(_request: Request) -> Response:
    """GET /supported_file_extensions: needs no key."""
    return JSONResponse(EXTENSIONS)


def _routes(prefix: str) -> list[Route]:
    job = f"{prefix}/job/{{job_id}}"
    return [
        Route(f"{prefix}/upload", upload, methods=["POST"]),
        Route(f"{prefix}/screenshot", screenshot, methods=["POST"]),
        Route(f"{prefix}/supported_file_extensions", extensions),
        Route(job, get_job),
        Route(f"{job}/details", details),
        Route(f"{job}/parameters", parameters),
        Route(f"{job}/read/{{filename}}", read),
        Route(f"{job}/result/raw/{{kind}}", raw),
        Route(f"{job}/result/image/{{name}}", image),
        Route(f"{job}/result/{{kind}}", result),
    ]


ROUTES = (*_routes("/api/v1/parsing"), *_routes("/api/parsing"))


def _file(data: bytes | None, media_type: str) -> Response:
    if data is None:
        raise Refused(404, _NO_RESULT)
    return Response(data, media_type=media_type)


_PARTS: Mapping[str, Callable[[Finished], dict[str, Any]]] = {
    "text": lambda finished: {"text": finished.text},
    "markdown": lambda finished: {"markdown": finished.markdown},
    "json": lambda finished: {"pages": pages_v1(finished)},
    "structured": lambda _finished: {"structured": {}},
}
_FILES: Mapping[str, tuple[str, Callable[[Finished], bytes | None]]] = {
    "xlsx": (OUTPUTS["xlsx"].media_type, lambda finished: workbook(finished.pages)),
    "pdf": ("application/pdf", lambda finished: finished.pdf),
}


async def _submitted(request: Request, forced: dict[str, str]) -> Response:
    desk = desk_of(request)
    desk.admit()
    if not request.headers.get("content-type", "").startswith(_FORMS):
        raise Refused(400, _NO_SOURCE)
    async with form_of(request, desk.config) as form:
        asked = {key: value for key, value in form.items() if isinstance(value, str)} | forced
        check_form(asked, desk.config)
        if isinstance(form.get("file"), UploadFile):
            content = await stored(form, desk.state, desk.config)
        elif asked.get("input_url"):
            content = await fetched(asked["input_url"], desk.state, desk.config)
        elif asked.get("input_s3_path"):
            raise Refused(400, "The simulator reads no S3 path. Upload the document instead.")
        else:
            raise Refused(400, _NO_SOURCE)
    job = await desk.accept(job_of_form(asked, content, desk.config, desk.today()))
    return JSONResponse(job_v1(job, desk.config, is_new=True))
