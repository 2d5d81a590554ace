"""Writes that share a commit: durable before they are answered, and one's error is not another's."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from core.simulator.database import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS notes (n INTEGER PRIMARY KEY)"
Put = Callable[[sqlite3.Connection], None]


def _put(n: int) -> Put:
    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO notes VALUES (?)", (n,))

    return work


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty file."""
    database = Database(tmp_path / "file.sqlite3", SCHEMA)
    yield database
    database.close()


def _stored(db: Database) -> list[int]:
    return [row[0] for row in db.read("SELECT n FROM notes ORDER BY n")]


def _while_busy(db: Database, work: list[Put]) -> list["Future[None]"]:
    """Hand in all of this while the writer is busy with something else."""
    started, go_on = threading.Event(), threading.Event()

    def slow(_db: sqlite3.Connection) -> None:
        started.set()
        assert go_on.wait(20)

    first = db.write(slow)
    assert started.wait(20)
    futures = [db.write(one) for one in work]
    go_on.set()
    first.result(20)
    return futures


def test_whoever_writes_at_the_same_time_shares_a_commit(db: Database) -> None:
    """Fifty requests that arrive together cost one wait for the disk, and all are stored."""
    said: list[str] = []
    db._writer.set_trace_callback(said.append)
    for future in _while_busy(db, [_put(n) for n in range(50)]):
        future.result(20)
    assert said.count("COMMIT") == 2
    assert _stored(db) == list(range(50))


def test_ones_error_is_not_anothers(db: Database) -> None:
    """A write that fails is told so and leaves nothing behind; its neighbours are stored."""

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes VALUES (7)")
        connection.execute("INSERT INTO notes VALUES (1)")

    first, second, third = _while_busy(db, [_put(1), half, _put(3)])
    with pytest.raises(sqlite3.IntegrityError):
        second.result(20)
    assert (first.result(20), third.result(20)) == (None, None)
    assert _stored(db) == [1, 3]


def test_a_commit_that_fails_is_told_to_all(db: Database) -> None:
    """When the whole transaction ends, as on a full disk, nobody is told that something was stored."""

    def full(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    futures = _while_busy(db, [_put(1), full, _put(3)])
    for future in futures:
        with pytest.raises(sqlite3.OperationalError, match="full"):
            future.result(20)
    assert _stored(db) == []
    db.write(_put(9)).result(20)
    assert _stored(db) == [9]


def test_a_write_that_nobody_waits_for_any_more_is_left_out(db: Database) -> None:
    """What was cancelled before its turn changes nothing."""
    started, go_on = threading.Event(), threading.Event()

    def slow(_db: sqlite3.Connection) -> None:
        started.set()
        assert go_on.wait(20)

    db.write(slow)
    assert started.wait(20)
    given_up, kept = db.write(_put(1)), db.write(_put(2))
    assert given_up.cancel()
    go_on.set()
    kept.result(20)
    assert _stored(db) == [2]


def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    """Whatever was handed in before the end is on the disk after it."""
    database = Database(tmp_path / "file.sqlite3", SCHEMA)
    futures = [database.write(_put(n)) for n in range(30)]
    database.close()
    assert all(future.done() for future in futures)
    again = Database(tmp_path / "file.sqlite3", SCHEMA)
    assert _stored(again) == list(range(30))
    again.close()
