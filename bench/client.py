"""Our client beside the official SDK: the same simulator, the same documents, the same rhythm of polls.

Each contender is a process of its own, so that its CPU and memory are its own; so is the simulator,
served as the console serves it. The SDK's ``parse`` waits a second and more between polls; both
contenders wait a fiftieth of one instead, so that the wall clock is made of requests, at both ends,
and not of naps: at a quarter of a second the naps alone were four fifths of it. Ours asks how a job
stands and for its result in one call, as our pipeline does; the SDK asks for the result when the job
is completed, as its ``parse`` does.
"""

import asyncio
import json
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2 as httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.domain.money import Tier
from core.engines.llamaparse import LlamaParseEngine
from core.engines.protocol import EngineStatus, ParseOrder
from core.pipeline.pacing import StoredPace
from core.serving import Served
from core.store import Store

__all__ = ["run"]

_DOCUMENTS = 200
_AT_ONCE = 16
_POLL_S = 0.02
_BIG_BYTES = 400 * 1024 * 1024
_CALLS = 300
_LOST_OF = 9
_LOST = "lost_answer=0.34@submit"
_SEED = "bench"
_KEY = SecretStr("llx-bench")
_MB = 1024 * 1024


def run() -> Iterator[dict[str, object]]:
    """Wall, CPU and memory of 200 documents, the smaller of two rounds each; then the single figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(_DOCUMENTS):
            text = f"# Document {number}\n\n" + f"line of document {number}\n" * 400
            (folder / f"{number}.md").write_text(text)
        with _simulator(folder / "simulator") as url:
            _contend("sdk", url, folder)  # what is not counted: the simulator warms up
            # there and back, so that neither gains by its place
            rounds = [(who, _contend(who, url, folder)) for who in ("ours", "sdk", "sdk", "ours")]
        ours, theirs = (_smallest([f for w, f in rounds if w == who]) for who in ("ours", "sdk"))
    for what, unit, goal in (("wall", "s", 0.8), ("cpu", "s", 0.8), ("memory", "mb", 0.6)):
        yield {
            "figure": f"client, {_DOCUMENTS} documents at concurrency {_AT_ONCE}, {what}, beside llama-cloud",
            "unit": unit,
            "ours": ours[what],
            "theirs": theirs[what],
            "ratio": round(ours[what] / max(theirs[what], 0.01), 2),
            "goal": f"at most {goal}",
        }
    yield _paid()
    with Served(_sink()) as sink:
        grown = _contend("big", sink.url, Path())["memory"]
        yield {
            "figure": f"client, memory above idle while uploading one {_BIG_BYTES // _MB} MB file",
            "mb": grown,
            "goal": "at most 40",
        }
        yield asyncio.run(_added_ms(sink.url))
    yield _turn_ms()


def _smallest(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {what: min(figures[what] for figures in rounds) for what in rounds[0]}


def _paid() -> dict[str, object]:
    """What each pays when the answers to a third of the submits are lost on their way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(_LOST_OF):
            (folder / f"{number}.md").write_text(f"# Document {number}\n")
        with _simulator(folder / "theirs", _LOST) as url:
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
    config = SimulatorConfig(cache=False, faults=(_LOST,), seed=_SEED)
    console = Console(settings, simulator=config)
    try:
        console.run_worker()
        uploads = []
        for path in _documents(folder):
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


