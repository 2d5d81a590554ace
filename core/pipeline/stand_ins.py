"""In HYBRID the local engine stands in where LlamaParse failed or could not be asked, provisionally."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.clock import new_id
from core.domain.documents import EngineName, ParsedDocument, page_ranges
from core.domain.jobs import (
    UNKNOWN_OUTCOME,
    Actor,
    Attempt,
    AttemptStatus,
    Job,
    JobStatus,
    job_status_of,
    newest_tries,
)
from core.pipeline.results import merge
from core.store import Transaction, jobs

__all__ = ["as_provisional", "open_stand_ins", "outcome_of"]


def open_stand_ins(
    tx: Transaction, job: Job, results: Mapping[str, ParsedDocument], actor: Actor, now: datetime
) -> None:
    """Open an attempt of the local engine for each set of pages that LlamaParse did not make.

    ``results`` are those of the job's attempts by their id. Never for what was called off, and not
    where it is not known whether LlamaParse has the document. What is opened is not opened again.
    """
    opened_before = jobs.attempts(tx, job.id, job.generation)
    number = max((attempt.number for attempt in opened_before), default=0)
    attempts = newest_tries(opened_before)
    have = {attempt.target_pages for attempt in attempts if attempt.is_provisional}
    for attempt in attempts:
        wanted = _missing(attempt, results.get(attempt.id))
        if wanted is None or wanted in have:
            continue
        number += 1
        have.add(wanted)
        opened = Attempt(
            id=new_id("att"),
            job_id=job.id,
            generation=job.generation,
            number=number,
            engine=EngineName.LOCAL,
            tier=attempt.tier,
            target_pages=wanted,
            status=AttemptStatus.PLANNED,
            created_at=now,
            is_provisional=True,
        )
        why = attempt.error or "LlamaParse could not parse these pages."
        jobs.add_attempt(tx, opened, actor, f"the local engine stands in: {why}")
        # free, so there is nothing to reserve
        jobs.change_attempt(tx, opened.id, AttemptStatus.RESERVED, actor, "free", now)


def _missing(attempt: Attempt, result: ParsedDocument | None) -> str | None:
    """The pages of an attempt that have no result, as ``target_pages``; None when there are none."""
    if attempt.engine is EngineName.LOCAL or attempt.is_called_off:
        return None
    if attempt.status is AttemptStatus.FAILED and attempt.error_kind != UNKNOWN_OUTCOME:
        return attempt.target_pages
    return page_ranges(result.failed_pages) or None if result is not None else None


def outcome_of(
    job: Job,
    attempts: Sequence[Attempt],
    results: Mapping[str, ParsedDocument],
    before: ParsedDocument | None,
) -> tuple[ParsedDocument, JobStatus]:
    """What a job's generation came to: its result, page by page the best there is, and the status.

    ``results`` are those of the attempts by their id, ``before`` is what an earlier generation left:
    its pages stay until something better replaces them.
    """
    if job.is_provisional and before is not None and not _is_marked(before):
        # results of the first versions say it of the whole
        before = as_provisional(before)
    is_whole = any(
        not a.target_pages and not a.is_provisional and a.status is AttemptStatus.DONE
        for a in attempts
    )
    parts = [results[a.id] for a in attempts if a.id in results]
    if before is not None:
        parts.append(_of_the_pages_in(parts, before) if is_whole else before)
    whole = merge(parts)
    statuses = [attempt.status for attempt in _standing(attempts)]
    if before is not None and all(status.is_final for status in statuses):
        return whole, JobStatus.PARTLY_PARSED if whole.failed_pages else JobStatus.PARSED
    return whole, job_status_of(statuses, failed_pages=bool(whole.failed_pages))


def _of_the_pages_in(parts: Sequence[ParsedDocument], before: ParsedDocument) -> ParsedDocument:
    """What there was of a document that was parsed as a whole again, which says what pages it has."""
    numbers = {page.number for part in parts for page in part.pages}
    return ParsedDocument(tuple(page for page in before.pages if page.number in numbers))


def _is_marked(document: ParsedDocument) -> bool:
    return any(page.is_provisional for page in document.pages)


def _standing(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts that decide how the job ended: without those that others stood in for."""
    covered = {
        attempt.target_pages
        for attempt in attempts
        if attempt.is_provisional and attempt.status is AttemptStatus.DONE
    }
    return [
        attempt
        for attempt in attempts
        if attempt.status is not AttemptStatus.FAILED or attempt.target_pages not in covered
    ]


def as_provisional(document: ParsedDocument) -> ParsedDocument:
    """The same result, each page marked as a stand-in."""
    pages = tuple(replace(page, is_provisional=True) for page in document.pages)
    return replace(document, pages=pages)
