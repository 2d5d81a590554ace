"""Every test of the pipeline runs on SQLite and on Postgres."""

from collections.abc import Callable
from functools import partial

import pytest

from core.console import Console


@pytest.fixture
def make_console(make_console: Callable[..., Console], database_url: str) -> Callable[..., Console]:
    """Makes consoles on this test's database."""
    return partial(make_console, database_url=database_url)
