"""Time and identity, passed in so that tests can move the one and predict the other."""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

__all__ = ["Clock", "is_recent", "new_id", "new_id_in_order", "utc_now"]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment as an aware UTC datetime."""
    return datetime.now(UTC)


def is_recent(then: datetime, now: datetime, span: timedelta) -> bool:
    """Whether ``then`` is less than ``span`` ago.

    A moment that is still to come is not: where the clock was set back nobody waits for it to come again.
    """
    return timedelta(0) <= now - then < span


class _Randomness:
    """Random bytes of the system, fetched for many ids at once.

    Each fetch lets go of the interpreter, and under load it takes long to get it back. A forked process
    never repeats its parent's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = b""
        self._pid = 0

    def take(self, count: int) -> bytes:
        """So many bytes, handed out once. Thread-safe."""
        with self._lock:
            if self._pid != os.getpid() or len(self._left) < count:
                self._left, self._pid = os.urandom(_AT_ONCE), os.getpid()
            taken, self._left = self._left[:count], self._left[count:]
            return taken


_AT_ONCE, _ID_BYTES = 1000, 10
_randomness = _Randomness()


def new_id(prefix: str) -> str:
    """A new identifier such as ``job-3f2a…``: unique, unguessable, safe in file names and URLs."""
    return f"{prefix}-{_randomness.take(_ID_BYTES).hex()}"


def new_id_in_order(prefix: str, at: datetime) -> str:
    """The same for what comes in masses: it begins with the moment, so that an index grows at its end."""
    return f"{prefix}-{int(at.timestamp() * 1000):012x}{_randomness.take(_ID_BYTES).hex()}"
