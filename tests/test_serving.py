"""Connections on real sockets that dawdle, swell or come in crowds; beside them everybody else is served."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from core.api import ingress_app
from core.console import Console
from core.serving import Bounds, Served
from core.webhooks.endpoint import WEBHOOK_PATH, webhook_route
from dashboard.asgi import create_app
from tests.factories import free_port, wait_until

TIGHT = Bounds(head_s=1.5, head_bytes=2000, web_sockets=3)
CROWDED = Bounds(head_s=60, connections=4)
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def _plain(request: Request) -> PlainTextResponse:
    del request
    return PlainTextResponse("served")


async def _echo(socket_: WebSocket) -> None:
    await socket_.accept()
    await socket_.send_text(await socket_.receive_text())
    await socket_.close()


def _small() -> Starlette:
    routes = [Route("/", _plain, methods=["GET", "POST"]), WebSocketRoute("/echo", _echo)]
    return Starlette(routes=routes)


@pytest.fixture
def served() -> Iterator[Served]:
    """A small application behind tight bounds."""
    with Served(_small(), bounds=TIGHT) as running:
        yield running


def _connected(served: Served) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1])), timeout=20)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def _until_closed(slow: socket.socket) -> bytes:
    """All that the server says until it closes; fails when it does not within 20 s."""
    answer = b""
    try:
        while piece := slow.recv(4096):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def _dribbled(slow: socket.socket, piece: bytes) -> bytes:
    """Send a little again and again until the server closes; what it said."""
    slow.settimeout(0.05)
    answer = b""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            slow.sendall(piece)
            if not (heard := slow.recv(4096)):
                return answer
            answer += heard
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return answer
    pytest.fail("the connection was still open after 20 s")


def test_who_sends_nothing_is_let_go(served: Served) -> None:
    """A connection on which no request comes is closed with 408, instead of staying for ever."""
    with closing(_connected(served)) as slow:
        assert _until_closed(slow).startswith(b"HTTP/1.1 408")


def test_a_head_that_comes_byte_by_byte_is_given_up(served: Served) -> None:
    """Slow-loris: however steadily a head dribbles in, it has to be whole in time."""
    with closing(_connected(served)) as slow:
        slow.sendall(HEAD)
        assert _dribbled(slow, b"X-A: b\r\n").startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("piece", [b"\r\n", b"G"], ids=["empty lines", "a second head"])
def test_after_an_answer_the_next_head_has_to_come_in_time_too(
    served: Served, piece: bytes
) -> None:
    """A first good request buys no time for a slow second one, nor for bytes that begin none."""
    with closing(_connected(served)) as slow:
        slow.sendall(HEAD + b"\r\n")
        first = slow.recv(4096)
        assert first.startswith(b"HTTP/1.1 200")
        if piece == b"G":
            slow.sendall(HEAD)
            piece = b"X-A: b\r\n"
        rest = _dribbled(slow, piece)
    assert b"408" in rest


def test_the_rest_of_a_body_that_was_answered_early_comes_in_time_or_not_at_all(
    served: Served,
) -> None:
    """A body that nobody reads does not hold its connection open."""
    with closing(_connected(served)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        _dribbled(slow, b"x")


def test_a_head_without_end_is_refused(served: Served) -> None:
    """Headers are taken up to a size, then 431: they are kept in memory."""
    with closing(_connected(served)) as greedy:
        greedy.sendall(HEAD + b"X-A: " + b"b" * 1500 + b"\r\n" + b"X-B: " + b"b" * 1500)
        assert _until_closed(greedy).startswith(b"HTTP/1.1 431")


def test_a_crowd_that_sends_nothing_does_not_keep_others_out() -> None:
    """At the cap the connection that waited longest is closed for the one that comes."""
    with Served(_small(), bounds=CROWDED) as served, ExitStack() as stack:
        crowd = [stack.enter_context(closing(_connected(served))) for _ in range(4)]
        assert httpx.get(served.url).text == "served"
        assert crowd[0].recv(10) == b""


def test_at_the_cap_requests_under_way_are_finished_and_further_ones_told(
    make_console: Callable[..., Console],
) -> None:
    """When all connections are at work the next is answered 503, and none of the others is cut off."""
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with Served(ingress_app(make_console()), bounds=CROWDED) as served, ExitStack() as stack:
        busy = [stack.enter_context(closing(_connected(served))) for _ in range(4)]
        for one in busy:
            one.sendall(head.encode())
            assert one.recv(4096).startswith(b"HTTP/1.1 100")
        with closing(_connected(served)) as late:
            assert _until_closed(late).startswith(b"HTTP/1.1 503")
        for one in busy:
            one.sendall(b"{}")
            assert one.recv(4096).startswith(b"HTTP/1.1 401")


def test_a_web_socket_stays_open_past_the_bound(served: Served) -> None:
    """The bound is on heads: an upgraded connection, as each screen holds one, may be quiet."""
    with connect(served.url.replace("http", "ws") + "/echo") as line:
        time.sleep(2 * TIGHT.head_s)
        line.send("still here")
        assert line.recv() == "still here"


def test_open_screens_keep_no_webhook_out(make_console: Callable[..., Console]) -> None:
    """However many tabs hold a web socket on the console's port, a webhook that comes there is judged."""
    bounds = Bounds(head_s=60, connections=2, web_sockets=6)
    routes = [WebSocketRoute("/stream", _echo), webhook_route(make_console().receiver)]
    with Served(Starlette(routes=routes), bounds=bounds) as served, ExitStack() as stack:
        for _ in range(bounds.web_sockets):
            stack.enter_context(connect(served.url.replace("http", "ws") + "/stream"))
        for _ in range(3):
            assert httpx.post(served.url + WEBHOOK_PATH, content=b"{}").status_code == 401


