"""Page pictures that LlamaParse makes of what cannot be drawn here, from the order to the result."""

from collections.abc import Callable

import httpx2 as httpx
import pytest

from core.console import Console
from core.domain.jobs import Job, JobStatus
from core.samples import pdf_of_text
from core.simulator import SimulatorConfig
from tests.factories import finished, submitted

_HTML = b"<html><h1>Terms</h1><p>One, two and three.</p></html>"


def _job_of(console: Console, name: str, data: bytes) -> Job:
    return finished(console, submitted(console, {name: data}, key=name).id).jobs[0]


def test_what_cannot_be_drawn_here_comes_with_pictures(
    make_console: Callable[..., Console],
) -> None:
    """A web page is shown as LlamaParse saw it; a PDF is drawn here and plain text has no looks."""
    console = make_console(worker=True)
    page = console.jobs.result(_job_of(console, "terms.html", _HTML)).pages[0]
    assert console.blobs.get(page.picture_blob).startswith(b"\xff\xd8\xff")
    for name, data in {"a.pdf": pdf_of_text(["one"]), "a.txt": b"words", "a.csv": b"a,b"}.items():
        assert console.jobs.result(_job_of(console, name, data)).pages[0].picture_blob == ""


def test_what_is_downloaded_says_nothing_of_where_pictures_lie(
    make_console: Callable[..., Console],
) -> None:
    """Names of blobs are of use in here only."""
    console = make_console(worker=True)
    job = _job_of(console, "terms.html", _HTML)
    assert console.jobs.result(job).pages[0].picture_blob
    assert b"picture" not in console.jobs.json_of(job)


@pytest.mark.parametrize("fault", ["server_error=1@download", "truncated=1@download"])
def test_without_pictures_it_is_a_result_all_the_same(
    make_console: Callable[..., Console], fault: str
) -> None:
    """Pictures that do not come cost nobody the markdown; the timeline says which are missing."""
    config = SimulatorConfig(faults=(fault,))
    console = make_console(worker=True, simulator=config, max_retries=1)
    job = _job_of(console, "terms.html", _HTML)
    assert job.status is JobStatus.COMPLETE
    page = console.jobs.result(job).pages[0]
    assert (page.picture_blob, "Terms" in page.markdown) == ("", True)
    told = [entry.cause for entry in console.jobs.view(job.id).timeline]
    assert any("no picture of page 1" in cause for cause in told)
    asked = httpx.get(f"{console.simulator_url}/__simulator/ledger").json()
    assert asked["totals"]["jobs"] == 1
