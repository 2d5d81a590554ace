"""Every screen in four worlds: empty, busy, a broken database, simulated."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.console import Console
from dashboard.navigation import ENTRIES
from tests.dashboard.reading import Open, no_traceback
from tests.factories import finished, submitted

SCREENS = [entry.file for entry in ENTRIES]


@pytest.mark.parametrize("file", SCREENS)
def test_an_empty_console_shows_every_screen(
    make_console: Callable[..., Console], open_screen: Open, file: str
) -> None:
    """Before anything was parsed every screen opens, and says what will appear there."""
    app = open_screen(make_console(), file)
    no_traceback(app)
    assert app.main.children


@pytest.mark.parametrize("file", SCREENS)
def test_a_busy_console_shows_every_screen(
    make_console: Callable[..., Console], open_screen: Open, file: str
) -> None:
    """With finished, held and failed work every screen opens."""
    console = make_console(worker=True)
    view = finished(console, submitted(console, {"a.txt": b"words", "b.md": b"# Head"}).id)
    job_id = view.jobs[0].id
    event_id = console.jobs.view(job_id).deliveries[0].id
    app = open_screen(console, file, job=job_id, submission=view.submission.id, delivery=event_id)
    no_traceback(app)
    assert not [e.value for e in app.error]


@pytest.mark.parametrize("file", SCREENS)
def test_a_lost_database_is_a_sentence(
    make_console: Callable[..., Console], open_screen: Open, file: str, tmp_path: Path
) -> None:
    """When the database is gone every screen says so and what to do; nobody sees a traceback."""
    console = make_console()
    console.store.close()
    for path in (tmp_path / "data").glob("parsedeck.sqlite*"):
        path.unlink()
    (tmp_path / "data" / "parsedeck.sqlite").mkdir()
    app = open_screen(console, file)
    no_traceback(app)
    assert any("Nothing was changed" in error.value for error in app.error)


def test_mock_is_marked_on_every_screen(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """In MOCK every screen says that it is simulated."""
    console = make_console()
    for entry in ENTRIES:
        if not entry.is_hidden:
            app = open_screen(console, entry.file)
            assert any("Simulated" in text.value for text in app.markdown), entry.title
