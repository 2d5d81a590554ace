"""Submit: what stands on it before the button is pressed."""

import io
from collections.abc import Callable
from decimal import Decimal

import pytest

from core.console import Console
from core.domain.money import Tier
from core.domain.routing import Mode
from tests.dashboard.reading import Open, no_traceback, words
from tests.factories import finished, submitted
from tests.office import docx


def test_a_pasted_link_is_priced_at_its_ceiling(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A link has a line of its own; its price and the sum follow the ceiling, and a bad one says why."""
    console = make_console(api_key="llx-key", mode="real")
    app = open_screen(console, "screens/submit.py")
    app.text_input(key="link-0").set_value("https://files.example.com/lease.pdf").run()
    assert "Parse 1 document for \\$1.25" in [button.label for button in app.button]
    assert "Together at most 100 pages: 100 by LlamaParse, agentic" in words(app)
    app.number_input(key="ceiling-0").set_value(8).run()
    assert "Parse 1 document for \\$0.10" in [button.label for button in app.button]
    assert "Together at most 8 pages: 8 by LlamaParse, agentic · 80 credits" in words(app)
    app.number_input(key="ceiling-0").set_value(16).run()
    assert "Parse 1 document for \\$0.20" in [button.label for button in app.button]
    app.text_input(key="link-0").set_value("lease.pdf").run()
    no_traceback(app)
    assert any("This is not a link" in warning.value for warning in app.warning)


def test_an_office_file_without_a_page_count_is_priced_at_the_chosen_ceiling(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A letter that does not say how long it is fits today's limit, says why, and can be priced lower."""
    console = make_console(api_key="llx-key", mode="real")
    app = open_screen(console, "screens/submit.py")
    files = [("letter.docx", docx("Dear Sir"), "application/octet-stream")]
    app.file_uploader(key="files-0").set_value(files).run()
    no_traceback(app)
    assert "Parse 1 document for \\$1.25" in [button.label for button in app.button]
    note = app.dataframe[0].value["note"][0]
    assert "the file does not say: at most 100 pages are parsed" in note
    app.number_input(key="ceiling-0").set_value(2).run()
    assert "Parse 1 document for \\$0.03" in [button.label for button in app.button]
    assert "Together at most 2 pages" in words(app)


def test_what_cannot_be_read_for_one_reason_is_one_line(
    make_console: Callable[..., Console],
    open_screen: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two office files that MOCK cannot read here the reason is said once; no ceiling is asked for them."""
    monkeypatch.setenv("PATH", "")  # a machine without converters
    app = open_screen(make_console(), "screens/submit.py")
    files = [(f"{n}.docx", docx(n), "application/octet-stream") for n in ("one", "two")]
    app.file_uploader(key="files-0").set_value(files).run()
    no_traceback(app)
    (told,) = app.warning
    assert "one.docx, two.docx: MOCK reads on this machine." in told.value.replace("\\", "")
    assert not app.number_input
    assert not app.toggle
    assert list(app.dataframe[0].value["price"]) == ["–", "–"]


def test_refused_files_stand_in_the_quote_with_a_reason(
    make_console: Callable[..., Console],
) -> None:
    """A file that cannot be read is a line with a reason and a price of zero."""
    console = make_console()
    upload = console.submissions.preflight("x.pdf", io.BytesIO(b"text"))
    quote = console.submissions.quote([upload, upload], Tier.FAST, Mode.MOCK)
    assert quote.usd == Decimal(0)
    assert not quote.parsable
    assert "right name" in quote.lines[0].note


@pytest.mark.parametrize("mode", [Mode.MOCK, Mode.HYBRID])
@pytest.mark.parametrize(
    ("name", "head", "missing"),
    [
        ("scan.png", b"\x89PNG\r\n\x1a\n0000", "ImageMagick"),
        ("minutes.docx", None, "LibreOffice"),
    ],
)
def test_what_mock_cannot_read_makes_no_job(
    make_console: Callable[..., Console],
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    name: str,
    head: bytes | None,
    missing: str,
) -> None:
    """A file that this machine would have to read and cannot is a line that says what to install."""
    monkeypatch.setenv("PATH", "")  # a machine without converters
    console = make_console()
    upload = console.submissions.preflight(name, io.BytesIO(head or docx("Minutes")))
    quote = console.submissions.quote([upload], Tier.AGENTIC, mode)
    assert upload.document.is_parsable
    assert not quote.parsable
    assert missing in quote.lines[0].note
    assert "REAL takes it" in quote.lines[0].note


def test_what_mock_cannot_read_real_takes(
    make_console: Callable[..., Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this machine has no converter for is still LlamaParse's to read."""
    monkeypatch.setenv("PATH", "")
    console = make_console(api_key="llx-test", mode="mock")
    upload = console.submissions.preflight("minutes.docx", io.BytesIO(docx("Minutes")))
    for mode in (Mode.REAL, Mode.HYBRID):
        assert len(console.submissions.quote([upload], Tier.AGENTIC, mode).parsable) == 1


def test_the_same_file_twice_is_parsed_once(make_console: Callable[..., Console]) -> None:
    """Two names for the same bytes make one job, and the second line says so."""
    console = make_console()
    uploads = [console.submissions.preflight(n, io.BytesIO(b"same")) for n in ("a.txt", "b.txt")]
    quote = console.submissions.quote(uploads, Tier.FAST, Mode.MOCK)
    assert len(quote.parsable) == 1
    assert "a.txt" in quote.lines[1].note


def test_what_was_parsed_before_is_offered_instead(make_console: Callable[..., Console]) -> None:
    """The same bytes and options again are shown as done, and not paid again unless asked for."""
    console = make_console(worker=True)
    finished(console, submitted(console, {"a.txt": b"words"}).id)
    upload = console.submissions.preflight("again.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK)
    assert quote.parsable == ()
    assert quote.lines[0].earlier is not None
