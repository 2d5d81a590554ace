"""The main job on the service's bad days: whatever goes wrong, nothing is paid twice or left hanging."""

import random
from collections import Counter
from collections.abc import Callable

import httpx2 as httpx
import pytest

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.simulator import SimulatorConfig
from tests.factories import finished, submitted

_MIXED = (
    ("lost_answer", "@submit", 0.5),
    ("lost_request", "", 0.2),
    ("rate_limit", "", 0.2),
    ("server_error", "", 0.2),
    ("truncated", "", 0.2),
    ("malformed", "", 0.2),
    ("result_missing", "", 0.3),
    ("webhook_lost", "", 0.5),
    ("webhook_twice", "", 0.5),
    ("webhook_wrong_signature", "", 0.5),
)


def _parse_on_a_bad_day(
    make_console: Callable[..., Console], faults: tuple[str, ...], seed: str
) -> None:
    config = SimulatorConfig(seed=seed, faults=faults, cache=False)
    console = make_console(worker=True, timeout_s=2, max_retries=1, simulator=config)
    files = {f"{n}.txt": f"document {n} of {seed}".encode() for n in range(6)}
    view = finished(console, submitted(console, files).id, within_s=240)
    for job in view.jobs:
        assert job.status in {JobStatus.COMPLETE, JobStatus.FAILED_PARSE}, job
        assert job.status is JobStatus.COMPLETE or (job.reason and job.next_step)
        attempts = console.jobs.view(job.id).attempts
        assert all(attempt.status.is_final for attempt in attempts)
    ended = httpx.put(f"{console.simulator_url}/__simulator/faults", json={"faults": []})
    assert sum(ended.json()["counts"].values()) > 0, "nothing went wrong"
    taken = httpx.get(f"{console.simulator_url}/__simulator/ledger").json()["jobs"]
    per_intent = Counter(job["user_metadata"]["parsedeck_attempt"] for job in taken)
    assert set(per_intent.values()) <= {1}
    done = [
        a
        for j in view.jobs
        for a in console.jobs.view(j.id).attempts
        if a.status is AttemptStatus.DONE
    ]
    assert {a.vendor_job_id for a in done} <= {job["id"] for job in taken}


def test_every_third_answer_lost_is_paid_once(make_console: Callable[..., Console]) -> None:
    """A submit whose answer is lost is found again and adopted, never sent a second time."""
    _parse_on_a_bad_day(make_console, ("lost_answer=0.34@submit",), "third")


@pytest.mark.parametrize(
    "seed", ["1", *(pytest.param(str(n), marks=pytest.mark.soak) for n in range(2, 12))]
)
def test_under_any_mix_of_faults_each_intent_is_billed_at_most_once(
    make_console: Callable[..., Console], seed: str
) -> None:
    """Each attempt ends final with a reason, and the ledger knows at most one job of each intent."""
    dice = random.Random(seed)
    chosen = dice.sample(_MIXED, 5)
    faults = tuple(f"{name}={dice.uniform(0.05, most):.2f}{where}" for name, where, most in chosen)
    _parse_on_a_bad_day(make_console, faults, seed)
