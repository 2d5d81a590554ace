"""Every attempt has ended: stand-ins where they are due, then one result and the job's status."""

from collections.abc import Sequence

from core.domain.documents import ParsedDocument
from core.domain.jobs import Attempt, Job, JobStatus, newest_tries
from core.domain.quality import with_receipt
from core.pipeline.driving.context import SYSTEM, Context
from core.pipeline.handoff import begin, standing
from core.pipeline.results import dump, load
from core.pipeline.stand_ins import open_stand_ins, outcome_of
from core.store import jobs

__all__ = ["begin_ended", "conclude", "stand_ins"]


def begin_ended(ctx: Context, job_id: str, generation: int) -> None:
    """Attempts can end before one was sent: their job ends too, and is not queued for ever."""
    with ctx.resources.store.write() as tx:
        job = jobs.job(tx, job_id)
        if job.status is not JobStatus.PARSE_QUEUED or job.generation != generation:
            return
        ended = [a.status.is_final for a in jobs.attempts(tx, job_id, generation)]
        if ended and all(ended):
            cause, now = "its attempts ended before one was sent", ctx.resources.clock()
            jobs.change_job(tx, job_id, JobStatus.PARSING, SYSTEM, cause, now)


def stand_ins(ctx: Context, job: Job, attempts: Sequence[Attempt]) -> list[str]:
    """Open what the local engine has to stand in for; ids of those not ended yet."""
    job_id, generation = job.id, job.generation
    results = {a.id: _result_of(ctx, a) for a in attempts if a.result_blob}
    with ctx.resources.store.write() as tx:
        fresh = jobs.locked(tx, job_id)
        if fresh.generation == generation and fresh.status is JobStatus.PARSING:
            open_stand_ins(tx, job, results, SYSTEM, ctx.resources.clock())
        attempts = jobs.attempts(tx, job_id, generation)
    opened = [a for a in attempts if a.is_provisional and not a.retry_of]
    return [a.id for a in opened if not a.status.is_final]


def conclude(ctx: Context, job: Job, attempts: Sequence[Attempt], generation: int) -> str:
    """Store the one result of a generation's attempts; the status that the job has then."""
    job_id = job.id
    if job.generation != generation or job.status is not JobStatus.PARSING:
        return job.status
    attempts = newest_tries(attempts)
    results = {a.id: _result_of(ctx, a) for a in attempts if a.result_blob}
    before = load(ctx.resources.blobs.get(job.result_blob)) if job.result_blob else None
    whole, status = outcome_of(job, attempts, results, before)
    if results:
        whole = with_receipt(whole, ctx.resources.text_layer(job))
    blob = ctx.resources.blobs.put_pieces(dump(whole)) if results else ""
    is_new = bool(results) and (before is None or whole.pages != before.pages)
    failed = next((a for a in attempts if a.error), None)
    now = ctx.resources.clock()
    with ctx.resources.store.write() as tx:
        fresh = jobs.locked(tx, job_id)
        if fresh.generation != generation or fresh.status is not JobStatus.PARSING:
            return fresh.status
        facts: dict[str, object] = {"result_blob": blob} if blob else {}
        if blob:
            facts["page_count"] = len(whole.pages)
        facts["is_provisional"] = any(page.is_provisional for page in whole.pages)
        cause = failed.error if failed else "every attempt is done"
        if before is not None and not is_new:
            left = standing(tx, job, whole)
            status, cause = left.status, f"nothing new came, the earlier result stands: {cause}"
            facts.update(reason=left.reason, next_step=left.next_step)
        elif status is JobStatus.CANCELLED:
            cause = "every attempt is cancelled"
        if failed is not None:
            facts.update(reason=failed.error, next_step=failed.next_step)
        concluded = jobs.change_job(tx, job_id, status, SYSTEM, cause, now, **facts)
        if status in {JobStatus.PARSED, JobStatus.FAILED_PARSE}:
            status = begin(tx, concluded, now)
    return status


def _result_of(ctx: Context, attempt: Attempt) -> ParsedDocument:
    return load(ctx.resources.blobs.get(attempt.result_blob))
