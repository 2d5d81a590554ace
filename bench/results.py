"""Memory of the client while it takes large results: one behind a link, and pages inside an answer."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.contenders import peak_mb, reset_peak
from core.blobs import Blobs
from core.domain.money import Tier
from core.engines.llamaparse import Expand, LlamaParseEngine
from core.engines.protocol import ParseOrder
from core.pipeline.results import dump
from core.serving import Served

__all__ = ["run"]

_MB = 1024 * 1024
_LINKED_BYTES = 400 * _MB
_INLINE_BYTES = 32 * _MB
_KEY = SecretStr("llx-bench")
_JOB = {"id": "pjb-1", "project_id": "prj-1", "status": "COMPLETED"}


def run() -> Iterator[dict[str, object]]:
    """How much the process grows above idle; the store is a local folder."""
    with Served(_service()) as service:
        yield {
            "figure": f"client, memory above idle while one result of {_LINKED_BYTES // _MB} MB comes by its"
            " link into the blob store",
            "mb": _grown("linked", service.url),
            "goal": "at most 40",
        }
        yield {
            "figure": f"client, memory above idle while pages of {_INLINE_BYTES // _MB} MB come inside an"
            " answer and are stored",
            "mb": _grown("inline", service.url),
            "goal": "reported: pages are held together, and an answer past 64 MB is not read whole",
        }


def _grown(what: str, url: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.results", what, url, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _service() -> Starlette:
    pages = _pages()

    async def job(request: Request) -> Response:
        if Expand.OUTPUT_PDF_LINK in request.query_params.getlist("expand"):
            link = {
                "size_bytes": _LINKED_BYTES,
                "exists": True,
                "presigned_url": f"{request.base_url}storage/1",
            }
            return JSONResponse({"job": _JOB, "result_content_metadata": {"outputPDF": link}})
        return Response(pages, media_type="application/json")

    async def chunks() -> AsyncIterator[bytes]:
        piece = bytes(256 * 1024)
        for _ in range(_LINKED_BYTES // len(piece)):
            yield piece

    async def storage(_request: Request) -> Response:
        return StreamingResponse(chunks())

    return Starlette(routes=[Route("/api/v2/parse/{job}", job), Route("/storage/1", storage)])


def _pages() -> bytes:
    """Pages as the service shapes them: markdown, text, and a dozen items with boxes each."""
    line = "The quick brown fox jumps over the lazy dog. " * 4
    box = [{"x": 72.0, "y": 96.5, "w": 468.0, "h": 13.25, "confidence": 0.98, "label": "text"}]
    items = [{"type": "text", "value": line, "md": line, "bbox": box} for _ in range(12)]
    words = "\n\n".join([line] * 12)
    size = len(json.dumps({"markdown": words, "text": words, "items": items}))
    numbers = range(1, _INLINE_BYTES // size + 1)
    sections = {
        "markdown": [{"page_number": n, "markdown": words, "success": True} for n in numbers],
        "text": [{"page_number": n, "text": words} for n in numbers],
        "items": [{"page_number": n, "success": True, "items": items} for n in numbers],
    }
    answer = {"job": _JOB, **{name: {"pages": pages} for name, pages in sections.items()}}
    return json.dumps(answer).encode()


async def _take(what: str, url: str, folder: Path) -> None:
    engine, blobs = LlamaParseEngine(url, _KEY), Blobs.open(None, folder)
    if what == "linked":
        await engine.download("pjb-1", Expand.OUTPUT_PDF_LINK, blobs.put_stream)
    else:
        order = ParseOrder("att-1", "a.pdf", "application/pdf", None, Tier.AGENTIC)
        blobs.put_pieces(dump(await engine.fetch("pjb-1", order)))
    await engine.close()


if __name__ == "__main__":
    reset_peak()
    idle_mb = peak_mb()
    asyncio.run(_take(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
    print(round(peak_mb() - idle_mb, 1))
