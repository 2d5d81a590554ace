"""The route that takes webhooks, as every port that takes them serves it."""

import asyncio

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.errors import StoreUnavailable, WebhookRejected
from core.serving import WHOLE_BODY
from core.webhooks.receiver import Receiver

__all__ = ["WEBHOOK_PATH", "webhook_route"]

WEBHOOK_PATH = "/api/v1/webhooks/llamaparse"
_PATIENCE_S = 10.0
_LONGEST_NUMBER = 18
_SLOWEST_BYTES_PER_S = 256 * 1024
_JSON = (b"content-type", b"application/json")


def webhook_route(receiver: Receiver, *, patience_s: float = _PATIENCE_S) -> Route:
    """Reads the raw body, at most as much as is allowed and as long as is reasonable.

    ``patience_s`` is what any body may take; a large one gets more by its size.
    """
    return Route(WEBHOOK_PATH, _Endpoint(receiver, patience_s), methods=["POST"])


class _Endpoint:
    """Speaks ASGI itself: a request object and a response object cost more than the signature check."""

    def __init__(self, receiver: Receiver, patience_s: float) -> None:
        self._receiver = receiver
        self._deadline_s = patience_s + receiver.max_bytes / _SLOWEST_BYTES_PER_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        body, trouble = bytearray(), None
        size = _stated_size(headers)
        if size is not None and size > self._receiver.max_bytes:
            trouble = _too_large(self._receiver.max_bytes)
        else:
            size = None
            # a timer costs more than the signature check, and who has sent all keeps nobody waiting
            patience_s = None if WHOLE_BODY in scope.get("state", ()) else self._deadline_s
            try:
                trouble = await _read(receive, body, self._receiver.max_bytes, patience_s)
            except TimeoutError:
                what = f"The body took over {self._deadline_s:.0f} s."
                trouble = WebhookRejected("too_slow", what)
        try:
            receipt = await self._receiver.receive(headers, bytes(body), trouble=trouble, size=size)
        except StoreUnavailable:
            # not recorded, so not accepted: the vendor tries again
            await _answer(send, 503, b'{"status":"unavailable"}')
            return
        is_hurried = receipt.status == "too_slow"
        await _answer(send, receipt.status_code, receipt.as_json(), is_last=is_hurried)


async def _read(
    receive: Receive, body: bytearray, max_bytes: int, patience_s: float | None
) -> WebhookRejected | None:
    """Fill ``body``, with at most ``max_bytes``; what is wrong with it, if anything.

    Raises ``TimeoutError`` when that takes longer than ``patience_s``.
    """
    if patience_s is not None:
        async with asyncio.timeout(patience_s):
            return await _read(receive, body, max_bytes, None)
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return WebhookRejected("incomplete", "The sender left before the body's end.")
        body += message.get("body", b"")[: max_bytes - len(body) + 1]
        if len(body) > max_bytes:
            del body[max_bytes:]
            return _too_large(max_bytes)
        more = message.get("more_body", False)
    return None


async def _answer(send: Send, status: int, body: bytes, *, is_last: bool = False) -> None:
    headers = [_JSON, (b"content-length", str(len(body)).encode())]
    if is_last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _too_large(max_bytes: int) -> WebhookRejected:
    return WebhookRejected("too_large", f"The body is over {max_bytes:,} bytes.")


def _stated_size(headers: dict[str, str]) -> int | None:
    stated = headers.get("content-length", "")
    is_number = stated.isascii() and stated.isdigit() and len(stated) <= _LONGEST_NUMBER
    return int(stated) if is_number else None
