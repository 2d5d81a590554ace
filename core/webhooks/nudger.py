"""Waking workflows from a thread of its own: no sender waits for the queue's database."""

import queue
import threading
from collections.abc import Callable

__all__ = ["Nudger"]

_MOST_WAITING = 1000


class Nudger:
    """Passes hints on, one after the other; drops them when it cannot keep up, as hints may be lost."""

    def __init__(self, nudge: Callable[[str], object]) -> None:
        self._nudge = nudge
        self._queue: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, workflow_id: str) -> None:
        """Wake this workflow soon. Thread-safe."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nudger", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(workflow_id)
        except queue.Full:
            return

    def close(self) -> None:
        """Stop after the hint that is under way; the sweep finds what the others were about."""
        if self._thread is None:
            return
        while not self._queue.empty():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while (workflow_id := self._queue.get()) is not None:
            self._nudge(workflow_id)
