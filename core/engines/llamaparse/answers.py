"""The service's answers in the words of the engine protocol."""

from collections.abc import Sequence
from dataclasses import replace

from core.domain.documents import EngineName, ParsedDocument, ParsedPage, parse_page_ranges
from core.engines.llamaparse.job_failures import job_failure
from core.engines.llamaparse.wire import ATTEMPT_KEY, JobAnswer, PageAnswer, WireJob
from core.engines.protocol import EngineJob, EngineStatus, ParseOrder

__all__ = ["engine_job_of", "numbers_in_document", "parsed_document_of"]

_MESSAGE_LIMIT = 500


def engine_job_of(job: WireJob) -> EngineJob:
    """The job as the pipeline sees it; a failed one says what happened and what to do."""
    said = EngineJob(
        vendor_job_id=job.id,
        status=job.engine_status,
        attempt_id=job.user_metadata.get(ATTEMPT_KEY, ""),
        created_at=job.created_at,
        credits=job.credits,
    )
    if said.status is not EngineStatus.FAILED:
        return said
    failure = job_failure(job.error_message)
    words = job.error_message[:_MESSAGE_LIMIT].strip().rstrip(".")
    vendor = f" LlamaParse said: {words}." if words else ""
    return replace(
        said,
        error_code=failure.code,
        error_message=f"{failure.what}{vendor}",
        next_step=failure.advice,
        retries=failure.retries,
    )


def parsed_document_of(
    answer: JobAnswer, order: ParseOrder, left_out: str = ""
) -> ParsedDocument | None:
    """The result, pages numbered as in the document; None while the answer has none.

    Where a tier makes no markdown, the text stands in for it. ``left_out`` says what was not asked
    for; the first page tells.
    """
    texts = {page.page_number: page for page in answer.text.pages} if answer.text else {}
    markdown = {page.page_number: page for page in answer.markdown.pages} if answer.markdown else {}
    items = {page.page_number: page.items for page in answer.items.pages} if answer.items else {}
    found = sorted(texts.keys() | markdown.keys())
    if not found:
        return None
    numbers = numbers_in_document(found, order.target_pages)
    pages = [
        replace(
            _page(
                numbers[number],
                markdown.get(number),
                texts.get(number),
                order.tier.value,
                has_markdown=bool(markdown),
            ),
            items=tuple(items.get(number, ())),
        )
        for number in found
    ]
    if order.max_pages and not order.target_pages and len(pages) >= order.max_pages:
        note = f"At most {order.max_pages:,} pages were ordered; the document may go on."
        pages[-1] = replace(pages[-1], notes=(note,))
    if left_out:
        pages[0] = replace(pages[0], notes=(left_out, *pages[0].notes))
    return ParsedDocument(tuple(pages), answer.job.credits)


def _page(
    number: int,
    markdown: PageAnswer | None,
    text: PageAnswer | None,
    tier: str,
    *,
    has_markdown: bool,
) -> ParsedPage:
    words = text.text if text else ""
    if not has_markdown:
        markdown = PageAnswer(
            page_number=number, markdown=words, success=text is None or text.success
        )
    elif markdown is None:
        markdown = PageAnswer(page_number=number, success=False)
    error = "" if markdown.success else markdown.error or "LlamaParse could not parse this page."
    return ParsedPage(
        number=number,
        markdown="" if error else markdown.markdown,
        text=words,
        engine=EngineName.LLAMAPARSE,
        tier=tier,
        error=error,
    )


def numbers_in_document(found: Sequence[int], target_pages: str) -> dict[int, int]:
    """Where the service counts the chosen pages from one, their numbers in the document.

    Which of the two it does is not documented, so both are understood.
    """
    wanted = parse_page_ranges(target_pages) if target_pages else ()
    if wanted and not set(found) <= set(wanted) and len(found) <= len(wanted):
        return dict(zip(found, wanted, strict=False))
    return {number: number for number in found}
