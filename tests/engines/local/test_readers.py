"""Reader processes: whatever happens to one, the next document is read, and none outlives its console."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.engines.readers import Broken, Readers, TooSlow
from tests.factories import wait_until


@pytest.fixture
def readers() -> Iterator[Readers]:
    """One reader that is given two seconds."""
    readers = Readers(1, 2)
    yield readers
    readers.close()


def test_a_reader_that_passes_its_deadline_is_replaced(readers: Readers) -> None:
    """A file that hangs costs its own time only; the next one is read by a fresh process."""
    first = readers.ask(os.getpid)
    with pytest.raises(TooSlow):
        readers.ask(time.sleep, 30)
    assert readers.ask(os.getpid) != first


def test_a_file_that_kills_its_reader_is_told_apart_from_the_next(readers: Readers) -> None:
    """A crash is the problem of the file that caused it, and of no other."""
    with pytest.raises(Broken, match="died"):
        readers.ask(os._exit, 1)
    assert readers.ask(len, "abc") == 3


def test_a_reader_that_ended_while_idle_costs_no_document(readers: Readers) -> None:
    """The system may end an idle reader, short of memory; the next document does not suffer for it."""
    pid = readers.ask(os.getpid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _is_gone(pid))
    assert readers.ask(len, "abc") == 3


def test_closing_in_the_middle_of_a_file_is_not_the_files_fault() -> None:
    """When the console stops, a document that is being read is not judged as broken."""
    readers, told = Readers(1, 60), list[BaseException]()
    readers.ask(os.getpid)

    def read() -> None:
        try:
            readers.ask(time.sleep, 60)
        except RuntimeError as error:
            told.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    readers.close()
    thread.join(timeout=10)
    assert [str(error) for error in told] == ["the local engine is closed"]


def test_no_reader_outlives_a_console_that_was_killed() -> None:
    """After kill -9 of the console its readers end by themselves."""
    script = (
        "import os, signal, sys\n"
        "from core.engines.readers import Readers\n"
        "print(Readers(1, 60).ask(os.getpid), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: _is_gone(int(killed.stdout)), within_s=10)


def _is_gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return _is_zombie(pid)
    return True


def _is_zombie(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return True
