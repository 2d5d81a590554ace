"""``kill -9`` between accepting an event and applying it: nothing accepted is lost, nothing applied twice."""

import asyncio
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import event, make_url

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
SHORT, LONG = 20, 1000
STATEMENTS = 50
"""About as many as one life has."""


@dataclass(frozen=True)
class Ground:
    """A database with jobs whose vendor ids are known, to be copied."""

    url: str
    attempts: dict[str, str]
    """Attempt ids by vendor id."""
    server: str = ""
    """Where to ask for copies of one on Postgres."""

    @contextmanager
    def copied(self) -> Iterator[str]:
        """The URL of a copy, as long as it is needed."""
        if self.server:
            with psycopg.connect(self.server, autocommit=True) as connection:
                connection.execute("CREATE DATABASE point TEMPLATE ground")
                yield _database(self.server, "point")
                # what was killed may not have been missed yet
                connection.execute("DROP DATABASE point WITH (FORCE)")
            return
        path = Path(str(make_url(self.url).database))
        copy = path.with_name("point.sqlite")
        shutil.copy(path, copy)
        yield f"sqlite:///{copy}"
        for leftover in path.parent.glob(f"{copy.name}*"):
            leftover.unlink()


def _database(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def ground(
    make_console: Callable[..., Console], database_url: str, tmp_path: Path
) -> Iterator[Ground]:
    """Three jobs that are being parsed, in a database of their own."""
    if database_url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path / 'ground.sqlite'}"
        yield Ground(url, _three_jobs(make_console(database_url=url)))
        return
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ground")
        url = _database(database_url, "ground")
        yield Ground(url, _three_jobs(make_console(database_url=url)), database_url)
        connection.execute("DROP DATABASE ground WITH (FORCE)")


def _three_jobs(console: Console) -> dict[str, str]:
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
    # a database that somebody is connected to cannot be copied
    console.close()
    return found


def test_nothing_accepted_is_lost_or_applied_twice_at_twenty_points(ground: Ground) -> None:
    """Killed before twenty different statements, every answered event is applied exactly once after."""
    _drill(ground, SHORT, every=2)


@pytest.mark.soak
def test_nothing_accepted_is_lost_or_applied_twice_at_a_thousand_points(ground: Ground) -> None:
    """The same at a thousand points, in ever other orders."""
    _drill(ground, LONG, every=1)


def _drill(ground: Ground, points: int, *, every: int) -> None:
    killed = 0
    for point in range(points):
        with ground.copied() as url:
            # each order of work is killed at each of its statements before the next order's turn
            seed, at = divmod(point * every, STATEMENTS)
            answered, was_killed = _one_life(url, ground, seed=seed, kill_at=1 + at)
            killed += was_killed
            _each_applied_once(url, ground, answered)
    print(f"{killed} of {points} were killed")  # noqa: T201 - shown by `make soak -s`
    # a drill that kills nobody proves nothing
    assert killed > points * 0.5


def _one_life(url: str, ground: Ground, *, seed: int, kill_at: int) -> tuple[list[str], bool]:
    """Receive and apply in a process of its own until it is killed; what it had answered."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _live(_opened(url, kill_at), ground, random.Random(seed), writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answered = pipe.read().decode().split()
    _pid, status = os.waitpid(child, 0)
    return answered, os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _opened(url: str, kill_at: int = 0) -> Store:
    engine, count = _engine_for(url), 0

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


def _each_applied_once(url: str, ground: Ground, answered: list[str]) -> None:
    store = _opened(url)
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
