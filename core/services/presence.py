"""Processes that only receive (``parsedeck api``): on record while they live, so that doctor and Setup see them."""

import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime

from core.clock import Clock, new_id
from core.errors import StoreUnavailable
from core.store import Store, workers
from core.store.workers import API, Worker
from core.telemetry import log

__all__ = ["Presence"]

_EVERY_S = 5.0


class Presence:
    """Writes a heartbeat from a thread of its own; the accept path does not know of it."""

    def __init__(
        self,
        store: Store,
        is_alive: Callable[[Worker, datetime], bool],
        clock: Clock,
        compare_clocks: Callable[[], object] = lambda: None,
        *,
        every_s: float = _EVERY_S,
    ) -> None:
        self._store = store
        self._is_alive = is_alive
        self._clock = clock
        self._compare_clocks = compare_clocks
        self._every_s = every_s
        self._id = new_id("api")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._log = log("presence")

    def known(self) -> tuple[tuple[Worker, bool], ...]:
        """Each process that has not said that it stops, and whether it lives."""
        now = self._clock()
        with self._store.read() as tx:
            return tuple((one, self._is_alive(one, now)) for one in workers.known(tx, API))

    def begin(self) -> None:
        """Put this process on record; it stands in for those that died before. Raises ``StoreUnavailable``."""
        dead = [one for one, lives in self.known() if not lives]
        now = self._clock()
        me = Worker(self._id, socket.gethostname(), os.getpid(), now, now, role=API)
        with self._store.write() as tx:
            for one in dead:
                workers.stop(tx, one.executor_id, now)
            workers.start(tx, me)
        self._thread = threading.Thread(target=self._beat, args=(me,), name="presence", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Say that it stops, if it ever began."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join(timeout=10)
        try:
            with self._store.write() as tx:
                workers.stop(tx, self._id, self._clock())
        except StoreUnavailable:
            self._log.warning("could not be taken off the record")

    def _beat(self, me: Worker) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._compare_clocks()
                with self._store.write_lightly() as tx:
                    workers.beat(tx, me, self._clock())
            except StoreUnavailable as error:
                self._log.warning("heartbeat is late", error=str(error))
            except Exception:  # the next one tries again
                self._log.exception("heartbeat failed")