def test_web_sockets_have_a_bound_of_their_own(served: Served) -> None:
    """One more than may be open is told 503, and when one is closed there is room again."""
    stream = served.url.replace("http", "ws") + "/echo"
    with ExitStack() as stack:
        lines = [stack.enter_context(connect(stream)) for _ in range(TIGHT.web_sockets)]
        with pytest.raises(InvalidStatus) as refused, connect(stream):
            pass
        assert refused.value.response.status_code == 503
        assert httpx.get(served.url).text == "served"
        lines[0].send("no more")
        assert lines[0].recv() == "no more"
        lines[0].close()
        with connect(stream) as line:
            line.send("room again")
            assert line.recv() == "room again"


def test_both_ports_of_up_are_bounded(make_console: Callable[..., Console]) -> None:
    """The console's port and the ingress let go of a slow head alike."""
    console = make_console()
    for application in (create_app(console), ingress_app(console)):
        with Served(application, bounds=TIGHT) as running, closing(_connected(running)) as slow:
            slow.sendall(HEAD)
            assert _until_closed(slow).startswith(b"HTTP/1.1 408")


FEW = 256
"""Files that a process may open, unless it asks for more, on macOS."""


@contextmanager
def _api_process(folder: Path, port: int, limit: str) -> Iterator[None]:
    """``parsedeck api``, started by a shell that has set this limit."""
    parsedeck = Path(sys.executable).with_name("parsedeck")
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'{limit} && exec "$0" api --port {port}', parsedeck],
        env={**os.environ, "PARSEDECK_DATA_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def is_up() -> bool:
        assert process.poll() is None, process.returncode
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v1/health").is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(is_up, within_s=120)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def test_a_process_that_may_open_few_files_asks_for_as_many_as_it_serves(tmp_path: Path) -> None:
    """Where 256 files are the usual limit, more connections than that do not keep a webhook out."""
    port = free_port()
    with _api_process(tmp_path, port, f"ulimit -Sn {FEW}"), ExitStack() as crowd:
        for _ in range(FEW + 40):
            crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        answer = httpx.post(f"http://127.0.0.1:{port}{WEBHOOK_PATH}", content=b"{}", timeout=20)
        assert answer.status_code == 401
        ready = httpx.get(f"http://127.0.0.1:{port}/api/v1/ready", timeout=20)
        assert ready.status_code == 200


def test_a_process_that_may_not_ask_for_more_serves_all_the_same(tmp_path: Path) -> None:
    """A hard limit is kept and no reason not to start."""
    port = free_port()
    with _api_process(tmp_path, port, f"ulimit -n {FEW}"):
        answer = httpx.post(f"http://127.0.0.1:{port}{WEBHOOK_PATH}", content=b"{}", timeout=20)
        assert answer.status_code == 401
