"""Running: the vendor is asked how far it is, and the attempt follows what it says."""

import asyncio
from datetime import datetime, timedelta

from core.domain.documents import ParsedDocument
from core.domain.jobs import Attempt, AttemptStatus, Job
from core.engines.protocol import EngineJob, EngineStatus
from core.errors import UpstreamError, UpstreamKind
from core.pipeline.driving import ending, events, fetching, timing, upstream
from core.pipeline.driving.context import SYSTEM, Context, told
from core.pipeline.driving.orders import order_of
from core.store import Transaction, jobs

__all__ = ["check", "completed"]

_OVERDUE_RETRIES = 1
_SETTLES_IN = timedelta(minutes=2)


async def check(ctx: Context, job: Job, attempt: Attempt) -> float | None:
    """Ask the vendor about the job, or for its end, and follow the answer."""
    engine = ctx.resources.engine_of(job.mode, attempt.engine)
    vendor_job_id = attempt.vendor_job_id or ""
    try:
        if attempt.cancel_requested_by:
            await engine.cancel(vendor_job_id)
        order = await asyncio.to_thread(order_of, ctx, job, attempt, attempt.version)
        async with ctx.busy:
            said = await engine.look(vendor_job_id, order)
    except UpstreamError as error:
        if error.retryable or error.kind in upstream.NOT_ASKED or _is_new(ctx, attempt, error):
            # not asked is not failed: nothing is decided while the vendor cannot be reached
            await asyncio.to_thread(upstream.not_asked, ctx, job, attempt, error)
            return error.retry_after_s or min(60.0, 5.0 * (attempt.polls + 1))
        return await ending.refused(ctx, job, attempt, error)
    if said.status is EngineStatus.COMPLETED and said.result is not None:
        if not order.screenshots:
            await asyncio.to_thread(_done, ctx, job, attempt, said.result)
            return timing.NO_MORE
        # pictures take their time
        await asyncio.to_thread(completed, ctx, job, attempt)
        async with ctx.busy:
            await fetching.keep_with_pictures(ctx, job, attempt, said.result, order)
        return timing.NO_MORE
    return await _said(ctx, job, attempt, said)


def _is_new(ctx: Context, attempt: Attempt, error: UpstreamError) -> bool:
    """Whether the service may just not know yet what it took a moment ago."""
    taken_at = attempt.submitted_at or attempt.created_at
    return error.kind is UpstreamKind.NOT_FOUND and ctx.resources.clock() < taken_at + _SETTLES_IN


async def _said(ctx: Context, job: Job, attempt: Attempt, said: EngineJob) -> float | None:
    match said.status:
        case EngineStatus.COMPLETED:
            await asyncio.to_thread(completed, ctx, job, attempt)
            return 0.0
        case EngineStatus.CANCELLED:
            if attempt.cancel_requested_by == ending.DEADLINE_RULE:
                return await _overdue(ctx, job, attempt)
            return await ending.cancelled(
                ctx, job, attempt, attempt.cancel_requested_by or "the vendor"
            )
        case EngineStatus.FAILED:
            code = said.error_code or "vendor_failure"
            return await ending.fail(
                ctx,
                job,
                attempt,
                code,
                said.error_message or code,
                said.next_step,
                retries=said.retries,
            )
    now = ctx.resources.clock()
    deadline = timing.deadline_of(attempt, now)
    await asyncio.to_thread(_still_running, ctx, job, attempt, said, deadline)
    if now > deadline and not attempt.cancel_requested_by:
        await asyncio.to_thread(ctx.update, attempt.id, cancel_requested_by=ending.DEADLINE_RULE)
        ctx.log.warning("deadline passed", job_id=job.id)
        return 0.0
    return timing.next_poll(attempt, attempt.webhook_expected)


async def _overdue(ctx: Context, job: Job, attempt: Attempt) -> float | None:
    """The deadline passed, and that the job is cancelled is confirmed: it cannot cost twice."""
    what = told(job, "LlamaParse did not finish it in time, so it was cancelled there.")
    step = "Retry it, or split the document into parts."
    return await ending.fail(ctx, job, attempt, "overdue", what, step, retries=_OVERDUE_RETRIES)


def _still_running(
    ctx: Context, job: Job, attempt: Attempt, said: EngineJob, deadline: datetime
) -> None:
    now = ctx.resources.clock()
    with ctx.resources.store.write() as tx:
        jobs.update_attempt(
            tx, attempt.id, polls=attempt.polls + 1, asked_at=now, deadline_at=deadline
        )
        jobs.nothing_to_say(tx, job.id)
        events.apply(ctx, tx, job, attempt, f"asked: {said.status.value}")


def completed(ctx: Context, job: Job, attempt: Attempt) -> None:
    """One transaction: the events are applied and the attempt moves because of them."""
    with ctx.resources.store.write() as tx:
        _move(ctx, tx, job, attempt)
        jobs.nothing_to_say(tx, job.id)


def _done(ctx: Context, job: Job, attempt: Attempt, result: ParsedDocument) -> None:
    """As completed, and in the same transaction done, as the result came with the answer."""
    blob, kept = fetching.stored(ctx, attempt, result)
    with ctx.resources.store.write() as tx:
        _move(ctx, tx, job, attempt)
        fetching.point_at(ctx, tx, job, attempt, blob, kept)


def _move(ctx: Context, tx: Transaction, job: Job, attempt: Attempt) -> None:
    applied = events.apply(ctx, tx, job, attempt, "asked: completed")
    told_by = "told by a webhook" if applied else "asked by polling"
    cause, now = f"the vendor said completed, {told_by}", ctx.resources.clock()
    jobs.change_attempt(tx, attempt.id, AttemptStatus.FETCHING, SYSTEM, cause, now, polls=0)
