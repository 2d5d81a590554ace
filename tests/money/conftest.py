"""Consoles on both databases, and three weeks of a busy office."""

from functools import partial

import pytest

from bench.history import fill
from core.console import Console
from tests.money.office import NOW, Maker


@pytest.fixture
def make_console(make_console: Maker, database_url: str) -> Maker:
    """Makes consoles on this test's database."""
    return partial(make_console, database_url=database_url)


@pytest.fixture
def office(make_console: Maker) -> Console:
    """Three weeks of a busy office."""
    console = make_console()
    fill(console.store, entries=1500, days=21, now=NOW)
    for part in (console.reports, console.limits, console.alerts, console.spend, console.drift):
        part._clock = lambda: NOW
    return console
