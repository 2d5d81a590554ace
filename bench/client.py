"""Our client beside the official SDK: the same simulator, the same documents, the same rhythm of polls.

Each contender is a process of its own, so that its CPU and memory are its own; so is the simulator,
served as the console serves it. The SDK's ``parse`` waits a second and more between polls; both
contenders wait a fiftieth of one instead, so that the wall clock is made of requests, at both ends,
and not of naps: at a quarter of a second the naps alone were four fifths of it. Ours asks how a job
stands and for its result in one call, as our pipeline does; the SDK asks for the result when the job
is completed, as its ``parse`` does.

The simulator stores and reads each document durably, and on two cores its work is most of the wall
clock: its own CPU seconds are told beside. So both do the same once more beside a service that answers
from memory (``bench.light``), where the wall clock is the clients' own.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.contenders import AT_ONCE, BIG_BYTES, KEY, SEED, documents
from core.domain.money import Tier
from core.engines.llamaparse import LlamaParseEngine
from core.pipeline.pacing import StoredPace
from core.serving import Served
from core.store import Store

__all__ = ["run"]

_DOCUMENTS = 200
_NAME = f"client, {_DOCUMENTS} documents at concurrency {AT_ONCE}"
_CALLS = 300
_LOST_OF = 9
_LOST = "lost_answer=0.34@submit"
_MB = 1024 * 1024


def run() -> Iterator[dict[str, object]]:
    """Wall, CPU and memory of 200 documents, the smaller of two rounds each; then the single figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(_DOCUMENTS):
            text = f"# Document {number}\n\n" + f"line of document {number}\n" * 400
            (folder / f"{number}.md").write_text(text)
        with _service("simulator", folder / "simulator") as running:
            ours, theirs = _rounds(running, folder)
        for what, unit, goal in (("wall", "s", 0.8), ("cpu", "s", 0.8), ("memory", "mb", 0.6)):
            yield _beside(_NAME, ours, theirs, what, unit) | {"goal": f"at most {goal}"}
        yield _beside(_NAME, ours, theirs, "service_cpu", "s") | {"goal": "reported"}
        with _service("light", folder / "light") as running:
            ours, theirs = _rounds(running, folder)
        at_light = f"{_NAME}, at a service that answers from memory"
        for what in ("wall", "cpu", "service_cpu"):
            yield _beside(at_light, ours, theirs, what, "s") | {"goal": "reported"}
    yield _paid()
    with Served(_sink()) as sink:
        grown = _contend("big", sink.url, Path())["memory"]
        yield {
            "figure": f"client, memory above idle while uploading one {BIG_BYTES // _MB} MB file",
            "mb": grown,
            "goal": "at most 40",
        }
        yield asyncio.run(_added_ms(sink.url))
    yield _turn_ms()


