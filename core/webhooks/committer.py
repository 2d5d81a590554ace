"""Group commit: deliveries that arrive together share one transaction, and one wait for the disk."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from core.errors import StoreUnavailable
from core.store import Store, deliveries
from core.store.deliveries import Delivery, Recorded
from core.telemetry import log

__all__ = ["Committer"]

_MOST = 500
_Waiting = tuple[Delivery, "Future[Recorded]"]


class Committer:
    """One thread that writes what came in while it wrote the last batch. Starts with the first delivery."""

    def __init__(
        self, store: Store, after: Callable[[Sequence[tuple[Delivery, Recorded]]], None]
    ) -> None:
        """``after`` is told what was committed, once its senders have their answer."""
        self._store = store
        self._after = after
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._log = log("webhooks")

    def put(self, delivery: Delivery) -> "Future[Recorded]":
        """Comes true once the delivery is on disk; ``StoreUnavailable`` when it cannot be written."""
        done: Future[Recorded] = Future()
        with self._lock:
            if self._is_closed:
                done.set_exception(StoreUnavailable("Parsedeck is stopping."))
                return done
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                self._thread.start()
            self._queue.put((delivery, done))
        return done

    def close(self) -> None:
        """Write what waits, then stop."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            batch, is_last = self._next()
            if batch:
                self._write(batch)
            if is_last:
                return

    def _next(self) -> tuple[list[_Waiting], bool]:
        batch: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _MOST:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            with self._store.write() as tx:
                answers = deliveries.add_all(tx, [delivery for delivery, _done in batch])
        except StoreUnavailable as error:
            for _delivery, done in batch:
                done.set_exception(error)
            return
        except Exception:  # one that cannot be written must not take the others with it
            self._apart(batch)
            return
        for (_delivery, done), answer in zip(batch, answers, strict=True):
            done.set_result(answer)
        self._tell(
            [(delivery, answer) for (delivery, _), answer in zip(batch, answers, strict=True)]
        )

    def _apart(self, batch: list[_Waiting]) -> None:
        if len(batch) > 1:
            for one in batch:
                self._write([one])
            return
        delivery, done = batch[0]
        self._log.exception("delivery could not be recorded", delivery_id=delivery.id)
        done.set_exception(StoreUnavailable("The delivery could not be recorded."))

    def _tell(self, committed: Sequence[tuple[Delivery, Recorded]]) -> None:
        try:
            self._after(committed)
        except Exception:  # logs, figures and nudges are no reason to stop accepting
            self._log.exception("after the commit")
