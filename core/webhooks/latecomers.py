"""Events whose job became known while they were recorded: looked for a little later, for many at once."""

import threading
from collections.abc import Callable, Sequence

from core.errors import StoreUnavailable
from core.store.deliveries import Delivery
from core.telemetry import log

__all__ = ["Latecomers"]

_PAUSE_S = 0.1
_MOST_WAITING = 5000


class Latecomers:
    """Hands on what was parked, from a thread of its own: no sender waits for it, and no commit.

    It is a hint, as nudges are: what is dropped, or comes too early, the sweep finds.
    """

    def __init__(self, look: Callable[[Sequence[Delivery]], object]) -> None:
        """``look`` gets all that was parked since the last time; it may raise ``StoreUnavailable``."""
        self._look = look
        self._lock = threading.Lock()
        self._parked: list[Delivery] = []
        self._has_some = threading.Event()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, parked: Sequence[Delivery]) -> None:
        """Look for the jobs of these soon. For one thread only."""
        if not parked:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="latecomers", daemon=True)
            self._thread.start()
        with self._lock:
            if len(self._parked) < _MOST_WAITING:
                self._parked.extend(parked)
        self._has_some.set()

    def close(self) -> None:
        """Stop; the sweep finds what was not looked at."""
        self._is_closed.set()
        self._has_some.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            self._has_some.wait()
            if self._is_closed.wait(_PAUSE_S):
                return
            self._has_some.clear()
            with self._lock:
                parked, self._parked = self._parked, []
            try:
                self._look(parked)
            except StoreUnavailable:
                log("webhooks").warning("parked deliveries are looked at by the sweep")
