"""Connections that do nothing come to an end: uvicorn waits for a request's head for ever, and takes any size."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["WHOLE_BODY", "Bounds", "protocol_with"]

WHOLE_BODY = "parsedeck.whole_body"
"""In the state of a request whose body is here to its end: who reads it need not watch the time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection may take, and how many there may be.

    ``head_s`` is the time from connecting, or from the first byte of a further request, to the end of its
    headers; ``head_bytes`` their size. Of more than ``connections`` the one that has waited longest
    without a request is closed for the new one; when all are at work the new one is answered 503. Web
    sockets, of which each open screen holds one, have a number of their own, so that screens keep no
    webhook out; one beyond it is answered 503. ``prepare_process`` asks for the open files of two such
    ports.
    """

    head_s: float = 10.0
    head_bytes: int = 64 * 1024
    connections: int = 400
    web_sockets: int = 200


def protocol_with(bounds: Bounds) -> type[asyncio.Protocol]:
    """Uvicorn's own protocol with these bounds, for ``uvicorn.Config(http=...)``."""
    return cast("type[asyncio.Protocol]", partial(_BoundedProtocol, bounds))


class _BoundedProtocol(HttpToolsProtocol):
    """Watches the time and the size of each head. A head that comes whole, as nearly all do, costs no timer."""

    def __init__(self, bounds: Bounds, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bounds = bounds
        self._deadline: asyncio.TimerHandle | None = None
        self._is_in_head = self._is_in_body = False
        self._head_bytes = 0
        self._quiet_since = time.monotonic()

    @property
    def is_quiet(self) -> bool:
        """Whether no request is under way on it."""
        return bool(getattr(self.cycle, "response_complete", True))  # uvicorn begins with None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()
        if len(self.connections) > self._bounds.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to watch."""
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass it on; what is still no whole head must become one in time."""
        super().data_received(data)
        is_ours = self in self.connections and not self.transport.is_closing()
        if not is_ours or not (self._is_in_head or self.is_quiet):
            return
        # what follows an early answer is the rest of its body: bounded in time only
        self._head_bytes += 0 if self._is_in_body else len(data)
        if self._head_bytes > self._bounds.head_bytes:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._deadline is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """A further head begins."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is whole."""
        self._is_in_head, self._is_in_body = False, True
        self._end_wait()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """So is the body; one that came with its head is whole before anybody asks for it."""
        self._is_in_body = False
        self.scope["state"][WHOLE_BODY] = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Quiet again; from here on uvicorn closes it after five seconds without a byte."""
        self._quiet_since = time.monotonic()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to a web socket, which counts among its own kind from here on."""
        open_ones = sum(not isinstance(one, _BoundedProtocol) for one in self.connections)
        if open_ones < self._bounds.web_sockets:
            super().handle_websocket_upgrade()
        else:
            self._refuse(b"503 Service Unavailable")

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(self._bounds.head_s, self._too_late)

    def _end_wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self.is_quiet:
            self._refuse(b"408 Request Timeout")
        else:  # the head of a further request, while the answer to the one before is under way
            self._await_head()

    def _make_room(self) -> None:
        own_kind = [one for one in self.connections if isinstance(one, _BoundedProtocol)]
        if len(own_kind) <= self._bounds.connections:
            return
        others = (one for one in own_kind if one is not self)
        quiet = [other for other in others if other.is_quiet and not other.transport.is_closing()]
        if quiet:
            min(quiet, key=lambda other: other._quiet_since).transport.close()  # noqa: SLF001 - one class
        else:
            self._refuse(b"503 Service Unavailable")

    def _refuse(self, status: bytes) -> None:
        self._end_wait()
        if self.is_quiet:
            head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            self.transport.write(head)
        self.transport.close()
