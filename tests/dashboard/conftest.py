"""What the tests of screens share: opening one from the entry script, and reading it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.runtime
from core.console import Console

_APP = str(Path(dashboard.runtime.__file__).with_name("app.py"))


@pytest.fixture
def open_screen() -> Callable[..., AppTest]:
    """Open a screen over a console, as a person would: from the entry script."""

    def open_(console: Console, file: str, **query: str) -> AppTest:
        dashboard.runtime.get_console.clear()
        dashboard.runtime.install(console)
        app = AppTest.from_file(_APP, default_timeout=30).run()
        for name, value in query.items():
            app.query_params[name] = value
        return app.switch_page(file).run()

    return open_
