"""Ctrl-C and SIGTERM while a command starts: remembered, and obeyed between two steps.

A ``KeyboardInterrupt`` in the midst of a step would leave that step half done, with nobody who undoes
it, or get lost where exceptions are swallowed (finalizers, callbacks).
"""

import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

import typer

__all__ = ["Stopping"]

_WORDS = b"Stopping: what is in flight goes on at the next start. Once more ends it at once.\n"


class Stopping:
    """Listens as a context; ``check`` ends the command when it was asked to stop."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._then: Callable[[], object] = lambda: None
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raises ``typer.Exit`` with the shell's code for the signal, when there was one."""
        if self._asked is not None:
            raise typer.Exit(128 + self._asked)

    def then(self, act: Callable[[], object]) -> None:
        """Call this as soon as it is asked to stop, besides remembering it."""
        self._then = act

    def __enter__(self) -> Self:
        """Listen from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._asked is not None:
            os._exit(128 + number)
        self._asked = number
        # print may be in the midst of a line; this may not
        os.write(2, _WORDS)
        self._then()
