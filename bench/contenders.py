"""What the comparison of clients runs in processes of their own: the contenders, and who serves them."""

import asyncio
import json
import resource
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pydantic import SecretStr
from starlette.applications import Starlette

from bench.light import service
from core.domain.money import Tier
from core.engines.llamaparse import LlamaParseEngine
from core.engines.protocol import EngineStatus, ParseOrder
from core.serving import Served

__all__ = ["AT_ONCE", "BIG_BYTES", "KEY", "SEED", "documents", "peak_mb", "reset_peak"]

AT_ONCE = 16
BIG_BYTES = 400 * 1024 * 1024
KEY = SecretStr("llx-bench")
SEED = "bench"
_POLL_S = 0.02


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

    size_bytes = BIG_BYTES

    async def chunks(self) -> AsyncIterator[bytes]:
        piece = bytes(256 * 1024)
        for _ in range(BIG_BYTES // len(piece)):
            yield piece

    def as_file(self) -> AbstractContextManager[Path]:
        raise NotImplementedError


async def _ours(url: str, folder: Path) -> None:
    engine = LlamaParseEngine(url, KEY, simulated=True)

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

    async with AsyncLlamaCloud(api_key=KEY.get_secret_value(), base_url=url) as client:

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
    places, paths = asyncio.Semaphore(AT_ONCE), await asyncio.to_thread(documents, folder)

    async def placed(path: Path) -> None:
        async with places:
            await one(path)

    await asyncio.gather(*(placed(path) for path in paths))


def documents(folder: Path) -> list[Path]:
    """The documents to parse, in order."""
    return sorted(folder.glob("*.md"))


async def _big(url: str, _folder: Path) -> None:
    engine = LlamaParseEngine(url, KEY, timeout_s=300)
    await engine.status("pjb-1")
    await engine.submit(ParseOrder("att-big", "big.bin", "text/plain", _Zeros(), Tier.FAST))
    await engine.close()


def _serve(what: str, folder: str, faults: Sequence[str]) -> None:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with Served(service if what == "light" else _simulator(folder, faults)) as served:
        print(served.url, flush=True)
        stopping.wait()


def _simulator(folder: str, faults: Sequence[str]) -> Starlette:
    from core.engines.local import LocalEngine  # noqa: PLC0415 - only the simulator reads documents
    from core.simulator import SimulatorConfig, create_simulator  # noqa: PLC0415

    return create_simulator(
        SimulatorConfig(cache=False, faults=tuple(faults), seed=SEED),
        Path(folder),
        LocalEngine().read,
    )


def _contender(who: str, url: str, folder: Path) -> None:
    work = {"ours": _ours, "sdk": _sdk, "big": _big}[who]
    if who == "sdk":
        import llama_cloud  # noqa: F401, PLC0415 - importing it is not part of the work
    reset_peak()  # what the imports needed is not part of the work
    idle_mb, idle = peak_mb(), resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    asyncio.run(work(url, folder))
    wall = time.perf_counter() - began
    end = resource.getrusage(resource.RUSAGE_SELF)
    cpu = end.ru_utime + end.ru_stime - idle.ru_utime - idle.ru_stime
    grown = round(peak_mb() - idle_mb, 1)
    print(json.dumps({"wall": round(wall, 2), "cpu": round(cpu, 2), "memory": grown}))


def reset_peak() -> None:
    """From here on the kernel counts the peak of this process anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mb() -> float:
    """The most memory that this process had since, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    if sys.argv[1] in {"simulator", "light"}:
        _serve(sys.argv[1], sys.argv[2], sys.argv[3:])
    else:
        _contender(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
