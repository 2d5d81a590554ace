"""Job: one document, its pages, and what can be done about it."""

from collections.abc import Callable
from dataclasses import replace

from core.console import Console
from core.domain.documents import EngineName, ParsedPage
from dashboard.components.page_strip import mark
from dashboard.components.tables import tables_of
from tests.dashboard.reading import Open, no_traceback
from tests.factories import finished, submitted


def test_parse_again_brings_the_document_to_submit_with_its_price(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Parsing a finished document again asks first, with the price, like any other."""
    console = make_console(worker=True)
    view = finished(console, submitted(console, {"a.txt": b"one"}).id)
    app = open_screen(console, "screens/job.py", job=view.jobs[0].id)
    app.button(key="parse-again").click().run()
    no_traceback(app)
    assert app.button(key="parse").label.startswith("Parse 1 document for")


def test_a_name_from_outside_in_an_error_is_no_markup(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """What somebody put into a link is shown as text, not as a link or a heading of ours."""
    app = open_screen(make_console(), "screens/job.py", job="[free](https://evil.example)")
    assert not any("](https" in error.value for error in app.error)
    assert any("free" in error.value for error in app.error)


def test_tables_of_a_page_can_be_taken_out() -> None:
    """Pipe tables become tables; a repeated or missing name in the head is no obstacle."""
    found = tables_of("words\n\n| a | a | |\n|---|---|---|\n| 1 | 2 | 3 |\n| 4 | 5 |\n\nwords")
    assert [table.to_dict("list") for table in found] == [
        {"a": ["1", "4"], "a (2)": ["2", "5"], "column 3": ["3", ""]}
    ]


def test_a_page_that_failed_or_is_empty_is_marked() -> None:
    """The strip of pages shows where to look first."""
    good = ParsedPage(1, "words", "words", EngineName.LLAMAPARSE)
    assert mark(good) == ""
    assert mark(replace(good, error="torn")) == " ✕"
    assert mark(replace(good, markdown="", text=" ")) == " !"
    assert mark(replace(good, engine=EngineName.LOCAL)) == " ⌂"
    assert mark(replace(good, engine=EngineName.LOCAL, is_provisional=True)) == " ◐"
