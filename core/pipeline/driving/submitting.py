"""Reserved: the intent is recorded, then the document goes to the engine, once."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from core.clock import new_id
from core.domain import times
from core.domain.documents import EngineName
from core.domain.jobs import Attempt, AttemptStatus, Job, JobStatus
from core.domain.money import Tier
from core.engines.protocol import EngineJob, ParseEngine
from core.errors import UpstreamError
from core.pipeline.driving import ending, not_taken, timing
from core.pipeline.driving.context import SYSTEM, Context
from core.pipeline.driving.orders import order_of
from core.store import deliveries, jobs
from core.webhooks.signatures import SigningSecret

__all__ = ["begin_or_wait", "record_taken", "submit"]

_WORTH_TELLING_S = 2.0


async def begin_or_wait(ctx: Context, job: Job, attempt: Attempt) -> float | None:
    """Submit, unless the way to the engine is closed."""
    closed = await asyncio.to_thread(ctx.resources.gate, job.mode, attempt.engine)
    if closed and not attempt.cancel_requested_by:
        return await not_taken.closed(ctx, job, attempt, closed)
    return await submit(ctx, job, attempt)


async def submit(
    ctx: Context, job: Job, attempt: Attempt, owner_before: str | None = None
) -> float | None:
    """Record the intent and send; ``owner_before`` is whose intent this one replaces."""
    if attempt.cancel_requested_by and attempt.status is AttemptStatus.RESERVED:
        return await ending.cancelled(ctx, job, attempt, attempt.cancel_requested_by)
    engine = ctx.resources.engine_of(job.mode, attempt.engine)
    # before the intent: from then on the request must be on its way within its timeout
    try:
        version = attempt.version or await _version(ctx, job, engine, attempt.tier)
    except UpstreamError as error:
        if attempt.status is AttemptStatus.UNKNOWN:
            return error.retry_after_s or 15.0
        return await not_taken.judge(ctx, job, attempt, error)
    await _wait_for_turn(ctx, job, await engine.turn())
    async with ctx.busy:
        # whatever can fail on our side fails before the intent is recorded
        order = await asyncio.to_thread(order_of, ctx, job, attempt, version)
        intent_at = await asyncio.to_thread(_claim, ctx, job, attempt, owner_before, version)
        if intent_at is None:
            return 1.0
        send_by = intent_at + timing.patience_of(job).margin / 2
        try:
            taken = await engine.submit(replace(order, send_by=send_by))
        except UpstreamError as error:
            return await not_taken.judge(ctx, job, attempt, error)
    has_event = await asyncio.to_thread(
        record_taken, ctx, attempt, taken, order.webhook is not None, "accepted"
    )
    ctx.log.info("submitted", vendor_job_id=taken.vendor_job_id)
    return (
        0.0
        if has_event or taken.status.is_final
        else timing.next_poll(attempt, order.webhook is not None)
    )


async def _version(ctx: Context, job: Job, engine: ParseEngine, tier: Tier) -> str:
    known = engine.known_version(tier)
    if known is not None:
        return known
    await _wait_for_turn(ctx, job, await engine.turn())
    return await engine.ask_version(tier)


async def _wait_for_turn(ctx: Context, job: Job, wait_s: float) -> None:
    if wait_s <= 0:
        return
    if wait_s > _WORTH_TELLING_S:
        until = ctx.resources.clock() + timedelta(seconds=wait_s)
        at = times.clock(until, ctx.resources.rules().timezone)
        reason = f"Waits for its turn until {at}: calls to LlamaParse are paced."
        await asyncio.to_thread(_tell, ctx, job.id, reason)
    await asyncio.sleep(wait_s)


def _tell(ctx: Context, job_id: str, reason: str) -> None:
    with ctx.resources.store.write() as tx:
        jobs.update_job(tx, job_id, reason=reason, next_step="")


def _claim(
    ctx: Context, job: Job, attempt: Attempt, owner_before: str | None, version: str
) -> datetime | None:
    """Record the intent, unless somebody else did; the moment it was recorded."""
    now = ctx.resources.clock()
    with ctx.resources.store.write() as tx:
        owner = new_id(ctx.executor_id)
        expected = attempt.intent_owner if owner_before is None else owner_before
        if not jobs.claim_intent(tx, attempt.id, expected_owner=expected, owner=owner, now=now):
            return None
        jobs.change_attempt(
            tx,
            attempt.id,
            AttemptStatus.SUBMITTING,
            SYSTEM,
            f"intent recorded, version {version}" if version else "intent recorded",
            now,
            webhook_secret=_signs_with(ctx, job, attempt),
            version=version,
        )
        if jobs.locked(tx, job.id).status is JobStatus.PARSE_QUEUED:
            jobs.change_job(
                tx, job.id, JobStatus.PARSING, SYSTEM, "first attempt begins", now, reason=""
            )
    return now


def _signs_with(ctx: Context, job: Job, attempt: Attempt) -> str:
    """Which secret the vendor is given for this attempt's events, by its fingerprint."""
    target = ctx.resources.webhook_of(job.mode)
    if target is None or attempt.engine is not EngineName.LLAMAPARSE:
        return ""
    return SigningSecret("given to the vendor", target.secret).fingerprint


def record_taken(
    ctx: Context, attempt: Attempt, taken: EngineJob, webhook: bool, cause: str
) -> bool:
    """Store the vendor's id; true when an event for it came in before."""
    now = ctx.resources.clock()
    with ctx.resources.store.write() as tx:
        jobs.change_attempt(
            tx,
            attempt.id,
            AttemptStatus.RUNNING,
            SYSTEM,
            f"{cause} as {taken.vendor_job_id}",
            now,
            detail={"vendor_job_id": taken.vendor_job_id},
            vendor_job_id=taken.vendor_job_id,
            submitted_at=now,
            deadline_at=now + timing.DEADLINE,
            webhook_expected=webhook,
            asked_at=now,
            polls=0,
        )
        jobs.nothing_to_say(tx, attempt.job_id)
    # after the commit: whoever records an event meanwhile looks for its job after theirs
    with ctx.resources.store.read() as tx:
        return deliveries.is_waiting(tx, taken.vendor_job_id)
