"""What the commands share: a console that is opened and closed, and options that are checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from core.errors import ConsoleError

if TYPE_CHECKING:
    from core.console import Console

__all__ = ["Json", "choice", "opened_console"]

_E = TypeVar("_E", bound=StrEnum)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@contextmanager
def opened_console(*, worker: bool = False) -> "Iterator[Console]":
    """A console on the settings of this folder, logging into its data folder; closed at the end."""
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


def choice(kind: type[_E], value: str, option: str) -> _E:
    """The member of ``kind`` that an option names. Raises ``ConsoleError`` with what is known."""
    try:
        return kind(value.lower())
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise ConsoleError(f"{option} {value!r} is not known.", f"Use one of {known}.") from None
