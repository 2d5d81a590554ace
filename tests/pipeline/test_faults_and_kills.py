"""Bad days of the service and ``kill -9`` of our processes together, at moments drawn from a seed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

import httpx2 as httpx
import pytest

from core.console import Console
from core.domain.jobs import Job, JobStatus
from core.pipeline.driver import UNKNOWN_OUTCOME
from core.simulator import SimulatorConfig
from tests.factories import finished, submitted

_WORKER = """
import json, sys, time
from pathlib import Path
from core.console import Console
from core.settings import Settings
from core.simulator import SimulatorConfig
from core.telemetry import configure_logs

# the pipe is for one word, and nobody reads the rest of it
configure_logs(sys.stderr)
data_dir, url, faults, seed = sys.argv[1:]
settings = Settings.load(
    {"data_dir": Path(data_dir), "database_url": url, "timeout_s": 2, "max_retries": 1}
)
config = SimulatorConfig(
    faults=tuple(json.loads(faults)), seed=seed, cache=False, pending_s=0.3, billed_after_s=0.5
)
console = Console(settings, simulator=config)
console.run_worker()
print("ready", flush=True)
time.sleep(600)
"""
_FAULTS = (
    ("lost_answer", "@submit", 0.5),
    ("lost_request", "@submit", 0.3),
    ("lost_request", "", 0.2),
    ("server_error", "", 0.2),
    ("rate_limit", "", 0.2),
    ("truncated", "", 0.2),
    ("malformed", "", 0.2),
    ("result_missing", "", 0.3),
    ("partial_pages", "", 0.5),
    ("webhook_lost", "", 0.6),
    ("webhook_twice", "", 0.5),
    ("webhook_reordered", "", 0.5),
    ("webhook_wrong_signature", "", 0.3),
    ("webhook_double_encoded", "", 0.5),
    # these are seconds
    ("latency", "", 0.3),
    ("outage", "", 2.0),
    ("billed_late", "", 1.5),
    ("webhook_late", "", 2.0),
)
_DOCUMENTS = 6


def _killed_after(asking: Console, faults: list[str], seed: str, moment_s: float) -> None:
    """A worker runs for so long, then dies."""
    arguments = [str(asking.settings.data_dir), str(asking.settings.database_url)]
    command = [sys.executable, "-P", "-c", _WORKER, *arguments, json.dumps(faults), seed]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moment_s)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _ended_as_promised(console: Console, job: Job) -> set[str]:
    """The vendor jobs that this job's attempts own, each attempt being final or before a person."""
    attempts = console.jobs.view(job.id).attempts
    assert job.status in {JobStatus.COMPLETE, JobStatus.PARTLY_PARSED, JobStatus.FAILED_PARSE}, job
    assert job.status.has_result or (job.reason and job.next_step), job
    for attempt in attempts:
        assert attempt.status.is_final, attempt
        assert attempt.error_kind != UNKNOWN_OUTCOME or attempt.next_step, attempt
    return {attempt.vendor_job_id for attempt in attempts if attempt.vendor_job_id}


@pytest.mark.parametrize(
    "seed", ["1", *(pytest.param(str(n), marks=pytest.mark.soak) for n in range(2, 22))]
)
def test_each_intent_is_billed_at_most_once_whatever_fails_and_whoever_dies(
    make_console: Callable[..., Console], seed: str
) -> None:
    """Under a seeded mix of faults and three kills, every attempt ends, and none has two vendor jobs."""
    dice = random.Random(seed)
    chosen = dice.sample(_FAULTS, 5)
    faults = [f"{name}={dice.uniform(0.05, most):.2f}{where}" for name, where, most in chosen]
    asking = make_console()
    files = {f"{n}.txt": f"document {n} of {seed}".encode() for n in range(_DOCUMENTS)}
    submission = submitted(asking, files)
    for _ in range(3):
        _killed_after(asking, faults, seed, dice.uniform(0.05, 2.5))
    config = SimulatorConfig(faults=tuple(faults), seed=seed, cache=False, pending_s=0.1)
    survivor = make_console(worker=True, timeout_s=2, max_retries=1, simulator=config)
    view = finished(survivor, submission.id, within_s=240)
    owned = set[str]().union(*(_ended_as_promised(survivor, job) for job in view.jobs))
    httpx.put(f"{survivor.simulator_url}/__simulator/faults", json={"faults": []})
    taken = httpx.get(f"{survivor.simulator_url}/__simulator/ledger").json()["jobs"]
    per_intent = Counter(job["user_metadata"]["parsedeck_attempt"] for job in taken)
    assert max(per_intent.values()) == 1, per_intent
    billed = {job["id"] for job in taken if job["credits"]}
    assert billed <= owned, "something was billed that no attempt knows of"
