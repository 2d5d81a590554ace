"""``kill -9`` between accepting an event and applying it: nothing accepted is lost, nothing applied twice."""

import asyncio
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event

from core.clock import utc_now
from core.console import Console
from core.pipeline.driver import Resources
from core.pipeline.driving import following
from core.pipeline.driving.context import Context
from core.store import Store, deliveries, jobs
from core.store.engine import _engine_for
from core.store.tables import AttemptRow
from core.telemetry import Metrics
from core.webhooks.receiver import Receiver
from core.webhooks.signatures import SigningSecret, sign
from tests.factories import submitted

SECRET = SigningSecret("mock", "whsec_mock")
SHORT, LONG = 40, 1000


@dataclass(frozen=True)
class Ground:
    """A database with jobs whose vendor ids are known, as a file to copy."""

    path: Path
    attempts: dict[str, str]
    """Attempt ids by vendor id."""


@pytest.fixture
def ground(make_console: Callable[..., Console], tmp_path: Path) -> Ground:
    """Three jobs that are being parsed."""
    console = make_console(database_url=f"sqlite:///{tmp_path / 'ground.sqlite'}")
    found = {}
    for number, job_id in enumerate(
        submitted(console, {f"{n}.txt": b"%d" % n for n in range(3)}).job_ids
    ):
        attempt_id = console.jobs.view(job_id).attempts[0].id
        with console.store.write() as tx:
            row = tx.get(AttemptRow, attempt_id)
            assert row is not None
            row.status, row.vendor_job_id = "running", f"pjb-{number}"
            tx.add(row)
        found[f"pjb-{number}"] = attempt_id
    console.close()
    return Ground(tmp_path / "ground.sqlite", found)


def test_nothing_accepted_is_lost_or_applied_twice_at_forty_points(
    ground: Ground, tmp_path: Path
) -> None:
    """Killed before forty different statements, every answered event is applied exactly once after."""
    _drill(ground, tmp_path, SHORT)


@pytest.mark.soak
def test_nothing_accepted_is_lost_or_applied_twice_at_a_thousand_points(
    ground: Ground, tmp_path: Path
) -> None:
    """The same at a thousand points, in ever other orders."""
    _drill(ground, tmp_path, LONG)


def _drill(ground: Ground, tmp_path: Path, points: int) -> None:
    killed = 0
    for point in range(points):
        copy = tmp_path / f"point-{point}.sqlite"
        shutil.copy(ground.path, copy)
        # the seed goes round in order, so that each order of work is killed at each of its statements
        answered, was_killed = _one_life(copy, ground, seed=point // 50, kill_at=1 + point % 50)
        killed += was_killed
        _each_applied_once(copy, ground, answered)
        for leftover in tmp_path.glob(f"{copy.name}*"):
            leftover.unlink()
    # a drill that kills nobody proves nothing
    assert killed > points * 0.5


def _one_life(path: Path, ground: Ground, *, seed: int, kill_at: int) -> tuple[list[str], bool]:
    """Receive and apply in a process of its own until it is killed; what it had answered."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _live(_opened(path, kill_at), ground, random.Random(seed), writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answered = pipe.read().decode().split()
    _pid, status = os.waitpid(child, 0)
    return answered, os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _opened(path: Path, kill_at: int = 0) -> Store:
    engine, count = _engine_for(f"sqlite:///{path}"), 0

    def step(*_: object) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", step)
    event.listen(engine, "commit", step)
    return Store(engine, engine)


def _live(store: Store, ground: Ground, chance: random.Random, writing: int) -> None:
    receiver = Receiver(
        store,
        lambda: [("mock", SECRET)],
        lambda _id: None,
        max_bytes=10_000,
        clock=utc_now,
        metrics=Metrics(),
    )
    names = ("parse.running", "parse.success")
    events = [(vendor_id, name) for vendor_id in ground.attempts for name in names]
    work: list[Callable[[], None]] = [
        *(partial(_deliver, receiver, vendor_id, name, writing) for vendor_id, name in events),
        *(partial(_apply, store, attempt_id) for attempt_id in ground.attempts.values()),
    ]
    chance.shuffle(work)
    for one in work:
        one()


def _deliver(receiver: Receiver, vendor_id: str, name: str, writing: int) -> None:
    event_id = f"{vendor_id}:{name}"
    payload = {
        "event_id": event_id,
        "event_type": name,
        "timestamp": time.time(),
        "data": {"job_id": vendor_id},
    }
    body = json.dumps(payload).encode()
    receipt = asyncio.run(receiver.receive({"LC-Signature": sign(SECRET, body)}, body))
    if receipt.status_code == 200:
        os.write(writing, f"{event_id}\n".encode())


def _apply(store: Store, attempt_id: str) -> None:
    """What the pipeline does once the vendor has answered: events and transition in one transaction."""
    facts = cast("Any", dict.fromkeys(Resources.__slots__))
    ctx = Context(Resources(**{**facts, "store": store, "clock": utc_now, "concurrency": 1}), "exe")
    with store.read() as tx:
        attempt = jobs.attempt(tx, attempt_id)
        job = jobs.job(tx, attempt.job_id)
    following.completed(ctx, job, attempt)


def _each_applied_once(path: Path, ground: Ground, answered: list[str]) -> None:
    store = _opened(path)
    for attempt_id in ground.attempts.values():
        _apply(store, attempt_id)
    with store.read() as tx:
        recorded = {d.event_id: d for d in deliveries.recent(tx, limit=100)}
        timelines = [
            entry
            for attempt_id in ground.attempts.values()
            for entry in jobs.timeline(tx, jobs.attempt(tx, attempt_id).job_id)
        ]
    store.close()
    assert set(answered) <= set(recorded)
    assert all(d.applied_at is not None for d in recorded.values())
    told = [e.detail["event_id"] for e in timelines if e.subject == "webhook"]
    assert sorted(told) == sorted(recorded)
    moves = [e for e in timelines if e.subject == "attempt" and e.after == "fetching"]
    assert len(moves) == len(ground.attempts)