class _File:
    """A file on the disk as the content of an order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size_bytes = path.stat().st_size

    async def chunks(self) -> AsyncIterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(256 * 1024):
                yield piece

    @contextmanager
    def as_file(self) -> Iterator[Path]:
        yield self._path


class _Zeros:
    """A large document that is nowhere."""

    size_bytes = _BIG_BYTES

    async def chunks(self) -> AsyncIterator[bytes]:
        piece = bytes(256 * 1024)
        for _ in range(_BIG_BYTES // len(piece)):
            yield piece

    def as_file(self) -> AbstractContextManager[Path]:
        raise NotImplementedError


@contextmanager
def _simulator(folder: Path, *faults: str) -> Iterator[str]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.client", "simulator", str(folder), *faults],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip() if process.stdout else ""
    finally:
        process.terminate()
        process.communicate()


def _contend(who: str, url: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.client", who, url, str(folder)]
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
    engine = LlamaParseEngine(url, _KEY)
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
            pace = StoredPace(store, _KEY, lambda: 60)
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


# -- contenders ---------------------------------------------------------------------------------------


async def _ours(url: str, folder: Path) -> None:
    engine = LlamaParseEngine(url, _KEY, simulated=True)

    async def one(path: Path) -> None:
        order = ParseOrder(
            f"att-{path.stem}", path.name, "text/markdown", _File(path), Tier.AGENTIC
        )
        job = await engine.submit(order)
        while job.status is not EngineStatus.COMPLETED:
            await asyncio.sleep(_POLL_S)
            job = await engine.look(job.vendor_job_id, order)
        result = job.result or await engine.fetch(job.vendor_job_id, order)
        path.with_suffix(".ours").write_text("\n".join(page.markdown for page in result.pages))

    await _all(one, folder)
    await engine.close()


async def _sdk(url: str, folder: Path) -> None:
    from llama_cloud import AsyncLlamaCloud  # noqa: PLC0415 - only this contender pays for it

    async with AsyncLlamaCloud(api_key=_KEY.get_secret_value(), base_url=url) as client:

        async def one(path: Path) -> None:
            job = await client.parsing.create(tier="agentic", version="latest", upload_file=path)
            status = job.status
            while status != "COMPLETED":
                await asyncio.sleep(_POLL_S)
                status = (await client.parsing.get(job.id)).job.status
            result = await client.parsing.get(job.id, expand=["markdown", "text", "items", "usage"])
            pages = result.markdown.pages if result.markdown else []
            path.with_suffix(".sdk").write_text(
                "\n".join(getattr(p, "markdown", "") for p in pages)
            )

        await _all(one, folder)


async def _all(one: Callable[[Path], Awaitable[None]], folder: Path) -> None:
    places, paths = asyncio.Semaphore(_AT_ONCE), await asyncio.to_thread(_documents, folder)

    async def placed(path: Path) -> None:
        async with places:
            await one(path)

    await asyncio.gather(*(placed(path) for path in paths))


def _documents(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.md"))


async def _big(url: str, _folder: Path) -> None:
    engine = LlamaParseEngine(url, _KEY, timeout_s=300)
    await engine.status("pjb-1")
    await engine.submit(ParseOrder("att-big", "big.bin", "text/plain", _Zeros(), Tier.FAST))
    await engine.close()


def _serve(folder: str, faults: Sequence[str]) -> None:
    from core.engines.local import LocalEngine  # noqa: PLC0415 - only the simulator reads documents
    from core.simulator import SimulatorConfig, create_simulator  # noqa: PLC0415

    app = create_simulator(
        SimulatorConfig(cache=False, faults=tuple(faults), seed=_SEED),
        Path(folder),
        LocalEngine().read,
    )
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with Served(app) as served:
        print(served.url, flush=True)
        stopping.wait()


def _contender(who: str, url: str, folder: Path) -> None:
    work = {"ours": _ours, "sdk": _sdk, "big": _big}[who]
    if who == "sdk":
        import llama_cloud  # noqa: F401, PLC0415 - importing it is not part of the work
    # from here on the kernel counts the peak anew: what the imports needed is not part of the work
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    idle_mb, idle = _peak_mb(), resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    asyncio.run(work(url, folder))
    wall = time.perf_counter() - began
    end = resource.getrusage(resource.RUSAGE_SELF)
    cpu = end.ru_utime + end.ru_stime - idle.ru_utime - idle.ru_stime
    grown = round(_peak_mb() - idle_mb, 1)
    print(json.dumps({"wall": round(wall, 2), "cpu": round(cpu, 2), "memory": grown}))


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    if sys.argv[1] == "simulator":
        _serve(sys.argv[2], sys.argv[3:])
    else:
        _contender(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
