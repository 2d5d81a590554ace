"""Results that are late, cut, failed, or of a newer service."""

from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest

from core.engines.protocol import EngineStatus
from core.errors import UpstreamError, UpstreamKind
from tests.engines.llamaparse.talk import JOB, run_engine
from tests.simulator.cast import an_order


def test_items_stay_with_their_page() -> None:
    """The parts of a page, as the service names them, are part of the result; odd ones are passed over."""
    heading = {"type": "heading", "level": 1, "value": "Terms", "md": "# Terms"}
    answer = {
        "job": JOB,
        "markdown": {"pages": [{"page_number": n, "markdown": "x"} for n in (1, 2)]},
        "items": {"pages": [{"page_number": 2, "items": [heading, 7]}, {"page_number": 1}]},
    }
    document = run_engine(
        lambda engine: engine.fetch("pjb-1", an_order()),
        lambda _r: httpx.Response(200, json=answer),
    )
    assert [page.items for page in document.pages] == [(), (heading,)]


def test_a_document_that_was_cut_at_its_ceiling_says_so() -> None:
    """Where as many pages came as were ordered, the last one says that there may be more."""
    pages = [{"page_number": n, "markdown": "x"} for n in (1, 2)]
    answer = {"job": JOB, "markdown": {"pages": pages}}
    order = replace(an_order(), max_pages=2)
    document = run_engine(
        lambda engine: engine.fetch("pjb-1", order), lambda _r: httpx.Response(200, json=answer)
    )
    assert document.pages[0].notes == ()
    assert "At most 2 pages were ordered" in document.pages[1].notes[0]


@pytest.mark.parametrize(
    ("section", "pages"),
    [
        ({"status": "SOMETHING_NEW"}, EngineStatus.RUNNING),
        ({"status": None}, EngineStatus.RUNNING),
        (
            {"status": "CANCELLED", "user_metadata": 7, "usage": 3, "created_at": "long ago"},
            EngineStatus.CANCELLED,
        ),
        (
            {"status": "PENDING", "usage": {"credits": "many"}, "new": {"deep": []}},
            EngineStatus.PENDING,
        ),
    ],
)
def test_unknown_values_never_crash_a_job(section: dict[str, Any], pages: EngineStatus) -> None:
    """Keys and values of a newer service are passed over; an unknown status is no end."""
    answer = {"job": {"id": "pjb-1", **section}}
    job = run_engine(
        lambda engine: engine.status("pjb-1"), lambda _r: httpx.Response(200, json=answer)
    )
    assert (job.status, job.credits, job.created_at) == (pages, None, None)


def test_credits_are_never_shown_too_low() -> None:
    """Fractions of a credit are rounded up."""
    answer = {"job": {**JOB, "usage": {"credits": 2.1}}}
    job = run_engine(
        lambda engine: engine.status("pjb-1"), lambda _r: httpx.Response(200, json=answer)
    )
    assert job.credits == 3


def test_a_failed_job_says_what_to_do() -> None:
    """The vendor's code becomes a sentence, and its own words stay beside it."""
    answer = {**JOB, "status": "FAILED", "error_message": "PDF_IS_PROTECTED: encrypted"}
    job = run_engine(
        lambda engine: engine.status("pjb-1"), lambda _r: httpx.Response(200, json=answer)
    )
    assert job.error_code == "PDF_IS_PROTECTED"
    assert "Remove the password" in job.next_step
    assert "encrypted" in job.error_message


def test_a_result_that_is_late_is_asked_for_again() -> None:
    """Completed without a result is known of this service; a later answer has it."""
    answers: list[httpx.Response] = [
        httpx.Response(404, json={"detail": "Result not found. Check job status."}),
        httpx.Response(200, json={"job": JOB, "markdown": None, "text": {"pages": []}}),
        httpx.Response(
            200, json={"job": JOB, "markdown": {"pages": [{"page_number": 1, "markdown": "# hi"}]}}
        ),
    ]
    document = run_engine(
        lambda engine: engine.fetch("pjb-1", an_order()), lambda _r: answers.pop(0)
    )
    assert document.markdown == "# hi"


def test_a_result_that_never_comes_is_reported() -> None:
    """After asking again the operator learns that the service has no result; nothing empty is shown."""
    with pytest.raises(UpstreamError, match="has no result") as caught:
        run_engine(
            lambda engine: engine.fetch("pjb-1", an_order()),
            lambda _r: httpx.Response(200, json={"job": JOB}),
        )
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "kind"), [("FAILED", UpstreamKind.DOCUMENT), ("RUNNING", UpstreamKind.CONFLICT)]
)
def test_an_unfinished_job_has_no_result(status: str, kind: UpstreamKind) -> None:
    """Asking for the result of a job that failed or still runs says which of the two it is."""
    answer = {"job": {**JOB, "status": status, "error_message": "PDF_IS_BROKEN"}}
    with pytest.raises(UpstreamError) as caught:
        run_engine(
            lambda engine: engine.fetch("pjb-1", an_order()),
            lambda _r: httpx.Response(200, json=answer),
        )
    assert caught.value.kind is kind


def test_a_tier_without_markdown_gives_its_text() -> None:
    """Refused markdown is not a failure: the text stands in for it."""

    def handle(request: httpx.Request) -> httpx.Response:
        if "markdown" in request.url.params.get_list("expand"):
            return httpx.Response(
                400, json={"detail": "Markdown expansion is not available for FAST tier jobs."}
            )
        return httpx.Response(
            200, json={"job": JOB, "text": {"pages": [{"page_number": 1, "text": "words"}]}}
        )

    document = run_engine(lambda engine: engine.fetch("pjb-1", an_order()), handle)
    assert (document.pages[0].markdown, document.pages[0].text) == ("words", "words")


@pytest.mark.parametrize(
    ("target", "answered", "numbers"),
    [
        ("", [2, 1], (1, 2)),
        ("2,5", [2, 5], (2, 5)),
        ("2,5", [1, 2], (2, 5)),
        ("3-4", [4], (4,)),
    ],
)
def test_pages_are_numbered_as_in_the_document(
    target: str, answered: list[int], numbers: tuple[int, ...]
) -> None:
    """Whether the service counts chosen pages from one is not documented; both are understood."""
    pages = [{"page_number": number, "markdown": "x"} for number in answered]
    answer = {"job": JOB, "markdown": {"pages": pages}}
    order = an_order(target_pages=target)
    document = run_engine(
        lambda engine: engine.fetch("pjb-1", order), lambda _r: httpx.Response(200, json=answer)
    )
    assert tuple(page.number for page in document.pages) == numbers
