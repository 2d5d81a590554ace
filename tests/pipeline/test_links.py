"""A document behind a link: priced at its ceiling, ordered by address, never fetched by Parsedeck."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.console import Console
from core.domain.jobs import JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.quotes import Upload
from core.serving import Served
from tests.factories import ALICE, wait_until
from tests.pipeline.vendor import Vendor

LINK = "https://files.example.com/lease.pdf?signature=5ec2e7"


def _press(console: Console, uploads: list[Upload], mode: Mode, key: str = "press") -> Any:
    quote = console.submissions.quote(uploads, Tier.AGENTIC, mode)
    return quote, console.submissions.submit(quote, ALICE, key)


def test_a_link_is_ordered_by_its_address_and_costs_at_most_its_ceiling(
    make_console: Callable[..., Console],
) -> None:
    """The order names the link and the ceiling; the money reserved is for exactly so many pages."""
    vendor = Vendor(end_as=[("COMPLETED", "")])
    with Served(vendor.app) as service:
        console = make_console(worker=True, api_key="llx-key", base_url=service.url)
        quote, submission = _press(console, [console.submissions.link(LINK, 40)], Mode.REAL)
        assert (quote.credits, str(quote.usd)) == (400, "0.50000")
        assert "at most 40 pages" in quote.lines[0].note
        job_id = submission.job_ids[0]
        wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.COMPLETE)
    order = vendor.requests[0]
    assert order["source_url"] == LINK
    assert order["page_ranges"] == {"max_pages": 40}
    assert order["version"] == "2026-10-16"
    assert order["processing_control"]["timeouts"] == {
        "base_in_seconds": 1800,
        "extra_time_per_page_in_seconds": 133,
    }
    view = console.jobs.view(job_id)
    assert (view.job.name, view.attempts[0].version) == ("lease.pdf", "2026-10-16")
    shown = [f"{entry.cause} {entry.detail}" for entry in view.timeline]
    assert not any("5ec2e7" in line for line in shown)


def test_a_link_is_parsed_once_unless_asked_again(make_console: Callable[..., Console]) -> None:
    """The same link twice is one job, and later the earlier result is offered, with a word of doubt."""
    vendor = Vendor(end_as=[("COMPLETED", "")])
    with Served(vendor.app) as service:
        console = make_console(worker=True, api_key="llx-key", base_url=service.url)
        link = console.submissions.link(LINK)
        quote, submission = _press(console, [link, link], Mode.REAL)
        assert len(quote.parsable) == 1
        wait_until(
            lambda: console.jobs.view(submission.job_ids[0]).job.status is JobStatus.COMPLETE
        )
        again = console.submissions.quote([link], Tier.AGENTIC, Mode.REAL)
        assert not again.parsable
        assert "if what it leads to has changed" in again.lines[0].note
        other_ceiling = console.submissions.link(LINK, 7)
        assert console.submissions.quote([other_ceiling], Tier.AGENTIC, Mode.REAL).parsable


@pytest.mark.parametrize(
    ("mode", "link", "words"),
    [
        (Mode.REAL, "http://10.0.0.7/a.pdf", "private network"),
        (Mode.REAL, "http://127.0.0.1/a.pdf", "private network"),
        (Mode.MOCK, LINK, "works in REAL"),
        (Mode.HYBRID, LINK, "fetched by LlamaParse"),
        (Mode.REAL, "lease.pdf", "not a link"),
    ],
)
def test_a_link_that_cannot_work_is_refused_before_it_costs(
    make_console: Callable[..., Console], mode: Mode, link: str, words: str
) -> None:
    """What LlamaParse cannot reach, or nobody would fetch, makes no job and says why."""
    console = make_console()
    quote = console.submissions.quote([console.submissions.link(link)], Tier.AGENTIC, mode)
    assert not quote.parsable
    assert words in quote.lines[0].note


def test_parsedeck_fetches_nothing(make_console: Callable[..., Console]) -> None:
    """Pre-flight, quote and submit never call the address: no request reaches what is behind it."""
    fetched: list[str] = []

    async def answer(_request: object) -> Response:
        fetched.append("fetched")
        return PlainTextResponse("words")

    with Served(Starlette(routes=[Route("/{path:path}", answer)])) as behind:
        console = make_console()
        link = console.submissions.link(f"{behind.url}/a.txt")
        _press(console, [link], Mode.MOCK)
    assert fetched == []


def test_a_link_goes_on_beside_files(make_console: Callable[..., Console]) -> None:
    """One press takes files and links together; a retry keeps the ceiling."""
    vendor = Vendor(end_as=[("COMPLETED", ""), ("FAILED", "PDF_IS_BROKEN")] * 2)
    with Served(vendor.app) as service:
        console = make_console(
            worker=True, api_key="llx-key", base_url=service.url, worker_concurrency=1
        )
        file = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
        _quote, submission = _press(console, [file, console.submissions.link(LINK, 40)], Mode.REAL)
        wait_until(lambda: console.jobs.submission(submission.id).is_finished)
        failed = [
            job
            for job in console.jobs.submission(submission.id).jobs
            if job.status is JobStatus.FAILED_PARSE
        ]
        stored = console.submissions.stored([job.id for job in failed])
    kinds = [bool(upload.document.source_url) for upload in stored]
    assert [upload.max_pages for upload in stored] == [40 if linked else None for linked in kinds]
