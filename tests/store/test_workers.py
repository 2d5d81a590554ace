"""Who runs: processes as others see them."""

from datetime import timedelta

from core.clock import utc_now
from core.store import Store, workers
from core.store.tables import WorkerRow


def test_a_process_that_was_thought_dead_and_beats_again_is_alive(store: Store) -> None:
    """After a long sleep its work was taken over; what it takes up from now on must be seen as its own."""
    now = utc_now()
    asleep = workers.Worker("exe-asleep", "elsewhere", 1, now, now)
    with store.write() as tx:
        workers.start(tx, asleep)
        workers.stop(tx, "exe-asleep", now)
    assert not _known(store)
    with store.write() as tx:
        workers.beat(tx, asleep, now)
    assert _known(store) == {"exe-asleep"}


def test_processes_that_ended_long_ago_are_forgotten(store: Store) -> None:
    """Each start of a process leaves a row, and who lives is looked for among them every two seconds."""
    now = utc_now()
    for number, days in enumerate((31, 1)):
        with store.write() as tx:
            at = now - timedelta(days=days)
            workers.start(tx, workers.Worker(f"exe-{number}", "elsewhere", 1, at, at))
            workers.stop(tx, f"exe-{number}", at)
    with store.write() as tx:
        workers.start(tx, workers.Worker("exe-new", "elsewhere", 1, now, now))
    with store.read() as tx:
        assert tx.get(WorkerRow, "exe-0") is None
        assert tx.get(WorkerRow, "exe-1") is not None


def test_a_process_that_slept_until_it_was_forgotten_is_seen_again(store: Store) -> None:
    """Its row is gone, as after a month or a clock that leapt; were it unseen, nobody would take over from it."""
    now = utc_now()
    asleep = workers.Worker("exe-asleep", "elsewhere", 1, now, now)
    api = workers.Worker("api-asleep", "elsewhere", 2, now, now, role=workers.API)
    later = now + timedelta(days=40)
    with store.write() as tx:
        for one in (asleep, api):
            workers.start(tx, one)
            workers.stop(tx, one.executor_id, now)
        workers.start(tx, workers.Worker("exe-new", "elsewhere", 3, later, later))
        assert tx.get(WorkerRow, "exe-asleep") is None
    with store.write() as tx:
        workers.beat(tx, asleep, later)
        workers.beat(tx, api, later)
    assert _known(store) == {"exe-asleep", "exe-new"}
    with store.read() as tx:
        (seen,) = workers.known(tx, workers.API)
    assert (seen.pid, seen.started_at, seen.heartbeat_at) == (2, now, later)


def _known(store: Store) -> set[str]:
    with store.read() as tx:
        return {one.executor_id for one in workers.known(tx)}
