"""The README keeps up with the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from core.cli import app
from core.settings import Settings
from dashboard.navigation import ENTRIES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("variable", sorted(Settings.variables().values()))
def test_the_readme_names_every_setting(variable: str) -> None:
    """Whoever looks for a setting finds it in the README."""
    assert f"`{variable}`" in README


@pytest.mark.parametrize("title", sorted({entry.title for entry in ENTRIES}))
def test_the_readme_names_every_screen(title: str) -> None:
    """Whoever looks for a screen finds it in the README."""
    assert re.search(rf"\b{title}\b", README)


def _commands(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
    """Each command by its full name, with its options."""
    found: dict[str, Any] = getattr(command, "commands", {})
    for name, inner in found.items():
        yield from _commands(inner, f"{path} {name}")
    yield path, {option for each in command.params for option in each.opts if option[:2] == "--"}


COMMANDS = dict(_commands(typer.main.get_command(app), "parsedeck"))


def test_every_command_of_the_readme_has_the_options_that_it_names() -> None:
    """Whoever copies a command from the README finds it to work."""
    rows = re.findall(r"^\| (`parsedeck .*?) \| ", README.replace("\\|", "/"), re.MULTILINE)
    assert len(rows) > 10
    for written in re.findall(r"`parsedeck ([^`]+)`", " ".join(rows)):
        words = re.findall(r"^[a-z-]+(?: [a-z-]+)?", written)[0].split()
        name = next(
            name
            for name in (f"parsedeck {' '.join(words)}", f"parsedeck {words[0]}")
            if name in COMMANDS
        )
        assert set(re.findall(r"--[a-z-]+", written)) <= COMMANDS[name], written


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"parsedeck"}))
def test_the_readme_names_every_command(name: str) -> None:
    """Whoever looks for a command finds its last word in the README."""
    table = README[README.index("## Commands") : README.index("## Settings")]
    assert re.search(rf"\b{re.escape(name.rsplit(maxsplit=1)[-1])}\b", table)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """Links to files in the repository are not broken."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
