"""Simulators on loopback, each in a folder of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.simulator import SimulatorConfig, create_simulator
from tests.simulator.cast import Mailbox, read_lines
from tests.simulator.serving import Serving

Simulate = Callable[..., str]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is stopped when the test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def simulate(stack: ExitStack, tmp_path: Path) -> Simulate:
    """Start a simulator over the test's folder and say where it is."""

    def start(**config: object) -> str:
        app = create_simulator(SimulatorConfig(**config), tmp_path, read_lines)  # type: ignore[arg-type]
        return stack.enter_context(Serving(app)).url

    return start


@pytest.fixture
def mailbox(stack: ExitStack) -> Mailbox:
    """A receiver of webhooks on loopback."""
    box = Mailbox()
    box.url = stack.enter_context(Serving(box.app)).url
    return box
