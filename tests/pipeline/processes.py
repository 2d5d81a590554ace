"""Worker processes beside the one that a test runs in."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.console import Console

__all__ = ["HERE", "beside", "started"]

HERE = Path(__file__).parents[2]
_WORKER = """
import sys, time
from pathlib import Path
from core.console import Console
from core.settings import Settings
from core.simulator import SimulatorConfig
from core.telemetry import configure_logs

# the pipe is for one word, and nobody reads the rest of it
configure_logs(sys.stderr)
settings = Settings.load({"data_dir": Path(sys.argv[1]), "database_url": sys.argv[2], "timeout_s": 2})
console = Console(settings, simulator=SimulatorConfig(pending_s=1.5))
console.run_worker()
print("ready", flush=True)
time.sleep(600)
"""


def started(asking: Console, code: Path = HERE) -> subprocess.Popen[str]:
    """A worker process beside ``asking``, running the ``core`` package in the folder ``code``."""
    data_dir, url = asking.settings.data_dir, str(asking.settings.database_url)
    command = [sys.executable, "-P", "-c", _WORKER, str(data_dir), url]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@contextmanager
def beside(asking: Console) -> Iterator[subprocess.Popen[str]]:
    """A worker process that is told to stop at the end."""
    process = started(asking)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
