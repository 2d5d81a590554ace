"""What an attempt was billed, brought into the ledger."""

import asyncio
from datetime import datetime

from core.domain.budgets import book_of
from core.domain.jobs import Attempt, Job
from core.domain.money import usd_from_micros
from core.errors import KeyMissing, UpstreamError
from core.pipeline.driving.context import SYSTEM, Context
from core.store import Transaction, alerts, jobs, ledger, prices

__all__ = ["settle", "settle_late"]


def settle(  # noqa: PLR0913 - what was billed, for what, when
    ctx: Context,
    tx: Transaction,
    job: Job,
    attempt: Attempt,
    credits_: int,
    now: datetime,
    pages: int | None = None,
) -> None:
    """Bring the ledger to what the attempt was billed; said again it changes nothing."""
    fresh = jobs.attempt(tx, attempt.id)
    what = ledger.Bill(
        credits_,
        outcome=fresh.status.value,
        was_sent=fresh.submits > 0,
        cause=f"{fresh.status.value}, {credits_} credits billed",
        pages=pages,
    )
    entry = ledger.bill(tx, attempt.id, what, prices.book(tx), now)
    if entry is not None and entry.over_micros:
        over = f"billed ${usd_from_micros(entry.over_micros):.4f} more than was reserved"
        jobs.note(tx, job.id, "money", "over", SYSTEM, over, now, attempt_id=attempt.id)
        key, words = f"over:{attempt.id}", f"{job.name} was {over}."
        step = "The limits count what was billed; look at its receipt."
        alerts.record(tx, alerts.Alert(key, book_of(job.mode), "over", words, step, now))
        ctx.log.warning("billed more than reserved", over_micros=entry.over_micros)
    jobs.update_job(tx, job.id, billed_credits=ledger.billed_credits(tx, job.id))


async def settle_late(ctx: Context, job: Job, attempt: Attempt) -> bool:
    """Ask what a finished attempt was billed, when that was not known at once."""
    try:
        engine = ctx.resources.engine_of(job.mode, attempt.engine)
        said = await engine.status(attempt.vendor_job_id or "")
    except (UpstreamError, KeyMissing):
        # asked again later, and others meanwhile
        return False
    if said.credits is None:
        return False
    await asyncio.to_thread(_bill, ctx, job, attempt, said.credits)
    return True


def _bill(ctx: Context, job: Job, attempt: Attempt, credits_: int) -> None:
    with ctx.resources.store.write() as tx:
        jobs.update_attempt(tx, attempt.id, reported_credits=credits_)
        settle(ctx, tx, job, attempt, credits_, ctx.resources.clock())