def _rounds(service: tuple[str, int], folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The smaller of two rounds of each, ours first, with the CPU that the service needed."""
    url, pid = service
    _contend("sdk", url, folder)  # what is not counted: the service warms up
    figures: dict[str, list[dict[str, float]]] = {"ours": [], "sdk": []}
    # there and back, so that neither gains by its place
    for who in ("ours", "sdk", "sdk", "ours"):
        before = _cpu_s(pid)
        found = _contend(who, url, folder)
        figures[who].append(found | {"service_cpu": round(_cpu_s(pid) - before, 2)})
    return _smallest(figures["ours"]), _smallest(figures["sdk"])


def _cpu_s(pid: int) -> float:
    """The CPU seconds of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _beside(
    name: str, ours: dict[str, float], theirs: dict[str, float], what: str, unit: str
) -> dict[str, object]:
    return {
        "figure": f"{name}, {what.replace('service_cpu', 'CPU of the service')}, beside llama-cloud",
        "unit": unit,
        "ours": ours[what],
        "theirs": theirs[what],
        "ratio": round(ours[what] / max(theirs[what], 0.01), 2),
    }


def _smallest(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {what: min(figures[what] for figures in rounds) for what in rounds[0]}


def _paid() -> dict[str, object]:
    """What each pays when the answers to a third of the submits are lost on their way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(_LOST_OF):
            (folder / f"{number}.md").write_text(f"# Document {number}\n")
        with _service("simulator", folder / "theirs", _LOST) as (url, _pid):
            _contend("sdk", url, folder)
            theirs = httpx.get(f"{url}/__simulator/ledger").json()["totals"]
        ours = _paid_by_the_pipeline(folder)
    return {
        "figure": f"client, {_LOST_OF} documents while a third of the answers is lost: jobs and credits paid",
        "ours": f"{ours['jobs']} jobs, {ours['credits']} credits",
        "theirs": f"{theirs['jobs']} jobs, {theirs['credits']} credits",
        "ratio": round(ours["credits"] / max(theirs["credits"], 1), 2),
        "goal": f"{_LOST_OF} jobs",
    }


def _paid_by_the_pipeline(folder: Path) -> dict[str, int]:
    from core.console import Console, local_actor  # noqa: PLC0415 - only this figure needs it
    from core.domain.routing import Mode  # noqa: PLC0415
    from core.settings import Settings  # noqa: PLC0415
    from core.simulator import SimulatorConfig  # noqa: PLC0415
    from core.telemetry import configure_logs  # noqa: PLC0415

    configure_logs((folder / "log").open("w"))
    settings = Settings.load({"data_dir": folder / "ours", "timeout_s": 2})
    config = SimulatorConfig(cache=False, faults=(_LOST,), seed=SEED)
    console = Console(settings, simulator=config)
    try:
        console.run_worker()
        uploads = []
        for path in documents(folder):
            with path.open("rb") as file:
                uploads.append(console.submissions.preflight(path.name, file))
        quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.MOCK)
        submission = console.submissions.submit(quote, local_actor(), "bench")
        while not console.jobs.submission(submission.id).is_finished:
            time.sleep(0.2)
        totals = httpx.get(f"{console.simulator_url}/__simulator/ledger").json()["totals"]
    finally:
        console.close()
    return {"jobs": totals["jobs"], "credits": totals["credits"]}


@contextmanager
def _service(what: str, folder: Path, *faults: str) -> Iterator[tuple[str, int]]:
    """A service in a process of its own: its address and its process id."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.contenders", what, str(folder), *faults],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip() if process.stdout else "", process.pid
    finally:
        process.terminate()
        process.communicate()


def _contend(who: str, url: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.contenders", who, url, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _sink() -> Starlette:
    async def answer(request: Request) -> Response:
        async for _piece in request.stream():
            pass
        return JSONResponse({"id": "pjb-1", "project_id": "prj-1", "status": "PENDING"})

    async def job(_request: Request) -> Response:
        return JSONResponse({"job": {"id": "pjb-1", "project_id": "prj-1", "status": "PENDING"}})

    return Starlette(
        routes=[
            Route("/api/v2/parse/upload", answer, methods=["POST"]),
            Route("/api/v2/parse/{job}", job),
        ]
    )


async def _added_ms(url: str) -> dict[str, object]:
    """A status call of the engine beside the same GET made with httpx2 alone, in turns."""
    engine = LlamaParseEngine(url, KEY)
    ours = plain = 0.0
    async with httpx.AsyncClient() as client:
        for _ in range(_CALLS):
            began = time.perf_counter()
            await engine.status("pjb-1")
            ours += time.perf_counter() - began
            began = time.perf_counter()
            await client.get(f"{url}/api/v2/parse/pjb-1", params={"expand": "usage"})
            plain += time.perf_counter() - began
    await engine.close()
    return {
        "figure": "client, failure handling: time added to a call, beside httpx2 alone",
        "ms": round((ours - plain) / _CALLS * 1000, 2),
        "goal": "at most 1",
    }


def _turn_ms() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/pace.sqlite")

        async def take() -> float:
            pace = StoredPace(store, KEY, lambda: 60)
            await pace.turn()
            began = time.perf_counter()
            for _ in range(_CALLS):
                await pace.turn()
            return time.perf_counter() - began

        took = asyncio.run(take())
        store.close()
    return {
        "figure": "client, pacing: time to take a turn, SQLite",
        "ms": round(took / _CALLS * 1000, 2),
        "goal": "at most 1",
    }
