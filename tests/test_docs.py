"""The README keeps up with the code."""

import re
from pathlib import Path

import pytest

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


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """Links to files in the repository are not broken."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
