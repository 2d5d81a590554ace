"""What an attempt was billed, brought into the ledger."""

import asyncio
from datetime import datetime

from core.domain.budgets import book_of
from core.domain.counts import counted
from core.domain.jobs import Attempt, AttemptStatus, Job
from core.domain.money import usd_from_micros, usd_words
from core.engines.protocol import ParseEngine
from core.errors import KeyMissing, UpstreamError, UpstreamKind
from core.pipeline.driving import timing, upstream
from core.pipeline.driving.context import SYSTEM, Context, told
from core.store import Transaction, alerts, jobs, ledger, prices

__all__ = ["settle", "settle_late"]

_METERED = "by the usage metrics"
_NOT_METERED = "nothing in the usage metrics"


def settle(  # noqa: PLR0913 - what was billed, for what, when
    ctx: Context,
    tx: Transaction,
    job: Job,
    attempt: Attempt,
    credits_: int,
    now: datetime,
    pages: int | None = None,
    cause: str = "",
) -> None:
    """Bring the ledger to what the attempt was billed; said again it changes nothing."""
    fresh = jobs.attempt(tx, attempt.id)
    what = ledger.Bill(
        credits_,
        outcome=fresh.status.value,
        was_sent=fresh.submits > 0,
        cause=cause or f"{fresh.status.value}, {counted(credits_, 'credit')} billed",
        pages=pages,
    )
    entry = ledger.bill(tx, attempt.id, what, prices.book(tx), now)
    if entry is not None and entry.over_micros:
        over = f"billed {usd_words(usd_from_micros(entry.over_micros))} more than was reserved"
        jobs.note(tx, job.id, "money", "over", SYSTEM, over, now, attempt_id=attempt.id)
        key, words = f"over:{attempt.id}", f"{job.name} was {over}."
        step = "The limits count what was billed; look at its receipt."
        alerts.record(tx, alerts.Alert(key, book_of(job.mode), "over", words, step, now))
        ctx.log.warning("billed more than reserved", over_micros=entry.over_micros)
    jobs.update_job(tx, job.id, billed_credits=ledger.billed_credits(tx, job.id))


async def settle_late(ctx: Context, job: Job, attempt: Attempt) -> bool:
    """Ask what a finished attempt was billed, when that was not known at once.

    What is not billed in time is looked for in the usage metrics; what is not there either is taken
    as quoted, so that no reservation stays open for ever.
    """
    try:
        engine = ctx.resources.engine_of(job.mode, attempt.engine)
    except KeyMissing:
        return False  # asked again when there is one, and others meanwhile
    try:
        reported = (await engine.status(attempt.vendor_job_id or "")).credits
    except UpstreamError as error:
        if error.kind is not UpstreamKind.NOT_FOUND:
            return False
        reported = None  # it was deleted there, and will not say any more
    if reported is not None:
        await asyncio.to_thread(_bill, ctx, job, attempt, reported)
        return True
    ended_at = attempt.finished_at or attempt.created_at
    if ctx.resources.clock() < ended_at + timing.BILL_WAITS:
        return False
    return await _overdue(ctx, job, attempt, engine)


def _bill(ctx: Context, job: Job, attempt: Attempt, credits_: int) -> None:
    with ctx.resources.store.write() as tx:
        jobs.update_attempt(tx, attempt.id, reported_credits=credits_)
        settle(ctx, tx, job, attempt, credits_, ctx.resources.clock())


async def _overdue(ctx: Context, job: Job, attempt: Attempt, engine: ParseEngine) -> bool:
    try:
        metered = await engine.billed(attempt.vendor_job_id or "")
    except UpstreamError as error:
        if error.retryable or error.kind in upstream.STALLING:
            return False
        await asyncio.to_thread(_take_as_quoted, ctx, job, attempt)
        return True
    if metered is not None:
        await asyncio.to_thread(_conclude, ctx, job, attempt, metered, _METERED)
    elif attempt.status is AttemptStatus.DONE:
        await asyncio.to_thread(_take_as_quoted, ctx, job, attempt)
    else:
        # a failure that the metrics were asked about and do not name is one that was not billed
        await asyncio.to_thread(_conclude, ctx, job, attempt, 0, _NOT_METERED)
    return True


def _take_as_quoted(ctx: Context, job: Job, attempt: Attempt) -> None:
    with ctx.resources.store.read() as tx:
        quoted = ledger.quoted_credits(tx, attempt.id)
    _conclude(ctx, job, attempt, quoted, ledger.NEVER_BILLED)


def _conclude(ctx: Context, job: Job, attempt: Attempt, credits_: int, cause: str) -> None:
    """Settle what the job itself never reported."""
    now = ctx.resources.clock()
    with ctx.resources.store.write() as tx:
        settle(ctx, tx, job, attempt, credits_, now, cause=cause)
        words = told(job, f"LlamaParse did not bill it in {timing.BILL_WAITS.days} days: {cause}.")
        jobs.note(tx, job.id, "money", "overdue", SYSTEM, words, now, attempt_id=attempt.id)
