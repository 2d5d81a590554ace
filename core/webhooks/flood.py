"""A bound on what strangers can make us write: refusals beyond it are counted, not recorded one by one."""

import threading
import time
from collections.abc import Callable

__all__ = ["RefusalBudget"]


class RefusalBudget:
    """A bucket of ``burst`` refusals that fills up by ``per_second``. Thread-safe.

    ``tell`` gets the number of those that found no room, ``every_s`` seconds after the first of them.
    """

    def __init__(
        self,
        tell: Callable[[int], None],
        *,
        burst: int = 100,
        per_second: float = 1.0,
        every_s: float = 60.0,
    ) -> None:
        self._tell = tell
        self._burst = burst
        self._per_second = per_second
        self._every_s = every_s
        self._lock = threading.Lock()
        self._left = float(burst)
        self._at = time.monotonic()
        self._over = 0
        self._timer: threading.Timer | None = None

    def take(self) -> bool:
        """Whether one more refusal may be recorded now; when not, it is counted."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
            self._at = now
            if self._left >= 1:
                self._left -= 1
                return True
            self._over += 1
            if self._timer is None:
                self._timer = threading.Timer(self._every_s, self.flush)
                self._timer.daemon = True
                self._timer.start()
            return False

    def flush(self) -> None:
        """Tell now what was counted."""
        with self._lock:
            count, self._over = self._over, 0
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if count:
            self._tell(count)
