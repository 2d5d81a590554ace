"""One request out: it ends whatever the other side does, tries every address of a name, and says what happened."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from core.webhooks.outbound import post

pytestmark = pytest.mark.timeout(60)


@contextmanager
def _dripping(head: bytes) -> Iterator[str]:
    """The address of a server that answers with this, and then one byte after the other for ever."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(head)
                    while not over.wait(0.1):
                        connection.sendall(b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        over.set()
    thread.join()


def test_an_answer_that_never_ends_counts_by_its_status() -> None:
    """Who answers 200 and then sends one byte after the other took the request; nobody waits for the rest."""
    with _dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n") as url:
        answer = post(url, {}, b"{}", allow_private=True, timeout_s=1)
    assert (answer.status, answer.error) == (200, "")


def test_a_head_that_never_ends_is_no_answer() -> None:
    """Bytes that come now and then do not put the end off."""
    with _dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ") as url:
        answer = post(url, {}, b"{}", allow_private=True, timeout_s=1)
    assert answer.status is None
    assert "in time" in answer.error


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """``localhost`` leads to ::1 first on many machines, where a server that knows IPv4 only is not."""
    resolve = socket.getaddrinfo

    def both(host: str, port: int, *args: object, **kwargs: object) -> object:
        if host != "two.example":
            return resolve(host, port, *args, **kwargs)  # type: ignore[arg-type]
        stream = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, stream, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, stream, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with _dripping(b"HTTP/1.1 204 No Content\r\n\r\n") as url:
        port = url.rpartition(":")[2].strip("/")
        answer = post(f"http://two.example:{port}/", {}, b"", allow_private=True)
    assert (answer.status, answer.error) == (204, "")
