"""Fetching: the result comes into the blob store, then the attempt is done."""

import asyncio
from dataclasses import replace

from core.domain.counts import counted
from core.domain.documents import EngineName, ParsedDocument, page_ranges
from core.domain.jobs import Attempt, AttemptStatus, Job
from core.engines.protocol import ParseOrder
from core.errors import ConsoleError, UpstreamError, UpstreamKind
from core.pipeline.driving import billing, ending, timing, upstream
from core.pipeline.driving.context import SYSTEM, Context
from core.pipeline.driving.orders import order_of
from core.pipeline.results import dump
from core.pipeline.stand_ins import as_provisional
from core.store import Transaction, jobs

__all__ = ["fetch", "keep_with_pictures", "point_at", "stored"]


async def fetch(ctx: Context, job: Job, attempt: Attempt) -> float | None:
    """Fetch what the vendor has ready; a result that is not there yet is waited for."""
    engine = ctx.resources.engine_of(job.mode, attempt.engine)
    order = await asyncio.to_thread(order_of, ctx, job, attempt, attempt.version)
    async with ctx.busy:
        try:
            result = await engine.fetch(attempt.vendor_job_id or "", order)
        except UpstreamError as error:
            looks = len(timing.RESULT_WAITS_S) if error.kind is UpstreamKind.RESULT_MISSING else 0
            if error.retryable or error.kind in upstream.STALLING or attempt.polls < looks:
                await asyncio.to_thread(upstream.not_asked, ctx, job, attempt, error)
                return error.retry_after_s or timing.result_wait_s(job, attempt)
            return await ending.refused(ctx, job, attempt, error)
        except ConsoleError as error:
            return await ending.fail(ctx, job, attempt, "document", error.what, error.next_step)
        await keep_with_pictures(ctx, job, attempt, result, order)
    return timing.NO_MORE


async def keep_with_pictures(
    ctx: Context, job: Job, attempt: Attempt, result: ParsedDocument, order: ParseOrder
) -> None:
    """Store the result and what there is of page pictures; without them it is a result all the same."""
    if order.screenshots:
        result = await _with_pictures(ctx, job, attempt, result, order)
    await asyncio.to_thread(_keep, ctx, job, attempt, result)


async def _with_pictures(
    ctx: Context, job: Job, attempt: Attempt, result: ParsedDocument, order: ParseOrder
) -> ParsedDocument:
    engine = ctx.resources.engine_of(job.mode, attempt.engine)
    store, found, why = ctx.resources.blobs.put_stream, dict[int, str](), "they did not come"
    try:
        found.update(await engine.pictures(attempt.vendor_job_id or "", order, store))
    except ConsoleError as error:
        why = error.what
    missing = [page.number for page in result.pages if page.number not in found]
    if missing:
        words = f"no picture of page {page_ranges(missing)}: {why}"
        await asyncio.to_thread(_note, ctx, job, attempt, words)
    return replace(
        result,
        pages=tuple(replace(p, picture_blob=found.get(p.number, "")) for p in result.pages),
    )


def _note(ctx: Context, job: Job, attempt: Attempt, words: str) -> None:
    now = ctx.resources.clock()
    with ctx.resources.store.write() as tx:
        jobs.note(
            tx, job.id, "attempt", "no page pictures", SYSTEM, words, now, attempt_id=attempt.id
        )


def _keep(ctx: Context, job: Job, attempt: Attempt, result: ParsedDocument) -> None:
    """Store the result, then let the row point at it, in this order."""
    blob, result = stored(ctx, attempt, result)
    with ctx.resources.store.write() as tx:
        point_at(ctx, tx, job, attempt, blob, result)


def stored(ctx: Context, attempt: Attempt, result: ParsedDocument) -> tuple[str, ParsedDocument]:
    """The result in the blob store, by its SHA-256, and as it was stored."""
    if attempt.is_provisional:
        result = as_provisional(result)
    return ctx.resources.blobs.put_pieces(dump(result)), result


def point_at(  # noqa: PLR0913 - what was made, for what, where it lies
    ctx: Context, tx: Transaction, job: Job, attempt: Attempt, blob: str, result: ParsedDocument
) -> None:
    """In the caller's transaction: the attempt is done, and what is known of its bill is posted."""
    now = ctx.resources.clock()
    jobs.change_attempt(
        tx,
        attempt.id,
        AttemptStatus.DONE,
        SYSTEM,
        f"{counted(len(result.pages), 'page')} stored",
        now,
        result_blob=blob,
        reported_credits=result.credits,
    )
    jobs.nothing_to_say(tx, job.id)
    if result.credits is not None or attempt.engine is EngineName.LOCAL:
        billing.settle(ctx, tx, job, attempt, result.credits or 0, now, len(result.pages))
