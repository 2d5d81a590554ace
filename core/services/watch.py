"""A thread that keeps an eye on money while a worker runs: alerts are found and sent here.

It is a thread of its own because a mail server that does not answer must not hold up the worker.
"""

import threading
from collections.abc import Callable, Sequence

from core.errors import ConsoleError
from core.telemetry import log

__all__ = ["MoneyWatch"]

_EVERY_S = 5.0


class MoneyWatch:
    """Does each of some things every few seconds, until it is stopped."""

    def __init__(self, things: Sequence[Callable[[], object]]) -> None:
        self._things = things
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after what is being done now."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            for thing in self._things:
                try:
                    thing()
                except ConsoleError as error:
                    log("watch").warning("watch is late", error=str(error))
                except (
                    Exception
                ):  # the next round tries again; a dead watch would be noticed by nobody
                    log("watch").exception("watch failed")
