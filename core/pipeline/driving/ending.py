"""An attempt ends without a result: failed, perhaps tried again by rule, or cancelled."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from core.domain.jobs import Actor, Attempt, AttemptStatus, Job, newest_tries
from core.domain.routing import Mode
from core.errors import UpstreamError, UpstreamKind
from core.pipeline.admission import open_retry
from core.pipeline.driving import billing, events, timing, upstream
from core.pipeline.driving.context import SYSTEM, Context
from core.pipeline.terms import Terms
from core.store import Transaction, jobs

__all__ = ["DEADLINE_RULE", "call_off", "cancelled", "fail", "refused"]

DEADLINE_RULE = "system:deadline"
"""Who asked for the cancel when the deadline passed."""


async def refused(ctx: Context, job: Job, attempt: Attempt, error: UpstreamError) -> float | None:
    """End it with what the vendor said."""
    what = error.what
    if error.kind is UpstreamKind.INVALID and error.vendor_message:
        what = f"{what} It said: {error.vendor_message}"
    said = upstream.said_by(error)
    return await fail(ctx, job, attempt, error.kind, what, error.next_step, said=said)


async def fail(  # noqa: PLR0913 - what failed, why, what to do, what of the money
    ctx: Context,
    job: Job,
    attempt: Attempt,
    kind: str,
    what: str,
    next_step: str,
    *,
    release: bool = True,
    retries: int = 0,
    said: dict[str, object] | None = None,
) -> float | None:
    """End it as failed; seconds until its retry by rule, when one was opened.

    What was called off and never reached the vendor did not fail: it is cancelled.
    """
    is_stood_in_for = (
        retries > 0
        and job.mode is Mode.HYBRID
        and await asyncio.to_thread(ctx.resources.stands_in, job)
    )

    def write() -> bool:
        now = ctx.resources.clock()
        with ctx.resources.store.write() as tx:
            fresh = jobs.locked_attempt(tx, attempt.id)
            if fresh.is_called_off and release and attempt.vendor_job_id is None:
                call_off(ctx, tx, job, fresh, fresh.cancel_requested_by, now)
                return False
            applied = (
                events.apply(ctx, tx, job, attempt, "asked: failed") if attempt.vendor_job_id else 0
            )
            via = ", told by a webhook" if applied else ""
            ended = jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.FAILED,
                SYSTEM,
                f"{what}{via}",
                now,
                detail=said,
                error_kind=str(kind),
                error=what,
                next_step=next_step,
            )
            # what a vendor job cost is settled when the vendor says so, also when it failed
            if release and attempt.vendor_job_id is None:
                billing.settle(ctx, tx, job, attempt, 0, now)
            return ended is not None and _try_again(
                ctx, tx, ended, retries, now, may_wait=not is_stood_in_for
            )

    tried_again = await asyncio.to_thread(write)
    ctx.log.warning("attempt failed", kind=str(kind), tried_again=tried_again)
    return timing.patience_of(job).before_retry.total_seconds() if tried_again else timing.NO_MORE


async def cancelled(ctx: Context, job: Job, attempt: Attempt, by: str) -> float | None:
    """End it as cancelled, by whoever asked for that."""

    def write() -> None:
        with ctx.resources.store.write() as tx:
            call_off(ctx, tx, job, attempt, by, ctx.resources.clock())

    await asyncio.to_thread(write)
    return timing.NO_MORE


def call_off(  # noqa: PLR0913 - a transition is before, after, who and when
    ctx: Context, tx: Transaction, job: Job, attempt: Attempt, by: str, now: datetime
) -> None:
    """In the caller's transaction: it is cancelled, and costs nothing when the vendor never had it."""
    if attempt.vendor_job_id:
        events.apply(ctx, tx, job, attempt, "asked: cancelled")
    actor = Actor(by, is_authenticated=True)
    jobs.change_attempt(tx, attempt.id, AttemptStatus.CANCELLED, actor, "cancelled", now)
    if attempt.vendor_job_id is None:
        billing.settle(ctx, tx, job, attempt, 0, now)


def _try_again(  # noqa: PLR0913 - what failed, how often it is worth it, when, and if it may wait
    ctx: Context,
    tx: Transaction,
    failed: Attempt,
    retries: int,
    now: datetime,
    *,
    may_wait: bool,
) -> bool:
    """By rule, a new attempt with an intent of its own: as often as the failure is worth it.

    Over a limit the job is held with it, unless something else of the job would wait too: a result
    that is there already, another attempt, or a stand-in that is free.
    """
    job = jobs.job(tx, failed.job_id)
    attempts = jobs.attempts(tx, job.id, failed.generation)
    count = _tries_before(attempts, failed) + 1
    if count > retries or failed.generation != job.generation or job.status.is_final:
        return False
    if failed.is_called_off:
        return False
    cause = f"retry {count} of {retries} by rule, after: {failed.error_kind}"
    may_wait = may_wait and not job.result_blob and len(newest_tries(attempts)) == 1
    terms = Terms(tx, ctx.resources.rules(), now)
    refusal = open_retry(terms, job, failed, cause, may_wait=may_wait)
    if refusal and may_wait:
        return False
    if refusal:
        step = f"It was not tried again by rule: {refusal} Retry it when the limit allows."
        jobs.update_attempt(tx, failed.id, next_step=step)
        return False
    reason = f"{failed.error} It is tried again ({count} of {retries})."
    jobs.update_job(tx, job.id, reason=reason, next_step="")
    return True


def _tries_before(attempts: Sequence[Attempt], attempt: Attempt) -> int:
    """How many attempts this one is a retry of, one for the other."""
    by_id = {each.id: each for each in attempts}
    count = 0
    while attempt.retry_of in by_id:
        count, attempt = count + 1, by_id[attempt.retry_of]
    return count
