"""Opening the console for a command, and closing it whatever happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.console import Console

__all__ = ["opened"]


@contextmanager
def opened(*, worker: bool) -> "Iterator[Console]":
    """A console with its log in the data folder; ``worker`` makes it parse."""
    from core.console import Console  # noqa: PLC0415
    from core.settings import Settings  # noqa: PLC0415
    from core.telemetry import configure_logs  # noqa: PLC0415

    settings = Settings.load()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "parsedeck.log").open("a", encoding="utf-8") as stream:
        configure_logs(stream)
        console = Console(settings)
        try:
            if worker:
                console.run_worker()
            yield console
        finally:
            console.close()
