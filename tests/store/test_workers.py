"""Who runs: processes as others see them."""

from datetime import timedelta

from core.clock import utc_now
from core.store import Store, workers
from core.store.tables import WorkerRow


def test_a_process_that_was_thought_dead_and_beats_again_is_alive(store: Store) -> None:
    """After a long sleep its work was taken over; what it takes up from now on must be seen as its own."""
    now = utc_now()
    with store.write() as tx:
        workers.start(tx, workers.Worker("exe-asleep", "elsewhere", 1, now, now))
        workers.stop(tx, "exe-asleep", now)
    assert not _known(store)
    with store.write() as tx:
        workers.beat(tx, "exe-asleep", now)
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


def _known(store: Store) -> set[str]:
    with store.read() as tx:
        return {one.executor_id for one in workers.known(tx)}
