"""A submit that did not go through, or may not be made: wait, hold the job, end it, or look for it."""

import asyncio

from core.domain.documents import EngineName
from core.domain.jobs import Attempt, AttemptStatus, Job, JobStatus
from core.domain.routing import Mode
from core.errors import KeyMissing, UpstreamError, UpstreamKind
from core.pipeline.driving import ending, timing, upstream
from core.pipeline.driving.context import SYSTEM, Context, told
from core.store import jobs

__all__ = ["closed", "closed_again", "doubt", "judge", "without_key"]

_WAITS = "It goes on by itself when LlamaParse can be used again."
# a wait that has begun goes on after the start that brings the key
_KEY_LOOK_S = 10.0
_CLOSED_LOOK_S = 30.0


async def closed(
    ctx: Context,
    job: Job,
    attempt: Attempt,
    why: str,
    waits: str = _WAITS,
) -> float | None:
    """LlamaParse cannot be used now: the job waits, or in HYBRID goes on here if it can."""
    if await _goes_on_here(ctx, job, attempt):
        await asyncio.to_thread(_begin, ctx, job, why)
        step = "Parse it again when LlamaParse is back, if it matters."
        return await ending.fail(ctx, job, attempt, "unavailable", why, step)
    error = UpstreamError(UpstreamKind.CONNECTION, why, waits)
    await asyncio.to_thread(_not_sent, ctx, job, attempt, error, hold=True)
    return timing.NO_MORE


async def closed_again(ctx: Context, job: Job, attempt: Attempt, why: str) -> float | None:
    """As ``closed``, for what was sent before and is known not to have arrived.

    It is not held: until it may be sent, LlamaParse is still asked for it.
    """
    if await _goes_on_here(ctx, job, attempt):
        return await closed(ctx, job, attempt, why)
    await asyncio.to_thread(_tell, ctx, job, why, _WAITS)
    return _CLOSED_LOOK_S


async def without_key(ctx: Context, job: Job, attempt: Attempt, error: KeyMissing) -> float | None:
    """Nobody can ask LlamaParse: what was not sent waits as for an outage, what was stays as it is."""
    if attempt.status is AttemptStatus.RESERVED:
        return await closed(ctx, job, attempt, error.what, error.next_step)

    step = f"{error.next_step} What LlamaParse has is fetched then."
    await asyncio.to_thread(_tell, ctx, job, error.what, step)
    return _KEY_LOOK_S


async def judge(ctx: Context, job: Job, attempt: Attempt, error: UpstreamError) -> float | None:
    """What follows from a submit that failed; seconds until the next look."""
    if error.outcome_unknown:
        return await doubt(ctx, job, attempt, error.what)
    if error.kind in upstream.STALLING:
        if job.mode is Mode.HYBRID and await asyncio.to_thread(ctx.resources.stands_in, job):
            await asyncio.to_thread(_begin, ctx, job, error.what)
            return await ending.fail(ctx, job, attempt, error.kind, error.what, error.next_step)
        await asyncio.to_thread(_not_sent, ctx, job, attempt, error, hold=True)
        return timing.NO_MORE
    if not error.retryable:
        return await ending.refused(ctx, job, attempt, error)
    wait = error.retry_after_s or min(60.0, 2.0 ** min(attempt.polls, 6))
    is_tried_on = await asyncio.to_thread(_not_sent, ctx, job, attempt, error, hold=False)
    return wait if is_tried_on else timing.NO_MORE


async def doubt(ctx: Context, job: Job, attempt: Attempt, cause: str) -> float:
    """From now on the vendor is asked for the job before anything is sent again."""

    def write() -> None:
        with ctx.resources.store.write() as tx:
            reason = told(job, "It is not known whether LlamaParse took it; looking for it.")
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.UNKNOWN,
                SYSTEM,
                cause,
                ctx.resources.clock(),
                polls=0,
                asked_at=None,
            )
            jobs.update_job(tx, job.id, reason=reason, next_step="")

    await asyncio.to_thread(write)
    return 0.0


async def _goes_on_here(ctx: Context, job: Job, attempt: Attempt) -> bool:
    if job.mode is not Mode.HYBRID:
        return False
    # only LlamaParse is worth waiting for: whoever waits for it is let go when it is back
    is_worth_it = attempt.engine is EngineName.LLAMAPARSE
    return not is_worth_it or await asyncio.to_thread(ctx.resources.stands_in, job)


def _tell(ctx: Context, job: Job, what: str, next_step: str) -> None:
    with ctx.resources.store.write() as tx:
        jobs.update_job(tx, job.id, reason=what, next_step=next_step)


def _begin(ctx: Context, job: Job, cause: str) -> None:
    with ctx.resources.store.write() as tx:
        if jobs.job(tx, job.id).status is JobStatus.PARSE_QUEUED:
            jobs.change_job(
                tx, job.id, JobStatus.PARSING, SYSTEM, cause, ctx.resources.clock(), reason=""
            )


def _not_sent(
    ctx: Context, job: Job, attempt: Attempt, error: UpstreamError, *, hold: bool
) -> bool:
    """Take the intent back: it is made again later, or the job is held until the vendor can be used.

    False when the attempt needs no further look, as it was called off meanwhile.
    """
    now = ctx.resources.clock()
    with ctx.resources.store.write() as tx:
        fresh = jobs.locked_attempt(tx, attempt.id)
        if fresh.is_called_off:
            ending.call_off(ctx, tx, job, fresh, fresh.cancel_requested_by, now)
        if fresh.is_called_off or fresh.status.is_final:
            return False
        jobs.change_attempt(
            tx,
            attempt.id,
            AttemptStatus.RESERVED,
            SYSTEM,
            error.what,
            now,
            detail=upstream.said_by(error),
            # known not to be taken: only submits whose outcome is not known are counted
            submits=attempt.submits,
        )
        facts = {"reason": error.what, "next_step": error.next_step}
        if not hold:
            jobs.update_attempt(tx, attempt.id, polls=attempt.polls + 1)
            jobs.update_job(tx, job.id, **facts)
        elif jobs.job(tx, job.id).status is not JobStatus.HELD:
            jobs.change_job(
                tx, job.id, JobStatus.HELD, SYSTEM, error.what, now, hold="vendor", **facts
            )
    return True
