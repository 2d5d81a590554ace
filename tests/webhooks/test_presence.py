"""Processes that only receive are seen as others are, and never taken for workers."""

import os
import subprocess
import sys
from collections.abc import Callable

from core.clock import new_id, utc_now
from core.console import Console
from core.services.presence import Presence
from core.services.setup import Grade
from core.store import Store, workers
from core.store.workers import API, Worker
from tests.factories import wait_until


def test_a_receiving_process_is_on_record_while_it_lives(store: Store) -> None:
    """Its heart beats from its start, and it is gone once it says so."""
    one = Presence(store, lambda *_: True, utc_now, every_s=0.05)
    one.begin()
    ((began, _),) = one.known()
    assert began.pid == os.getpid()
    wait_until(lambda: one.known()[0][0].heartbeat_at > began.heartbeat_at)
    one.end()
    assert one.known() == ()


def test_a_receiver_is_no_worker_and_one_that_was_killed_is_told(
    make_console: Callable[..., Console],
) -> None:
    """Documents do not count on a process that only receives; of a dead one Setup says what to do."""
    console = make_console()
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    now = console.clock()
    with console.store.write() as tx:
        dead = Worker(new_id("api"), os.uname().nodename, gone.pid, now, now, role=API)
        workers.start(tx, dead)
    console.presence.begin()  # the dead one's place is taken over
    with console.store.write() as tx:
        workers.start(tx, Worker(new_id("api"), dead.host, gone.pid, now, now, role=API))
    found = [fact for fact in console.setup.facts() if fact.topic == "Receiver"]
    assert [fact.grade for fact in found] == [Grade.OK, Grade.WARNING]
    assert str(os.getpid()) in found[0].what
    assert f"pid {gone.pid}" in found[1].what
    assert not console.has_worker()
