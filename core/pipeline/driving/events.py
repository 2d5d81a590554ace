"""The vendor's events that wait for an attempt: applied once, each with a line in the timeline."""

from datetime import datetime

from core.domain.jobs import Attempt, Job
from core.domain.routing import Mode
from core.pipeline.driving.context import SYSTEM, Context
from core.store import Transaction, deliveries, jobs

__all__ = ["apply"]


def apply(ctx: Context, tx: Transaction, job: Job, attempt: Attempt, outcome: str) -> int:
    """Apply what waits for the attempt; how many events that were."""
    now = ctx.resources.clock()
    scope = "mock" if job.mode is Mode.MOCK else "real"
    applied = deliveries.apply(
        tx,
        attempt.vendor_job_id or "",
        scope,
        job_id=job.id,
        attempt_id=attempt.id,
        outcome=outcome,
        at=now,
    )
    for event in applied:
        jobs.note(
            tx,
            job.id,
            "webhook",
            event.event_type,
            SYSTEM,
            f"event {event.event_id[:8]}… verified{event.marks}{_after(event.event_at, event.received_at)}",
            event.received_at,
            attempt_id=attempt.id,
            detail={"delivery_id": event.id, "event_id": event.event_id, "outcome": outcome},
        )
    return len(applied)


def _after(sent: datetime | None, received: datetime) -> str:
    return "" if sent is None else f", +{max(0.0, (received - sent).total_seconds()):.1f} s"
