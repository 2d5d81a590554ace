"""Unknown: the vendor is asked whether it has the attempt; sent again only when it cannot have it."""

import asyncio
from datetime import datetime, timedelta

from core.domain.jobs import UNKNOWN_OUTCOME, Attempt, Job
from core.errors import UpstreamError
from core.pipeline.driving import ending, not_taken, submitting, timing
from core.pipeline.driving.context import Context, told
from core.store import documents

__all__ = ["LOOK_FOR_IT", "resolve"]

LOOK_FOR_IT = "Look for it in LlamaParse's own history; retry when it is not there."

_MAX_SUBMITS = 3
_LISTINGS_NEEDED = 2
_BYTES_PER_SECOND = 256 * 1024


async def resolve(ctx: Context, job: Job, attempt: Attempt) -> float | None:
    """Adopt the vendor job that carries the attempt's id; submit again only by the rule."""
    engine, began = ctx.resources.engine_of(job.mode, attempt.engine), ctx.resources.clock()
    try:
        found = await engine.find(attempt.id, attempt.created_at)
    except UpstreamError as error:
        return error.retry_after_s or 15.0
    if found is not None:
        has_webhook = ctx.resources.webhook_of(job.mode) is not None
        await asyncio.to_thread(
            submitting.record_taken,
            ctx,
            attempt,
            found,
            has_webhook,
            "found at the vendor, adopted",
        )
        return 0.0
    return await _resubmit(ctx, job, attempt, began)


async def _resubmit(ctx: Context, job: Job, attempt: Attempt, listed_at: datetime) -> float | None:
    """Judge by a listing that began at ``listed_at``, was complete, and did not show the job."""
    document_s = await asyncio.to_thread(_upload_s, ctx, job)
    patience = timing.patience_of(job)
    arrives_until = (attempt.intent_at or attempt.created_at) + document_s + patience.margin
    if listed_at < arrives_until:
        # the request may have come in after this listing began
        return max(1.0, min(15.0, (arrives_until - listed_at).total_seconds()))
    apart = patience.between_listings
    if attempt.asked_at is not None and listed_at < attempt.asked_at + apart:
        # looked at too soon, woken by a nudge: it counts no more than the one before
        return max(1.0, (attempt.asked_at + apart - listed_at).total_seconds())
    listings = attempt.polls + 1
    await asyncio.to_thread(ctx.update, attempt.id, polls=listings, asked_at=listed_at)
    if listings < _LISTINGS_NEEDED:
        return apart.total_seconds()
    return await _send_again(ctx, job, attempt)


async def _send_again(ctx: Context, job: Job, attempt: Attempt) -> float | None:
    """It is not there and cannot arrive any more: once more, if that may be done."""
    if attempt.submits >= _MAX_SUBMITS:
        what = "The outcome of the submit stayed unknown after three tries."
        step = told(job, LOOK_FOR_IT)
        return await ending.fail(ctx, job, attempt, UNKNOWN_OUTCOME, what, step, release=False)
    if attempt.cancel_requested_by:
        return await ending.cancelled(ctx, job, attempt, attempt.cancel_requested_by)
    closed = await asyncio.to_thread(ctx.resources.gate, job.mode, attempt.engine)
    if closed:
        return await not_taken.closed_again(ctx, job, attempt, closed)
    return await submitting.submit(ctx, job, attempt, attempt.intent_owner)


def _upload_s(ctx: Context, job: Job) -> timedelta:
    with ctx.resources.store.read() as tx:
        document = documents.find(tx, job.document_sha256)
    size = document.size_bytes if document else 0
    return timedelta(seconds=ctx.resources.timeout_s + size / _BYTES_PER_SECOND)
