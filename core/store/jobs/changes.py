"""One job, and every change of it."""

from datetime import datetime

from sqlalchemy import or_, update
from sqlmodel import col

from core.domain.jobs import JOB_TRANSITIONS, Actor, Job, JobStatus
from core.domain.money import usd_to_micros
from core.errors import NotAllowed, NotFound
from core.store.engine import Transaction
from core.store.jobs.reading import job_of, plan_to_json
from core.store.jobs.timeline import record
from core.store.rows import held
from core.store.tables import JobRow

__all__ = ["add_job", "change_job", "job", "locked", "nothing_to_say", "replan", "update_job"]


def add_job(tx: Transaction, job_: Job, options_key: str, actor: Actor) -> None:
    """Record a new job and the first line of its timeline."""
    tx.add(
        JobRow(
            id=job_.id,
            submission_id=job_.submission_id,
            position=job_.position,
            document_sha256=job_.document_sha256,
            name=job_.name,
            status=job_.status,
            mode=job_.mode,
            tier=job_.options.tier,
            target_pages=job_.options.target_pages,
            disable_cache=job_.options.disable_cache,
            options_key=options_key,
            plan=plan_to_json(job_.plan),
            generation=job_.generation,
            correlation_id=job_.correlation_id,
            created_at=job_.created_at,
            updated_at=job_.updated_at,
            finished_at=job_.finished_at,
            reason=job_.reason,
            next_step=job_.next_step,
            page_count=job_.page_count,
            estimated_credits=job_.estimated_credits,
            estimated_micros=usd_to_micros(job_.estimated_usd),
            billed_credits=job_.billed_credits,
            result_blob=job_.result_blob,
            is_provisional=job_.is_provisional,
            hold=job_.hold,
            workflow_id=job_.workflow_id,
            max_pages=job_.options.max_pages,
        )
    )
    tx.flush()
    record(
        tx,
        job_.id,
        None,
        "job",
        "",
        job_.status,
        actor,
        job_.reason or "submitted",
        job_.created_at,
    )


def job(tx: Transaction, job_id: str) -> Job:
    """One job. Raises ``NotFound``."""
    return job_of(_job_row(tx, job_id))


def locked(tx: Transaction, job_id: str) -> Job:
    """One job as it is now; nobody else changes it until the transaction ends. Raises ``NotFound``."""
    return job_of(_job_row(tx, job_id, lock=True))


def change_job(  # noqa: PLR0913 - a transition is before, after, who, why and when
    tx: Transaction,
    job_id: str,
    after: JobStatus,
    actor: Actor,
    cause: str,
    now: datetime,
    **facts: object,
) -> Job:
    """Move a job to another status and write it on the timeline.

    Raises ``NotFound``, and ``NotAllowed`` when the present status cannot be followed by ``after``,
    or when it is final and ``actor`` is no person.
    """
    row = _job_row(tx, job_id, lock=True)
    before = JobStatus(row.status)
    regresses = before.is_final and not (after is JobStatus.COMPLETE and before.has_result)
    if after not in JOB_TRANSITIONS[before] or (regresses and not actor.is_person):
        raise NotAllowed(
            f"{row.name} is {before.value.replace('_', ' ')} and cannot become {after.value.replace('_', ' ')}."
        )
    row.status = after
    row.updated_at = now
    row.finished_at = now if after.is_final else None
    for name, value in facts.items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()
    record(tx, job_id, None, "job", before, after, actor, cause, now)
    return job_of(row)


def update_job(tx: Transaction, job_id: str, **facts: object) -> None:
    """Add facts to a job without a change of status."""
    row = _job_row(tx, job_id, lock=True)
    for name, value in facts.items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()


def nothing_to_say(tx: Transaction, job_id: str) -> None:
    """The job waits for nothing any more: what it gave as a reason is taken back."""
    tx.execute(
        update(JobRow)
        .where(col(JobRow.id) == job_id, or_(col(JobRow.reason) != "", col(JobRow.next_step) != ""))
        .values(reason="", next_step="")
    )


def replan(tx: Transaction, planned: Job, options_key: str = "") -> None:
    """Give a job another plan: its mode, tier, generation and price with it."""
    facts: dict[str, object] = {"options_key": options_key} if options_key else {}
    update_job(
        tx,
        planned.id,
        plan=plan_to_json(planned.plan),
        mode=planned.mode,
        tier=planned.options.tier,
        generation=planned.generation,
        is_provisional=planned.is_provisional,
        estimated_credits=planned.estimated_credits,
        estimated_micros=usd_to_micros(planned.estimated_usd),
        **facts,
    )


def _job_row(tx: Transaction, job_id: str, *, lock: bool = False) -> JobRow:
    row = held(tx, JobRow, job_id) if lock else tx.get(JobRow, job_id)
    if row is None:
        raise NotFound("job", job_id)
    return row
