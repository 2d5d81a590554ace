"""One SQLite file with a thread that writes: whoever writes at the same time shares one commit.

A commit waits for the disk once, however many requests it carries, so that many small requests cost
about as much as one. Nobody is answered before the commit that holds their change is on the disk.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["Database"]

_BUSY_S = 30.0
_AT_ONCE = 256

_T = TypeVar("_T")
_Work = Callable[[sqlite3.Connection], Any]
_Task = tuple[_Work, "Future[Any]"]


class Database:
    """Writes in groups, reads beside them. Safe to call from any thread, shared by processes."""

    def __init__(self, path: Path, schema: str) -> None:
        self._writer = _connected(path)
        for statement in filter(str.strip, schema.split(";")):
            self._writer.execute(statement)
        self._reader = _connected(path)
        self._reading = threading.Lock()
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="simulator-writer", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> "Future[_T]":
        """What ``work`` answers, once its changes are durable; its error leaves no change behind."""
        future: Future[_T] = Future()
        self._waiting.put((work, future))
        return future

    def read(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """The rows."""
        with self._reading:
            return self._reader.execute(statement, values).fetchall()

    def close(self) -> None:
        """Finish what waits, then close the file."""
        self._waiting.put(None)
        self._thread.join()
        with self._reading:
            self._reader.close()
        self._writer.close()

    def _serve(self) -> None:
        while (task := self._waiting.get()) is not None:
            group, is_last = [task], False
            while len(group) < _AT_ONCE and not self._waiting.empty():
                more = self._waiting.get()
                if more is None:
                    is_last = True
                    break
                group.append(more)
            _together(self._writer, group)
            if is_last:
                return


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _together(db: sqlite3.Connection, group: list[_Task]) -> None:
    """One transaction for all; each is a savepoint, so that one's error is not another's."""
    begun = [task for task in group if task[1].set_running_or_notify_cancel()]
    try:
        db.execute("BEGIN IMMEDIATE")
        answers = [_alone(db, work) for work, _future in begun]
        db.execute("COMMIT")
    except Exception as error:
        # nothing of the group is stored; each of those who wait is told, and may try again
        if db.in_transaction:
            db.execute("ROLLBACK")
        answers = [(None, error) for _ in begun]
    for (_work, future), (answer, failure) in zip(begun, answers, strict=True):
        if failure is None:
            future.set_result(answer)
        else:
            future.set_exception(failure)


def _alone(db: sqlite3.Connection, work: _Work) -> tuple[Any, Exception | None]:
    db.execute("SAVEPOINT one")
    try:
        answer = work(db)
    except Exception as error:
        if not db.in_transaction:  # a full disk ends the whole transaction
            raise
        db.execute("ROLLBACK TO one")
        db.execute("RELEASE one")
        return None, error
    db.execute("RELEASE one")
    return answer, None
