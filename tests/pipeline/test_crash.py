"""What survives a ``kill -9``."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import update

from core.console import Console
from core.domain.jobs import JobStatus
from core.simulator import SimulatorConfig
from core.store import balances
from core.store import ledger as money
from core.store.tables import WorkerRow
from tests.factories import finished, submitted, wait_until
from tests.pipeline.processes import HERE, beside, started


def _killed_while(
    asking: Console, wait: Callable[[], object], count: int = 10, code: Path = HERE
) -> str:
    """Press Parse on ``count`` documents, wait, and kill the worker; the submission."""
    process = started(asking, code)
    try:
        files = {f"{n}.txt": f"document {n}".encode() for n in range(count)}
        submission = submitted(asking, files)
        wait()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return submission.id


def _each_finished_and_submitted_once(
    console: Console, submission_id: str, count: int = 10
) -> None:
    view = finished(console, submission_id, within_s=170)
    assert [job.status for job in view.jobs] == [JobStatus.COMPLETE] * count
    ledger = httpx.get(f"{console.simulator_url}/__simulator/ledger").json()
    assert len(ledger["jobs"]) == count
    with console.store.write() as tx:
        for book in ("real", "mock"):
            money.lock(tx, book)
        # the money fits too: every sum is what the entries say, and each job settled once
        assert balances.differences(tx) == ()
        for job in view.jobs:
            kinds = [entry.kind for entry in money.entries_of(tx, job.id)]
            assert kinds.count("reserve") == 1
            assert kinds.count("settle") <= 1


def _five_in_flight(console: Console) -> Callable[[], None]:
    return lambda: wait_until(lambda: console.jobs.counts().get(JobStatus.PARSING, 0) >= 5)


def test_ten_documents_survive_a_kill_and_each_is_submitted_once(
    make_console: Callable[..., Console],
) -> None:
    """After kill -9 with ten documents in flight, all finish; the simulator counts ten submits."""
    asking = make_console()
    submission_id = _killed_while(asking, _five_in_flight(asking))
    successor = make_console(worker=True, timeout_s=2, simulator=SimulatorConfig(pending_s=0.1))
    _each_finished_and_submitted_once(successor, submission_id)


@pytest.mark.parametrize("older_steps", [False, True], ids=["same steps", "other steps"])
def test_jobs_in_flight_survive_an_upgrade(
    make_console: Callable[..., Console], tmp_path: Path, *, older_steps: bool
) -> None:
    """Jobs begun by other code finish under this code: also when its workflow had other steps."""
    older = tmp_path / "older"
    shutil.copytree(HERE / "core", older / "core", ignore=shutil.ignore_patterns("__pycache__"))
    worker = older / "core" / "pipeline" / "worker.py"
    source, begin = worker.read_text(), "            which, troubles = 0, 0\n"
    assert begin in source
    extra = "            job_id = str(job_id)\n"
    if older_steps:
        extra += '            await DBOS.run_step_async({"name": "greet"}, lambda: None)\n'
    worker.write_text(source.replace(begin, extra + begin))
    asking = make_console()
    submission_id = _killed_while(asking, _five_in_flight(asking), code=older)
    successor = make_console(worker=True, timeout_s=2, simulator=SimulatorConfig(pending_s=0.1))
    _each_finished_and_submitted_once(successor, submission_id)


def test_work_of_a_machine_that_went_silent_is_taken_over(
    make_console: Callable[..., Console],
) -> None:
    """A dead process on another machine is known only by its silence; its work goes on elsewhere."""
    asking = make_console()
    submission_id = _killed_while(asking, _five_in_flight(asking))
    with asking.store.write() as tx:
        tx.execute(update(WorkerRow).values(host="another-machine"))
    successor = make_console(worker=True, timeout_s=2, simulator=SimulatorConfig(pending_s=0.1))
    _each_finished_and_submitted_once(successor, submission_id)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_no_document_is_lost_or_submitted_twice_wherever_the_kill_falls(
    make_console: Callable[..., Console], seed: int
) -> None:
    """Killed at ten random moments, everything still finishes, each document submitted once."""
    moment_s = random.Random(seed).uniform(0.1, 3.0)
    submission_id = _killed_while(make_console(), lambda: time.sleep(moment_s))
    successor = make_console(worker=True, timeout_s=2, simulator=SimulatorConfig(pending_s=0.1))
    _each_finished_and_submitted_once(successor, submission_id)


def test_an_orderly_stop_goes_on_at_the_next_start(make_console: Callable[..., Console]) -> None:
    """What waits when the process is stopped is finished by the next one, submitted once."""
    first = make_console(worker=True, simulator=SimulatorConfig(pending_s=4))
    submission = submitted(first, {f"{n}.txt": f"document {n}".encode() for n in range(3)})
    wait_until(lambda: first.jobs.counts().get(JobStatus.PARSING, 0) == 3)
    first.close()
    second = make_console(worker=True)
    view = finished(second, submission.id, within_s=90)
    assert [job.status for job in view.jobs] == [JobStatus.COMPLETE] * 3
    assert [len(second.jobs.view(job.id).attempts) for job in view.jobs] == [1, 1, 1]


def test_two_workers_share_the_work_and_submit_each_document_once(
    make_console: Callable[..., Console],
) -> None:
    """A second process beside the first never repeats a step that costs money."""
    console = make_console(worker=True)
    with beside(console):
        submission = submitted(console, {f"{n}.txt": f"document {n}".encode() for n in range(12)})
        view = finished(console, submission.id)
    assert view.is_finished
    _each_finished_and_submitted_once(console, submission.id, 12)
