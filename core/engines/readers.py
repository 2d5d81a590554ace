"""Reader processes with a hard deadline.

PDFium is not thread-safe and a hostile file may hang or crash it, so nothing is read in this process: a
reader that passes its deadline is killed and replaced. LiteParse has a pool of its own, but that one
sends the place of every word along, which costs more than a third of the time. The standard library's
pools start a process by running the main script again, which here may be a Streamlit screen.
"""

import multiprocessing
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

__all__ = ["Broken", "Readers", "TooSlow"]

Ts = TypeVarTuple("Ts")
A = TypeVar("A")
_SERVE = "import sys; from core.engines.reading import serve; serve(int(sys.argv[1]))"


class TooSlow(Exception):
    """The reader passed its deadline and was killed."""


class Broken(Exception):
    """The file cannot be read; the message is LiteParse's own, or says that the reader died of it."""


class Readers:
    """So many reader processes, started when first needed. Thread-safe."""

    def __init__(self, count: int, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self._lock = threading.Lock()
        self._all: set[_Reader] = set()
        self._is_closed = False
        # None stands for a reader that is not started yet
        self._idle: queue.LifoQueue[_Reader | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)

    def ask(self, work: Callable[[*Ts], A], *arguments: *Ts) -> A:
        """What ``work``, a function of ``core.engines.reading``, answers in a reader.

        Raises ``TooSlow`` or ``Broken``; ``RuntimeError`` when the readers are or were closed meanwhile.
        """
        reader = self._idle.get()
        try:
            if reader is not None and not reader.is_alive:
                # it ended while it was idle, which is not this file's fault
                self._forget(reader)
                reader = None
            reader = reader or self._start()
            answer, problem = reader.ask((work, arguments), self.deadline_s)
        except (TooSlow, EOFError, OSError) as error:
            self._forget(reader)
            reader = None
            if self._is_closed:
                msg = "the local engine is closed"
                raise RuntimeError(msg) from error
            if isinstance(error, TooSlow):
                raise
            raise Broken("the reader died of it") from error
        finally:
            self._idle.put(reader)
        if problem:
            raise Broken(problem)
        return answer  # type: ignore[return-value]

    def close(self) -> None:
        """End all readers, busy ones too. Must be called before the interpreter exits."""
        self._is_closed = True
        with self._lock:
            readers, self._all = self._all, set()
        for reader in readers:
            reader.kill()

    def _start(self) -> "_Reader":
        with self._lock:
            if self._is_closed:
                raise EOFError
            reader = _Reader()
            self._all.add(reader)
        return reader

    def _forget(self, reader: "_Reader | None") -> None:
        if reader is None:
            return
        with self._lock:
            self._all.discard(reader)
        reader.kill()


class _Reader:
    """One process, asked one thing at a time."""

    def __init__(self) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        with theirs:
            handle = theirs.fileno()
            # a session of its own: Ctrl-C at the terminal is for the console, which ends its readers itself
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-P", "-c", _SERVE, str(handle)],
                pass_fds=[handle],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def ask(self, request: tuple[object, object], deadline_s: float) -> tuple[object, str]:
        self._connection.send(request)
        if not self._connection.poll(deadline_s):
            raise TooSlow
        answer: tuple[object, str] = self._connection.recv()
        return answer

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process; whoever waits for its answer is told by the end of the connection."""
        self._process.kill()
        self._process.wait()
