"""The route that takes webhooks, as every port that takes them serves it."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import StoreUnavailable, WebhookRejected
from core.webhooks.receiver import Receiver

__all__ = ["WEBHOOK_PATH", "webhook_route"]

WEBHOOK_PATH = "/api/v1/webhooks/llamaparse"
_PATIENCE_S = 10.0
_LONGEST_NUMBER = 18
_SLOWEST_BYTES_PER_S = 256 * 1024


def webhook_route(receiver: Receiver, *, patience_s: float = _PATIENCE_S) -> Route:
    """Reads the raw body, at most as much as is allowed and as long as is reasonable.

    ``patience_s`` is what any body may take; a large one gets more by its size.
    """
    deadline_s = patience_s + receiver.max_bytes / _SLOWEST_BYTES_PER_S

    async def take(request: Request) -> Response:
        headers = dict(request.headers.items())
        body, trouble = bytearray(), None
        size = _stated_size(headers)
        if size is not None and size > receiver.max_bytes:
            trouble = _too_large(receiver.max_bytes)
        else:
            size = None
            try:
                async with asyncio.timeout(deadline_s):
                    trouble = await _read(request, body, receiver.max_bytes)
            except TimeoutError:
                trouble = WebhookRejected("too_slow", f"The body took over {deadline_s:.0f} s.")
            except ClientDisconnect:
                trouble = WebhookRejected("incomplete", "The sender left before the body's end.")
        try:
            receipt = await receiver.receive(headers, bytes(body), trouble=trouble, size=size)
        except StoreUnavailable:
            # not recorded, so not accepted: the vendor tries again
            return JSONResponse({"status": "unavailable"}, 503)
        hurry = {"Connection": "close"} if receipt.status == "too_slow" else None
        return JSONResponse(receipt.as_json(), receipt.status_code, hurry)

    return Route(WEBHOOK_PATH, take, methods=["POST"])


async def _read(request: Request, body: bytearray, max_bytes: int) -> WebhookRejected | None:
    """Fill ``body``, with at most ``max_bytes``; what is wrong with it, if anything."""
    async for chunk in request.stream():
        body += chunk[: max_bytes - len(body) + 1]
        if len(body) > max_bytes:
            del body[max_bytes:]
            return _too_large(max_bytes)
    return None


def _too_large(max_bytes: int) -> WebhookRejected:
    return WebhookRejected("too_large", f"The body is over {max_bytes:,} bytes.")


def _stated_size(headers: dict[str, str]) -> int | None:
    stated = headers.get("content-length", "")
    is_number = stated.isascii() and stated.isdigit() and len(stated) <= _LONGEST_NUMBER
    return int(stated) if is_number else None
