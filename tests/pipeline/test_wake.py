"""A process that slept, or whose clock leapt, is thought dead by the others; then its heart beats again."""

import os
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import delete

from core.console import Console
from core.domain.jobs import JobStatus
from core.store import workers
from core.store.tables import WorkerRow
from tests.factories import finished, submitted, wait_until
from tests.pipeline.processes import beside


class _Sleep:
    """Stands at the beginning of each round of a caretaker, where it holds nothing."""

    def __init__(self) -> None:
        self._awake, self._asleep = threading.Event(), threading.Event()
        self._awake.set()

    def __call__(self) -> None:
        if not self._awake.is_set():
            self._asleep.set()
            self._awake.wait()

    def begin(self) -> None:
        """Returns once it sleeps."""
        self._awake.clear()
        assert self._asleep.wait(timeout=30)

    def end(self) -> None:
        self._awake.set()


@pytest.mark.parametrize("is_forgotten", [False, True], ids=["written off", "forgotten"])
def test_who_was_thought_dead_wakes_is_seen_and_works_again(
    make_console: Callable[..., Console],
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    *,
    is_forgotten: bool,
) -> None:
    """Another process takes over from it; awake it is on record as before, and parses what comes in."""
    console, sleep = make_console(database_url=database_url), _Sleep()
    monkeypatch.setattr(console._store_clock, "compare", sleep)
    console.run_worker()
    sleep.begin()
    _last_heard(console, timedelta(minutes=1))
    with beside(console):
        wait_until(lambda: os.getpid() not in _known(console))
    if is_forgotten:
        # as after a month, or a clock that leapt so far
        with console.store.write() as tx:
            tx.execute(delete(WorkerRow))
    assert not console.has_worker()
    sleep.end()
    wait_until(console.has_worker)
    view = finished(console, submitted(console, {"a.txt": b"some words"}).id)
    assert [job.status for job in view.jobs] == [JobStatus.COMPLETE]


def _last_heard(console: Console, ago: timedelta) -> None:
    with console.store.write() as tx:
        for one in workers.known(tx):
            row = tx.get(WorkerRow, one.executor_id)
            assert row is not None
            row.heartbeat_at = console.clock() - ago
            tx.add(row)


def _known(console: Console) -> set[int]:
    with console.store.read() as tx:
        return {one.pid for one in workers.known(tx)}
