"""HYBRID: the cheapest engine page by page, and stand-ins that are marked wherever they are seen."""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.console import Console
from core.domain.documents import EngineName
from core.domain.health import HealthPolicy, Hold
from core.domain.jobs import JobStatus, Submission
from core.domain.money import Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.samples import pdf_of_images, pdf_of_text, scan_of
from core.serving import Served
from dashboard.components import policy_editor
from dashboard.components.quality import next_tier
from tests.factories import ALICE, finished, wait_until
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


def test_economy_asks_llamaparse_while_the_local_engine_does_badly(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Its own probes fail: plain pages are priced and read at the cheapest tier that suffices, and the job says why."""
    with _served(tmp_path, Switches(), pages=2) as service:
        console = make_console(api_key="llx-k", base_url=service.url, mode="hybrid")
        console.routes.save(ECONOMY, ALICE, "thrift")
        local = console.watches.of(EngineName.LOCAL)
        for _ in range(local.policy.in_a_row):
            local.heard("probe", "server", 0.1)
        local.write_now()
        upload = console.submissions.preflight(
            "text.pdf", io.BytesIO(pdf_of_text([_text(1), _text(2)]))
        )
        quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
        assert quote.usd == Decimal("0.0075")
        submission = console.submissions.submit(quote, ALICE, "press")
        console.run_worker()
        job = finished(console, submission.id).jobs[0]
        pages = console.jobs.result(job).pages
    assert [(p.engine, p.tier) for p in pages] == [("llamaparse", "cost_effective")] * 2
    assert "calls in a row to Local engine failed" in job.plan.reason
    assert not job.is_provisional


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
        preview = console.routes.preview(ECONOMY, upload.name, upload.document)
        assert (preview.usd, preview.full_usd) == (quote.usd, quote.usd * 3)
        assert policy_editor.sentence(preview).endswith(
            "instead of $0.04: page 2 goes to LlamaParse."
        )
        view = finished(console, console.submissions.submit(quote, ALICE, "press").id)
        pages = console.jobs.result(view.jobs[0]).pages
        exported = json.loads(console.jobs.json_of(view.jobs[0]))
    assert [(p.number, p.engine) for p in pages] == [
        (1, "local"),
        (2, "llamaparse"),
        (3, "local"),
    ]
    assert [page["engine"] for page in exported["pages"]] == ["local", "llamaparse", "local"]
    assert not exported["provisional"]


def test_pages_that_fail_at_the_vendor_are_stood_in_for_one_by_one(
    make_console: Callable[..., Console], tmp_path: Path, database_url: str
) -> None:
    """Half the pages fail: the others stay LlamaParse's, those come from here, marked everywhere."""
    switches = Switches()
    with _served(tmp_path, switches, pages=4, fail=(2, 4)) as service:
        console = make_console(
            worker=True, api_key="llx-k", base_url=service.url, database_url=database_url
        )
        file = pdf_of_text([_text(n) for n in range(1, 5)])
        job = finished(console, _press(console, {"a.pdf": file}).id).jobs[0]
        made = [(p.number, p.engine, p.is_provisional) for p in console.jobs.result(job).pages]
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
    assert Counter(a.engine for a in view.attempts) == {"llamaparse": 1, "local": 1}
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


def test_a_real_result_replaces_the_stand_ins_when_a_person_asks(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Only the provisional pages are sent and paid; the others stay; the timeline keeps both."""
    switches = Switches()
    fail = {2, 4}
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(4, fail))) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url)
        file = pdf_of_text([_text(n) for n in range(1, 5)])
        before = finished(console, _press(console, {"a.pdf": file}).id).jobs[0]
        assert before.is_provisional
        fail.clear()
        wanted = console.again.stand_ins(before)
        assert (wanted.pages, wanted.usd) == ({Tier.AGENTIC: (2, 4)}, Decimal("0.025"))
        console.again.order(wanted, ALICE)
        job = finished(console, before.submission_id).jobs[0]
        pages = console.jobs.result(job).pages
        view = console.jobs.view(job.id)
        sent = sorted(job["pages"] for job in paid(service.url))
    assert [(p.number, p.engine, p.is_provisional) for p in pages] == [
        (n, "llamaparse", False) for n in range(1, 5)
    ]
    assert (job.status, job.is_provisional, job.reason) == (JobStatus.COMPLETE, False, "")
    assert sent == [2, 4]
    assert [(a.generation, a.engine, a.target_pages) for a in view.attempts] == [
        (1, "llamaparse", ""),
        (1, "local", "2,4"),
        (2, "llamaparse", "2,4"),
    ]
    assert any("asked by alice" in entry.cause for entry in view.timeline)


def test_the_rule_replaces_stand_ins_once_llamaparse_is_back(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """With the rule set, what only lacked LlamaParse is parsed by it as soon as it can be used."""
    switches = Switches(status=503)
    quick = HealthPolicy(in_a_row=2, open_s=1, longest_open_s=1)
    with _served(tmp_path, switches) as service:
        console = make_console(
            worker=True,
            api_key="llx-k",
            base_url=service.url,
            mode="hybrid",
            health=quick,
            health_interval_s=1,
            requests_per_minute=600,  # a probe each second would take every turn of sixty a minute
            max_retries=0,
        )
        console.routes.save(RoutePolicy(parse_again=True), ALICE, "real results, please")
        wait_until(lambda: console.watch.trouble() != "")
        job = finished(console, _press(console, {"a.txt": b"words"}).id).jobs[0]
        assert job.is_provisional
        switches.status = 0
        wait_until(lambda: not console.jobs.view(job.id).job.is_provisional, within_s=60)
        wait_until(lambda: console.jobs.view(job.id).job.status is JobStatus.COMPLETE)
        view = console.jobs.view(job.id)
        assert len(paid(service.url)) == 1
    assert [a.engine for a in view.attempts][-1] == "llamaparse"
    assert any(re.match("alice .*by rule", entry.actor) for entry in view.timeline)


def test_a_rule_never_pays_again_for_what_llamaparse_could_not_parse(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Pages that LlamaParse tried and failed stay stand-ins until a person decides."""
    switches = Switches()
    with _served(tmp_path, switches, pages=2, fail=(2,)) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url)
        console.routes.save(RoutePolicy(parse_again=True), ALICE, "real results, please")
        file = pdf_of_text([_text(1), _text(2)])
        job = finished(console, _press(console, {"a.pdf": file}).id).jobs[0]
        assert job.is_provisional
        again = console._again()
        again.care()
        assert console.jobs.view(job.id).job.generation == 1
        assert len(paid(service.url)) == 1


def test_a_failed_second_try_keeps_what_there_was(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Asking again can only make a result better: where it fails or is cancelled, nothing is lost."""
    switches, fail = Switches(), set[int]()
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(2, fail))) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url, mode="real")
        file = pdf_of_text([_text(1), _text(2)])
        before = finished(console, _press(console, {"a.pdf": file}, Mode.REAL).id).jobs[0]
        fail.add(2)
        console.again.order(console.again.at_tier(before, [2], Tier.AGENTIC_PLUS), ALICE)
        failed = finished(console, before.submission_id).jobs[0]
        assert failed.status is JobStatus.COMPLETE
        assert console.jobs.markdown_of(failed) == console.jobs.markdown_of(before)
        console.watch.hold(Hold(console.clock() + timedelta(minutes=5), "alice", "test"))
        with pytest.raises(NotAllowed, match="on hold"):
            console.again.order(console.again.at_tier(failed, [2], Tier.AGENTIC), ALICE)
        console.watch.release("alice", "test")
    waiting = make_console(api_key="llx-k", mode="real")
    waiting.again.order(waiting.again.at_tier(failed, [2], Tier.AGENTIC), ALICE)
    waiting.jobs.cancel([failed.id], ALICE)
    assert waiting.jobs.view(failed.id).job.status is JobStatus.COMPLETE
    assert waiting.jobs.markdown_of(failed) == waiting.jobs.markdown_of(before)


def test_doubtful_pages_are_marked_and_can_be_parsed_at_a_higher_tier(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """The receipt measures each page against its text layer; one order parses the doubtful ones again."""
    with Served(a_vendor(tmp_path / "vendor", Switches(), pages_that(2))) as service:
        console = make_console(worker=True, api_key="llx-k", base_url=service.url, mode="real")
        # this vendor finds next to nothing of what is there
        file = pdf_of_text([_text(1), _text(2)])
        job = finished(console, _press(console, {"a.pdf": file}, Mode.REAL).id).jobs[0]
        pages = console.jobs.result(job).pages
        assert all("missing" in page.doubts[0] for page in pages)
        assert all(page.found_share is not None and page.found_share < 0.1 for page in pages)
        tier = next_tier(pages, job.options.tier)
        assert tier is Tier.AGENTIC_PLUS
        wanted = console.again.at_tier(job, [2], tier)
        assert wanted.usd == Decimal("0.05625")
        console.again.order(wanted, ALICE)
        again = finished(console, job.submission_id).jobs[0]
        assert [page.tier for page in console.jobs.result(again).pages] == [
            "agentic",
            "agentic_plus",
        ]
        assert again.estimated_usd == job.estimated_usd + wanted.usd


def test_a_sound_result_has_no_doubts(make_console: Callable[..., Console]) -> None:
    """Where an engine found what is in the text layer, nothing is marked."""
    console = make_console(worker=True)
    file = pdf_of_text([_text(1), _text(2)])
    job = finished(console, _press(console, {"a.pdf": file}, Mode.MOCK).id).jobs[0]
    pages = console.jobs.result(job).pages
    assert [page.doubts for page in pages] == [(), ()]
    assert all(page.found_share is not None and page.found_share > 0.95 for page in pages)
