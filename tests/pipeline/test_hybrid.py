"""HYBRID: the cheapest engine page by page, and stand-ins that are marked wherever they are seen."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.console import Console
from core.domain.documents import EngineName
from core.domain.jobs import JobStatus, Submission
from core.domain.money import Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy
from core.domain.routing import Mode
from core.samples import pdf_of_images, pdf_of_text, scan_of
from core.serving import Served
from tests.factories import ALICE, finished
from tests.vendor import Switches, a_vendor, pages_that, paid

ECONOMY = RoutePolicy(HybridPolicy.ECONOMY)
_TABLE = "\n".join(f"{name:<20}{n:>10}{n * 3:>10}{n * 7:>10}" for n, name in enumerate("abcdefgh"))


@contextmanager
def _served(
    tmp_path: Path, switches: Switches, pages: int = 1, fail: tuple[int, ...] = ()
) -> Iterator[Served]:
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(pages, fail))) as served:
        yield served


def _press(console: Console, files: dict[str, bytes], mode: Mode = Mode.HYBRID) -> Submission:
    uploads = [console.submissions.preflight(n, io.BytesIO(data)) for n, data in files.items()]
    quote = console.submissions.quote(uploads, Tier.AGENTIC, mode, parse_again=True)
    return console.submissions.submit(quote, ALICE, "press")


def _text(page: int) -> str:
    return f"Heading {page}\n" + "A sentence of plain words that fills the line of a page.\n" * 30


def test_economy_sends_only_the_pages_that_need_it(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Plain pages stay here and cost nothing, a scan goes out; each page says who made it, in order."""
    switches = Switches()
    with _served(tmp_path, switches, pages=1) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url)
        console.routes.save(ECONOMY, ALICE, "thrift")
        files = {
            "text.pdf": pdf_of_text([_text(1), _text(2)]),
            "scan.pdf": pdf_of_images([scan_of("x")]),
        }
        view = finished(console, _press(console, files).id)
        assert [job.status for job in view.jobs] == [JobStatus.COMPLETE] * 2
        text, scan = (console.jobs.result(job) for job in view.jobs)
        assert [(p.number, p.engine) for p in text.pages] == [
            (1, EngineName.LOCAL),
            (2, EngineName.LOCAL),
        ]
        assert [(p.engine, p.tier) for p in scan.pages] == [(EngineName.LLAMAPARSE, "agentic")]
        assert not any(job.is_provisional for job in view.jobs)
        assert len(paid(service.url)) == 1
        today = console.spend.today(Mode.HYBRID)
        assert [use.used for use in today.limits] == [12_500, 1]


def test_a_document_of_both_kinds_comes_back_in_page_order(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """One document, two engines: the scan in the middle comes from LlamaParse, the rest from here."""
    switches = Switches()
    with _served(tmp_path, switches, pages=3) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url)
        console.routes.save(ECONOMY, ALICE, "thrift")
        upload = console.submissions.preflight("mixed.pdf", io.BytesIO(_mixed_pdf()))
        assert [page.needs_ocr for page in upload.document.pages] == [False, True, False]
        quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
        assert (quote.credits, quote.lines[0].full_usd) == (10, quote.usd * 3)
        view = finished(console, console.submissions.submit(quote, ALICE, "press").id)
        pages = console.jobs.result(view.jobs[0]).pages
        exported = json.loads(console.jobs.json_of(view.jobs[0]))
    assert [(p.number, p.engine.value) for p in pages] == [
        (1, "local"),
        (2, "llamaparse"),
        (3, "local"),
    ]
    assert [page["engine"] for page in exported["pages"]] == ["local", "llamaparse", "local"]
    assert not exported["provisional"]


def test_pages_that_fail_at_the_vendor_are_stood_in_for_one_by_one(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Half the pages fail: the others stay LlamaParse's, those come from here, marked everywhere."""
    switches = Switches()
    with _served(tmp_path, switches, pages=4, fail=(2, 4)) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url)
        file = pdf_of_text([_text(n) for n in range(1, 5)])
        job = finished(console, _press(console, {"a.pdf": file}).id).jobs[0]
        made = [
            (p.number, p.engine.value, p.is_provisional) for p in console.jobs.result(job).pages
        ]
    assert job.status is JobStatus.COMPLETE
    assert made == [
        (1, "llamaparse", False),
        (2, "local", True),
        (3, "llamaparse", False),
        (4, "local", True),
    ]
    assert job.is_provisional
    assert "provisional" in console.jobs.markdown_of(job).decode().splitlines()[0]
    assert json.loads(console.jobs.json_of(job))["provisional"]


@pytest.mark.parametrize("status", [401, 402])
def test_a_refused_key_or_empty_quota_is_stood_in_for(
    make_console: Callable[..., Console], tmp_path: Path, status: int
) -> None:
    """In HYBRID nobody waits for a key or for credits: the text is there, as a stand-in, for nothing."""
    switches = Switches(status=status)
    with _served(tmp_path, switches) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url)
        job = finished(console, _press(console, {"a.txt": b"some words"}).id).jobs[0]
        view = console.jobs.view(job.id)
    assert job.status is JobStatus.COMPLETE
    assert job.is_provisional
    assert job.reason
    assert "some words" in console.jobs.markdown_of(job).decode()
    assert Counter(a.engine.value for a in view.attempts) == {"llamaparse": 1, "local": 1}
    assert console.spend.today(Mode.HYBRID).total_usd == 0


def _mixed_pdf() -> bytes:
    from pypdf import PdfReader, PdfWriter  # noqa: PLC0415 - only here

    writer = PdfWriter()
    for part in (pdf_of_text([_text(1)]), pdf_of_images([scan_of("x")]), pdf_of_text([_text(3)])):
        for page in PdfReader(io.BytesIO(part)).pages:
            writer.add_page(page)
    whole = io.BytesIO()
    writer.write(whole)
    return whole.getvalue()
