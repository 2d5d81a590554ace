"""Letting a job in: its attempts are opened and their money reserved, or it is held with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.clock import new_id
from core.domain.budgets import Limit
from core.domain.documents import EngineName, page_ranges
from core.domain.jobs import Actor, Attempt, AttemptStatus, Job, JobStatus
from core.domain.money import usd_to_micros
from core.store import Transaction, jobs, ledger

__all__ = ["RETRY_RULE", "Rules", "admit", "open_retry", "workflow_id_of"]

RETRY_RULE = Actor("system:retry-rule", is_authenticated=True)


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits that hold now, and where a day begins."""

    limits: Sequence[Limit]
    timezone: str


def workflow_id_of(job: Job) -> str:
    """The id of the workflow that drives this generation of the job: the job's own id at first."""
    return job.id if job.generation == 1 else f"{job.id}.{job.generation}"


def admit(tx: Transaction, job: Job, rules: Rules, actor: Actor, now: datetime) -> Job:
    """Open and reserve the attempts of a job's present generation.

    All of them or none, in the caller's transaction. The job becomes ``parse_queued``, or ``held``
    with the limit that stands in the way. Admitting again reserves nothing twice.
    """
    opened = jobs.attempts(tx, job.id, job.generation) or _open(tx, job, actor, now)
    refusal = _reserve(tx, job, opened, rules, actor, now)
    if refusal:
        if job.status is JobStatus.HELD:
            return job
        step = "It starts by itself when the window opens, or raise the limit."
        return jobs.change_job(
            tx,
            job.id,
            JobStatus.HELD,
            actor,
            refusal,
            now,
            reason=refusal,
            next_step=step,
            hold="limit",
        )
    for attempt in opened:
        if attempt.status is AttemptStatus.PLANNED:
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.RESERVED,
                actor,
                f"{attempt.estimated_credits} credits reserved",
                now,
            )
    return jobs.change_job(
        tx,
        job.id,
        JobStatus.PARSE_QUEUED,
        actor,
        "within the limits",
        now,
        reason="",
        next_step="",
        hold="",
        workflow_id=workflow_id_of(job),
    )


def open_retry(  # noqa: PLR0913 - what is tried again, under which rules, why, when
    tx: Transaction, job: Job, failed: Attempt, rules: Rules, cause: str, now: datetime
) -> str:
    """Open and reserve the attempt that tries a failed one again; empty, or the limit in the way.

    In the caller's transaction, together with the failure: nobody else opens a second one. The
    reservation comes first; when it is refused nothing is opened.
    """
    earlier = jobs.attempts(tx, job.id, failed.generation)
    retry = Attempt(
        id=new_id("att"),
        job_id=job.id,
        generation=failed.generation,
        number=max(attempt.number for attempt in earlier) + 1,
        engine=failed.engine,
        tier=failed.tier,
        target_pages=failed.target_pages,
        status=AttemptStatus.PLANNED,
        created_at=now,
        estimated_credits=failed.estimated_credits,
        retry_of=failed.id,
        is_provisional=failed.is_provisional,
    )
    refusal = _reserve(tx, job, (retry,), rules, RETRY_RULE, now)
    if refusal:
        return refusal
    jobs.add_attempt(tx, retry, RETRY_RULE, cause)
    reserved = f"{retry.estimated_credits} credits reserved"
    jobs.change_attempt(tx, retry.id, AttemptStatus.RESERVED, RETRY_RULE, reserved, now)
    return ""


def _open(tx: Transaction, job: Job, actor: Actor, now: datetime) -> tuple[Attempt, ...]:
    opened = tuple(
        Attempt(
            id=new_id("att"),
            job_id=job.id,
            generation=job.generation,
            number=number,
            engine=planned.engine,
            tier=planned.tier,
            target_pages=page_ranges(planned.target_pages),
            status=AttemptStatus.PLANNED,
            created_at=now,
            estimated_credits=planned.credits,
            is_provisional=planned.is_provisional,
        )
        for number, planned in enumerate(job.plan.attempts, start=1)
    )
    for attempt, planned in zip(opened, job.plan.attempts, strict=True):
        jobs.add_attempt(tx, attempt, actor, planned.reason or job.plan.reason)
    return opened


def _reserve(  # noqa: PLR0913 - what is reserved, under which rules, by whom, when
    tx: Transaction,
    job: Job,
    opened: tuple[Attempt, ...],
    rules: Rules,
    actor: Actor,
    now: datetime,
) -> str:
    # a savepoint: when the second attempt is refused, the first one's reservation is undone with it
    savepoint = tx.begin_nested()
    per_credit = job.estimated_usd / job.estimated_credits if job.estimated_credits else Decimal(0)
    for attempt in opened:
        wanted = ledger.Reservation(
            job_id=job.id,
            attempt_id=attempt.id,
            mode=job.mode,
            tier=attempt.tier,
            actor=str(actor),
            credits=attempt.estimated_credits,
            micros=usd_to_micros(per_credit * attempt.estimated_credits),
            submits=0 if attempt.engine is EngineName.LOCAL else 1,
        )
        refusal = ledger.reserve(tx, wanted, rules.limits, now, rules.timezone)
        if refusal:
            savepoint.rollback()
            return refusal
    savepoint.commit()
    return ""
