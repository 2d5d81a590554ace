"""The route that takes webhooks, as every port that takes them serves it."""

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import StoreUnavailable
from core.webhooks.receiver import Receiver

__all__ = ["WEBHOOK_PATH", "webhook_route"]

WEBHOOK_PATH = "/api/v1/webhooks/llamaparse"


def webhook_route(receiver: Receiver) -> Route:
    """Reads the raw body, at most as much as is allowed, and hands it to the receiver."""

    async def take(request: Request) -> Response:
        try:
            body, is_cut = await _body(request, receiver.max_bytes)
        except ClientDisconnect:
            return Response(status_code=400)
        headers = dict(request.headers.items())
        try:
            receipt = await anyio.to_thread.run_sync(
                lambda: receiver.receive(headers, body, is_cut=is_cut)
            )
        except StoreUnavailable:
            # not recorded, so not accepted: the vendor tries again
            return JSONResponse({"status": "unavailable"}, 503)
        return JSONResponse(receipt.as_json(), receipt.status_code)

    return Route(WEBHOOK_PATH, take, methods=["POST"])


async def _body(request: Request, max_bytes: int) -> tuple[bytes, bool]:
    """At most ``max_bytes`` of the body, and whether there was more."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            return b"".join(chunks)[:max_bytes], True
    return b"".join(chunks), False
