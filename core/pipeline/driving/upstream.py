"""The vendor's refusals, sorted by what they say about the attempt."""

from core.domain.jobs import Attempt, Job
from core.errors import UpstreamError, UpstreamKind
from core.pipeline.driving.context import Context, told
from core.store import jobs

__all__ = ["NOT_ASKED", "STALLING", "not_asked", "said_by"]

STALLING = {UpstreamKind.UNAUTHORIZED, UpstreamKind.QUOTA, UpstreamKind.SIMULATOR}
"""They stop every document until somebody mends the account or the setting."""

NOT_ASKED = STALLING | {UpstreamKind.CONFLICT}
"""They say nothing about how far a job is."""


def not_asked(ctx: Context, job: Job, attempt: Attempt, error: UpstreamError) -> None:
    """Nothing is decided: the job says why, and the vendor is asked again."""
    what, step = error.what, error.next_step
    if attempt.cancel_requested_by and error.kind is UpstreamKind.CONFLICT:
        what = told(job, "LlamaParse refuses to cancel the job, and does not end it either.")
        step = told(job, "It is asked again; LlamaParse's support can say what it does.")
    with ctx.resources.store.write() as tx:
        jobs.update_attempt(tx, attempt.id, polls=attempt.polls + 1)
        jobs.update_job(tx, job.id, reason=what, next_step=step)


def said_by(error: UpstreamError) -> dict[str, object]:
    """What the vendor's support needs to know, for the timeline."""
    facts = {
        "status": error.status,
        "request_id": error.request_id,
        "vendor_message": error.vendor_message,
    }
    return {name: value for name, value in facts.items() if value}
