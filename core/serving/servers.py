"""Serving ASGI applications: in the main thread, in several processes, or from a thread on any free port."""

import gc
import resource
import socket
import sys
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from core.serving.connections import Bounds, protocol_with

__all__ = ["Served", "prepare_process", "serve_processes", "server_config"]

_SWITCH_S = 0.001
_COLLECT_AFTER = 10_000
_OPEN_FILES = 4096
"""Two ports full of connections and web sockets, the database's files, and room."""


def prepare_process() -> None:
    """Tune the interpreter of a process that serves, once everything is loaded.

    What is loaded stays: the garbage collector need not look through it again and again while requests
    wait. Between a busy thread (a screen) and one that answers the interpreter changes hands many times
    as often as it would, since each answer has to get hold of it several times. It may open as many files
    as all connections need.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    sys.setswitchinterval(_SWITCH_S)
    _allow_open_files()


def _allow_open_files() -> None:
    """Ask for as many open files as all connections together may need, within what the machine grants.

    Of 256, the usual number on macOS, one crowded port would leave nothing for the database.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_USUAL = Bounds()


def server_config(
    app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0, bounds: Bounds = _USUAL
) -> uvicorn.Config:
    """Uvicorn without an access log: nothing is written on the path that accepts webhooks."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol_with(bounds),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
    )


def serve_processes(factory: str, *, port: int, count: int) -> None:
    """Serve what ``factory`` (``module:function``) makes, in ``count`` processes, until stopped."""
    uvicorn.run(
        factory,
        factory=True,
        host="127.0.0.1",
        port=port,
        http=protocol_with(_USUAL),
        workers=count,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
    )


class Served:
    """A running server; ``url`` is where. Stops when closed."""

    def __init__(self, app: ASGIApp, *, port: int = 0, bounds: Bounds = _USUAL) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = _QuietServer(server_config(app, bounds=bounds))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="served", daemon=True
        )
        self._thread.start()
        self._server.ready.wait(timeout=10)

    def close(self) -> None:
        """Stop and wait until it has stopped."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


class _QuietServer(uvicorn.Server):
    """A server that tells when it listens; uvicorn itself leaves signals alone outside the main thread."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()
