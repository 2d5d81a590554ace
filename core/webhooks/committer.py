"""Group commit: deliveries that arrive together share one transaction, and one wait for the disk."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from core.errors import StoreUnavailable
from core.store import Store, recording
from core.store.deliveries import Delivery
from core.store.recording import Recorded
from core.telemetry import log

__all__ = ["Committer"]

_MOST, _MOST_BYTES = 500, 8 * 1024 * 1024
_MANY, _GATHER_S = 8, 0.001
_Done = asyncio.Future[Recorded] | Future[Recorded]
_Answer = Recorded | StoreUnavailable


@dataclass(slots=True)
class _Round:
    """What came in while an event loop went round once, and who waits for it; or one of a thread.

    The writing thread is woken once for all of it, and answers with one call.
    """

    loop: asyncio.AbstractEventLoop | None
    deliveries: list[Delivery] = field(default_factory=list)
    waiting: list[_Done] = field(default_factory=list)
    size: int = 0

    def add(self, delivery: Delivery, done: _Done) -> None:
        """One more."""
        self.deliveries.append(delivery)
        self.waiting.append(done)
        self.size += len(delivery.body)

    @property
    def is_full(self) -> bool:
        """Whether it is enough for a transaction."""
        return len(self.waiting) >= _MOST or self.size >= _MOST_BYTES

    def answer(self, answers: Sequence[_Answer]) -> None:
        """Tell all who wait, in order."""
        if self.loop is None:
            self._resolve(answers)
            return
        with suppress(RuntimeError):  # a loop that was closed meanwhile has nobody who waits
            self.loop.call_soon_threadsafe(self._resolve, answers)

    def fail(self, error: StoreUnavailable) -> None:
        """Tell all who wait that theirs is not on record."""
        self.answer([error] * len(self.waiting))

    def _resolve(self, answers: Sequence[_Answer]) -> None:
        for done, answer in zip(self.waiting, answers, strict=True):
            if done.done():
                continue
            if isinstance(answer, StoreUnavailable):
                done.set_exception(answer)
            else:
                done.set_result(answer)


class Committer:
    """One thread that writes what came in while it wrote the last batch. Starts with the first delivery."""

    def __init__(
        self, store: Store, after: Callable[[Sequence[tuple[Delivery, Recorded]]], None]
    ) -> None:
        """``after`` is told what was committed, once its senders have their answer."""
        self._store = store
        self._after = after
        self._queue: queue.SimpleQueue[_Round | None] = queue.SimpleQueue()
        self._gathering: dict[asyncio.AbstractEventLoop, _Round] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._latest = 0
        self._log = log("webhooks")

    def commit(self, delivery: Delivery) -> asyncio.Future[Recorded]:
        """Once it is on disk, what is known of it; ``StoreUnavailable`` when it cannot be written.

        For a coroutine of a running loop.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Recorded] = loop.create_future()
        gathered = self._gathering.get(loop)
        if gathered is None:
            # those that are read in this round of the loop come along
            gathered = self._gathering[loop] = _Round(loop)
            loop.call_soon(self._hand_over, loop)
        gathered.add(delivery, done)
        if gathered.is_full:
            self._hand_over(loop)
        return done

    def put(self, delivery: Delivery) -> "Future[Recorded]":
        """The same for a thread, which may wait for it or not."""
        done: Future[Recorded] = Future()
        alone = _Round(None)
        alone.add(delivery, done)
        self._put(alone)
        return done

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        gathered = self._gathering.pop(loop, None)
        if gathered is not None:
            self._put(gathered)

    def _put(self, gathered: _Round) -> None:
        with self._lock:
            if not self._is_closed:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                    self._thread.start()
                self._queue.put(gathered)
                return
        gathered.fail(StoreUnavailable("Parsedeck is stopping."))

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

    def _next(self) -> tuple[list[_Round], bool]:
        batch: list[_Round] = []
        count = size = 0
        item = self._queue.get()
        if self._latest >= _MANY:
            # it comes thick and fast: a transaction of its own for the first few would hold up the rest
            time.sleep(_GATHER_S)
        while item is not None:
            batch.append(item)
            count, size = count + len(item.waiting), size + item.size
            if count >= _MOST or size >= _MOST_BYTES:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write(self, batch: list[_Round]) -> None:
        new = [delivery for one in batch for delivery in one.deliveries]
        self._latest = len(new)
        try:
            with self._store.write() as tx:
                answers = recording.add_all(tx, new)
        except StoreUnavailable as error:
            for one in batch:
                one.fail(error)
            return
        except Exception:  # one that cannot be written must not take the others with it
            self._apart(batch)
            return
        start = 0
        for one in batch:
            one.answer(answers[start : start + len(one.waiting)])
            start += len(one.waiting)
        self._tell(list(zip(new, answers, strict=True)))

    def _apart(self, batch: list[_Round]) -> None:
        singles = [
            _Round(one.loop, [delivery], [done], len(delivery.body))
            for one in batch
            for delivery, done in zip(one.deliveries, one.waiting, strict=True)
        ]
        if len(singles) > 1:
            for single in singles:
                self._write([single])
            return
        delivery_id = singles[0].deliveries[0].id
        self._log.exception("delivery could not be recorded", delivery_id=delivery_id)
        singles[0].fail(StoreUnavailable("The delivery could not be recorded."))

    def _tell(self, committed: Sequence[tuple[Delivery, Recorded]]) -> None:
        try:
            self._after(committed)
        except Exception:  # logs, figures and nudges are no reason to stop accepting
            self._log.exception("after the commit")
