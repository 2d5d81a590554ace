"""A service that answers from memory, at next to no cost: beside it the clients' own work is what takes time."""

import json
from typing import Any

from starlette.types import Receive, Scope, Send

from core.engines.llamaparse import SIMULATOR_HEADER

__all__ = ["service"]

_LINES = "line of document 0\n" * 400
_PAGE = {"page_number": 1, "success": True}
_SECTIONS = {
    "markdown": {"pages": [_PAGE | {"markdown": f"# Document 0\n\n{_LINES}"}]},
    "text": {"pages": [{"page_number": 1, "text": f"# Document 0\n\n{_LINES}"}]},
    "items": {
        "pages": [
            _PAGE
            | {
                "page_width": 612.0,
                "page_height": 792.0,
                "items": [
                    {"type": "heading", "level": 1, "value": "Document 0", "md": "# Document 0"},
                    {"type": "text", "value": _LINES, "md": _LINES},
                ],
            }
        ]
    },
}


async def service(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes uploads, and says of every job that it is completed, with its pages when they are asked for."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (SIMULATOR_HEADER.lower().encode(), b"1"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": _answer(scope)})


_JOB = {"id": "pjb-1", "project_id": "prj-1"}
_DONE: dict[str, Any] = {"job": _JOB | {"status": "COMPLETED", "usage": {"credits": 10}}}
_TAKEN = json.dumps(_JOB | {"status": "PENDING"}).encode()
_TOLD = json.dumps(_DONE).encode()
_WHOLE = json.dumps(_DONE | _SECTIONS).encode()
_VERSIONS = json.dumps({"latest": {"agentic": "2026-10-16"}}).encode()


def _answer(scope: Scope) -> bytes:
    if scope["method"] == "POST":
        return _TAKEN
    if scope["path"].endswith("/versions"):
        return _VERSIONS
    return _WHOLE if b"expand=markdown" in scope["query_string"] else _TOLD
