"""Group commit: deliveries that arrive together share one transaction, and one wait for the disk."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from core.errors import StoreUnavailable
from core.store import Store, deliveries
from core.store.deliveries import Delivery, Recorded
from core.telemetry import log

__all__ = ["Committer"]

_MOST = 500


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A delivery and who waits for it: a coroutine of this loop, or a thread when there is none."""

    delivery: Delivery
    done: "asyncio.Future[Recorded] | Future[Recorded]"
    loop: asyncio.AbstractEventLoop | None


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

    async def commit(self, delivery: Delivery) -> Recorded:
        """Once it is on disk, what is known of it. Raises ``StoreUnavailable`` when it cannot be written."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Recorded] = loop.create_future()
        self._put(_Waiting(delivery, done, loop))
        return await done

    def put(self, delivery: Delivery) -> "Future[Recorded]":
        """The same for a thread, which may wait for it or not."""
        done: Future[Recorded] = Future()
        self._put(_Waiting(delivery, done, None))
        return done

    def _put(self, waiting: _Waiting) -> None:
        with self._lock:
            if not self._is_closed:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                    self._thread.start()
                self._queue.put(waiting)
                return
        waiting.done.set_exception(StoreUnavailable("Parsedeck is stopping."))

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
                answers = deliveries.add_all(tx, [waiting.delivery for waiting in batch])
        except StoreUnavailable as error:
            _answer([(waiting, error) for waiting in batch])
            return
        except Exception:  # one that cannot be written must not take the others with it
            self._apart(batch)
            return
        _answer(list(zip(batch, answers, strict=True)))
        self._tell([(w.delivery, answer) for w, answer in zip(batch, answers, strict=True)])

    def _apart(self, batch: list[_Waiting]) -> None:
        if len(batch) > 1:
            for one in batch:
                self._write([one])
            return
        delivery_id = batch[0].delivery.id
        self._log.exception("delivery could not be recorded", delivery_id=delivery_id)
        _answer([(batch[0], StoreUnavailable("The delivery could not be recorded."))])

    def _tell(self, committed: Sequence[tuple[Delivery, Recorded]]) -> None:
        try:
            self._after(committed)
        except Exception:  # logs, figures and nudges are no reason to stop accepting
            self._log.exception("after the commit")


def _answer(answers: list[tuple[_Waiting, Recorded | StoreUnavailable]]) -> None:
    """Tell everyone who waits; each loop is woken once, however many of its coroutines waited."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting, Recorded | StoreUnavailable]]]
    by_loop = {}
    for waiting, answer in answers:
        if waiting.loop is None:
            _resolve([(waiting, answer)])
        else:
            by_loop.setdefault(waiting.loop, []).append((waiting, answer))
    for loop, some in by_loop.items():
        with suppress(RuntimeError):  # a loop that was closed meanwhile has nobody who waits
            loop.call_soon_threadsafe(_resolve, some)


def _resolve(answers: list[tuple[_Waiting, Recorded | StoreUnavailable]]) -> None:
    for waiting, answer in answers:
        if waiting.done.done():
            continue
        if isinstance(answer, StoreUnavailable):
            waiting.done.set_exception(answer)
        else:
            waiting.done.set_result(answer)
