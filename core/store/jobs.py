"""Submissions, jobs, attempts and their timeline. Every change of state is one line of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, tuple_, update
from sqlmodel import col, select

from core.domain.documents import EngineName
from core.domain.jobs import (
    ATTEMPT_TRANSITIONS,
    JOB_TRANSITIONS,
    Actor,
    Attempt,
    AttemptStatus,
    Job,
    JobStatus,
    ParseOptions,
    Submission,
)
from core.domain.money import Tier, usd_from_micros, usd_to_micros
from core.domain.routing import Mode, PlannedAttempt, RoutePlan
from core.errors import NotAllowed, NotFound
from core.store.engine import Transaction
from core.store.rows import held
from core.store.tables import AttemptRow, JobRow, SubmissionRow, TransitionRow

__all__ = [
    "Cause",
    "JobFilter",
    "TimelineEntry",
    "add_attempt",
    "add_job",
    "add_submission",
    "attempt",
    "attempt_by_vendor_id",
    "attempts",
    "attempts_of",
    "causes",
    "change_attempt",
    "change_job",
    "claim_intent",
    "count_by_status",
    "earlier_result",
    "job",
    "jobs",
    "latest_runs",
    "locked",
    "locked_attempt",
    "note",
    "nothing_to_say",
    "oldest",
    "replan",
    "stages",
    "submission",
    "submission_by_key",
    "submissions",
    "timeline",
    "unfinished",
    "update_attempt",
    "update_job",
]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a job's timeline; ``subject`` is ``job``, ``attempt`` or ``webhook``."""

    at: datetime
    subject: str
    before: str
    after: str
    actor: str
    cause: str
    attempt_id: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; empty means all."""

    statuses: frozenset[JobStatus] = frozenset()
    tiers: frozenset[Tier] = frozenset()
    modes: frozenset[Mode] = frozenset()
    text: str = ""
    submission_id: str = ""
    since: datetime | None = None
    finished_since: datetime | None = None
    engine: EngineName | None = None
    reason: str = ""
    is_provisional: bool = False
    ids: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a number of jobs failed, in the words a person was given."""

    reason: str
    next_step: str
    count: int


def add_submission(tx: Transaction, submission_: Submission, key: str) -> None:
    """Record a press of Parse."""
    tx.add(
        SubmissionRow(
            id=submission_.id,
            key=key,
            actor=submission_.actor,
            mode=submission_.mode,
            tier=submission_.tier,
            created_at=submission_.created_at,
            correlation_id=submission_.correlation_id,
            estimated_credits=submission_.estimated_credits,
            estimated_micros=usd_to_micros(submission_.estimated_usd),
            team=submission_.team,
        )
    )
    tx.flush()


def submission(tx: Transaction, submission_id: str) -> Submission:
    """One submission with its jobs' ids in order. Raises ``NotFound``."""
    row = tx.get(SubmissionRow, submission_id)
    if row is None:
        raise NotFound("submission", submission_id)
    return _submission(tx, row)


def submission_by_key(tx: Transaction, key: str) -> Submission | None:
    """The submission that this press of Parse already made, if any."""
    row = tx.exec(select(SubmissionRow).where(SubmissionRow.key == key)).first()
    return None if row is None else _submission(tx, row)


def submissions(tx: Transaction, *, limit: int = 20) -> tuple[Submission, ...]:
    """The newest submissions."""
    query = select(SubmissionRow).order_by(col(SubmissionRow.created_at).desc()).limit(limit)
    return tuple(_submission(tx, row) for row in tx.exec(query))


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
            plan=_plan_to_json(job_.plan),
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
    _record(
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
    return _job(_job_row(tx, job_id))


def locked(tx: Transaction, job_id: str) -> Job:
    """One job as it is now; nobody else changes it until the transaction ends. Raises ``NotFound``."""
    return _job(_job_row(tx, job_id, lock=True))


def jobs(
    tx: Transaction, which: JobFilter, *, limit: int = 50, offset: int = 0
) -> tuple[tuple[Job, ...], int]:
    """One page of jobs, newest first, and how many there are in all."""
    where = _conditions(which)
    total = tx.exec(select(func.count()).select_from(JobRow).where(*where)).one()
    query = (
        select(JobRow)
        .where(*where)
        .order_by(col(JobRow.created_at).desc(), col(JobRow.position))
        .limit(limit)
        .offset(offset)
    )
    return tuple(_job(row) for row in tx.exec(query)), total


def oldest(
    tx: Transaction, which: JobFilter, *, after: Job | None = None, limit: int = 100
) -> tuple[Job, ...]:
    """The oldest jobs, or those that follow ``after``: page by page all of them, however many."""
    turn = tuple_(col(JobRow.created_at), col(JobRow.id))
    query = select(JobRow).where(*_conditions(which))
    if after is not None:
        query = query.where(turn > (after.created_at, after.id))
    query = query.order_by(col(JobRow.created_at), col(JobRow.id)).limit(limit)
    return tuple(_job(row) for row in tx.exec(query))


def count_by_status(tx: Transaction, which: JobFilter = JobFilter()) -> dict[JobStatus, int]:
    """How many jobs stand where."""
    query = (
        select(JobRow.status, func.count()).where(*_conditions(which)).group_by(col(JobRow.status))
    )
    return {JobStatus(status): count for status, count in tx.exec(query)}


def causes(tx: Transaction, statuses: Iterable[JobStatus], *, limit: int = 5) -> tuple[Cause, ...]:
    """Why jobs stand in these statuses, the most frequent cause first."""
    count = func.count()
    query = (
        select(JobRow.reason, JobRow.next_step, count)
        .where(col(JobRow.status).in_(list(statuses)))
        .group_by(col(JobRow.reason), col(JobRow.next_step))
        .order_by(count.desc(), col(JobRow.reason))
        .limit(limit)
    )
    return tuple(Cause(reason, step, number) for reason, step, number in tx.exec(query))


def latest_runs(
    tx: Transaction, mode: Mode, tier: Tier, *, limit: int = 50
) -> tuple[timedelta, ...]:
    """How long the newest complete jobs of this mode and tier took, from submit to result."""
    query = (
        select(JobRow.created_at, JobRow.finished_at)
        .where(
            JobRow.mode == mode,
            JobRow.tier == tier,
            JobRow.generation == 1,
            JobRow.status == JobStatus.COMPLETE,
        )
        .order_by(col(JobRow.created_at).desc())
        .limit(limit)
    )
    return tuple(ended - began for began, ended in tx.exec(query) if ended is not None)


def stages(tx: Transaction, job_ids: Sequence[str]) -> dict[str, AttemptStatus]:
    """How far the newest attempt of each of these jobs is."""
    query = (
        select(AttemptRow.job_id, AttemptRow.status)
        .where(col(AttemptRow.job_id).in_(list(job_ids)))
        .order_by(col(AttemptRow.generation), col(AttemptRow.number))
    )
    return {job_id: AttemptStatus(status) for job_id, status in tx.exec(query)}


def unfinished(
    tx: Transaction, statuses: Iterable[JobStatus], *, hold: str = "", limit: int = 1000
) -> tuple[Job, ...]:
    """Jobs in one of these statuses, oldest first; only those held for this when it is given."""
    query = (
        select(JobRow)
        .where(col(JobRow.status).in_(list(statuses)))
        .order_by(col(JobRow.created_at))
        .limit(limit)
    )
    if hold:
        query = query.where(JobRow.hold == hold)
    return tuple(_job(row) for row in tx.exec(query))


_WITH_WHOLE_RESULT = (JobStatus.COMPLETE, JobStatus.HANDING_OFF, JobStatus.FAILED_HANDOFF)


def earlier_result(
    tx: Transaction, sha256: str, options_key: str, modes: Sequence[Mode]
) -> Job | None:
    """The newest finished job with the same bytes and options, and no stand-in in its result."""
    query = (
        select(JobRow)
        .where(
            JobRow.document_sha256 == sha256,
            JobRow.options_key == options_key,
            col(JobRow.mode).in_(list(modes)),
            col(JobRow.status).in_(_WITH_WHOLE_RESULT),
            col(JobRow.is_provisional).is_(False),
        )
        .order_by(col(JobRow.created_at).desc())
    )
    row = tx.exec(query).first()
    return None if row is None else _job(row)


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
    _record(tx, job_id, None, "job", before, after, actor, cause, now)
    return _job(row)


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
        plan=_plan_to_json(planned.plan),
        mode=planned.mode,
        tier=planned.options.tier,
        generation=planned.generation,
        is_provisional=planned.is_provisional,
        estimated_credits=planned.estimated_credits,
        estimated_micros=usd_to_micros(planned.estimated_usd),
        **facts,
    )


def add_attempt(tx: Transaction, attempt_: Attempt, actor: Actor, cause: str) -> None:
    """Record a new attempt."""
    tx.add(AttemptRow(**{name: getattr(attempt_, name) for name in AttemptRow.model_fields}))
    tx.flush()
    _record(
        tx,
        attempt_.job_id,
        attempt_.id,
        "attempt",
        "",
        attempt_.status,
        actor,
        cause,
        attempt_.created_at,
    )


def attempt(tx: Transaction, attempt_id: str) -> Attempt:
    """One attempt. Raises ``NotFound``."""
    return _attempt(_attempt_row(tx, attempt_id))


def locked_attempt(tx: Transaction, attempt_id: str) -> Attempt:
    """One attempt as it is now; nobody else changes it until the transaction ends. Raises ``NotFound``."""
    return _attempt(_attempt_row(tx, attempt_id, lock=True))


def attempt_by_vendor_id(tx: Transaction, vendor_job_id: str) -> Attempt | None:
    """The attempt that owns this vendor job, if it is known yet."""
    row = tx.exec(select(AttemptRow).where(AttemptRow.vendor_job_id == vendor_job_id)).first()
    return None if row is None else _attempt(row)


def attempts(tx: Transaction, job_id: str, generation: int | None = None) -> tuple[Attempt, ...]:
    """A job's attempts in order; only those of one generation when it is given."""
    query = (
        select(AttemptRow)
        .where(AttemptRow.job_id == job_id)
        .order_by(col(AttemptRow.generation), col(AttemptRow.number))
    )
    if generation is not None:
        query = query.where(AttemptRow.generation == generation)
    return tuple(_attempt(row) for row in tx.exec(query))


def attempts_of(tx: Transaction, job_ids: Sequence[str]) -> dict[str, tuple[Attempt, ...]]:
    """The attempts of each of these jobs in order."""
    query = (
        select(AttemptRow)
        .where(col(AttemptRow.job_id).in_(list(job_ids)))
        .order_by(col(AttemptRow.generation), col(AttemptRow.number))
    )
    found: dict[str, list[Attempt]] = {job_id: [] for job_id in job_ids}
    for row in tx.exec(query):
        found[row.job_id].append(_attempt(row))
    return {job_id: tuple(tried) for job_id, tried in found.items()}


def change_attempt(  # noqa: PLR0913 - a transition is before, after, who, why and when
    tx: Transaction,
    attempt_id: str,
    after: AttemptStatus,
    actor: Actor,
    cause: str,
    now: datetime,
    *,
    detail: dict[str, Any] | None = None,
    **facts: object,
) -> Attempt | None:
    """Move an attempt to another status; None, and nothing changed, when it is already final or there.

    Raises ``NotFound``, and ``NotAllowed`` when the present status cannot be followed by ``after``.
    """
    row = _attempt_row(tx, attempt_id, lock=True)
    before = AttemptStatus(row.status)
    if before.is_final or before is after:
        return None
    if after not in ATTEMPT_TRANSITIONS[before]:
        raise NotAllowed(f"An attempt that is {before.value} cannot become {after.value}.")
    row.status = after
    if after.is_final:
        row.finished_at = now
    for name, value in facts.items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()
    _record(tx, row.job_id, row.id, "attempt", before, after, actor, cause, now, detail)
    return _attempt(row)


def update_attempt(tx: Transaction, attempt_id: str, **facts: object) -> None:
    """Add facts to an attempt without a change of status."""
    row = _attempt_row(tx, attempt_id, lock=True)
    for name, value in facts.items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()


def claim_intent(
    tx: Transaction, attempt_id: str, *, expected_owner: str, owner: str, now: datetime
) -> bool:
    """Take over the right to submit, if nobody else did since ``expected_owner`` was read.

    What was called off meanwhile is not submitted.
    """
    result = tx.execute(
        update(AttemptRow)
        .where(
            col(AttemptRow.id) == attempt_id,
            col(AttemptRow.intent_owner) == expected_owner,
            col(AttemptRow.cancel_requested_by) == "",
            col(AttemptRow.status).in_([AttemptStatus.RESERVED, AttemptStatus.UNKNOWN]),
        )
        .values(intent_owner=owner, intent_at=now, submits=AttemptRow.submits + 1)
        .execution_options(synchronize_session=False)
    )
    tx.expire_all()
    return bool(result.rowcount)  # type: ignore[attr-defined]


def note(  # noqa: PLR0913 - a line of the timeline has these parts
    tx: Transaction,
    job_id: str,
    subject: str,
    after: str,
    actor: Actor,
    cause: str,
    now: datetime,
    *,
    attempt_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """A line on the timeline that changes no status."""
    _record(tx, job_id, attempt_id, subject, "", after, actor, cause, now, detail)


def timeline(tx: Transaction, job_id: str) -> tuple[TimelineEntry, ...]:
    """All that happened to a job, oldest first."""
    query = (
        select(TransitionRow)
        .where(TransitionRow.job_id == job_id)
        .order_by(col(TransitionRow.at), col(TransitionRow.id))
    )
    return tuple(
        TimelineEntry(r.at, r.subject, r.before, r.after, r.actor, r.cause, r.attempt_id, r.detail)
        for r in tx.exec(query)
    )


def _record(  # noqa: PLR0913 - the one place that writes a line of the timeline
    tx: Transaction,
    job_id: str,
    attempt_id: str | None,
    subject: str,
    before: str,
    after: str,
    actor: Actor,
    cause: str,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    # columns and no row object: nobody reads it again, and several are written per transaction
    tx.execute(
        insert(TransitionRow),
        {
            "job_id": job_id,
            "attempt_id": attempt_id,
            "subject": subject,
            "before": str(before),
            "after": str(after),
            "actor": str(actor),
            "cause": cause,
            "detail": detail or {},
            "at": now,
        },
    )


def _job_row(tx: Transaction, job_id: str, *, lock: bool = False) -> JobRow:
    row = held(tx, JobRow, job_id) if lock else tx.get(JobRow, job_id)
    if row is None:
        raise NotFound("job", job_id)
    return row


def _attempt_row(tx: Transaction, attempt_id: str, *, lock: bool = False) -> AttemptRow:
    row = held(tx, AttemptRow, attempt_id) if lock else tx.get(AttemptRow, attempt_id)
    if row is None:
        raise NotFound("attempt", attempt_id)
    return row


def _conditions(which: JobFilter) -> list[ColumnElement[bool]]:
    one_of = (
        (JobRow.status, which.statuses),
        (JobRow.tier, which.tiers),
        (JobRow.mode, which.modes),
        (JobRow.id, which.ids),
    )
    where: list[ColumnElement[bool]] = [
        col(column).in_(sorted(values)) for column, values in one_of if values
    ]
    if which.submission_id:
        where.append(col(JobRow.submission_id) == which.submission_id)
    if which.is_provisional:
        where.append(col(JobRow.is_provisional).is_(True))
    if which.reason:
        where.append(col(JobRow.reason) == which.reason)
    if which.since is not None:
        where.append(col(JobRow.created_at) >= which.since)
    if which.finished_since is not None:
        where.append(col(JobRow.finished_at) >= which.finished_since)
    if which.engine is not None:
        used = select(AttemptRow.job_id).where(AttemptRow.engine == which.engine)
        where.append(col(JobRow.id).in_(used))
    if which.text:
        text = which.text
        where.append(or_(col(JobRow.name).icontains(text, autoescape=True), col(JobRow.id) == text))
    return where


def _submission(tx: Transaction, row: SubmissionRow) -> Submission:
    ids = tx.exec(
        select(JobRow.id).where(JobRow.submission_id == row.id).order_by(col(JobRow.position))
    )
    return Submission(
        id=row.id,
        actor=row.actor,
        mode=Mode(row.mode),
        tier=Tier(row.tier),
        created_at=row.created_at,
        correlation_id=row.correlation_id,
        estimated_credits=row.estimated_credits,
        estimated_usd=usd_from_micros(row.estimated_micros),
        job_ids=tuple(ids),
        team=row.team,
    )


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        submission_id=row.submission_id,
        position=row.position,
        document_sha256=row.document_sha256,
        name=row.name,
        status=JobStatus(row.status),
        mode=Mode(row.mode),
        options=ParseOptions(Tier(row.tier), row.target_pages, row.disable_cache, row.max_pages),
        plan=_plan_from_json(row.plan),
        generation=row.generation,
        correlation_id=row.correlation_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        reason=row.reason,
        next_step=row.next_step,
        page_count=row.page_count,
        estimated_credits=row.estimated_credits,
        estimated_usd=usd_from_micros(row.estimated_micros),
        billed_credits=row.billed_credits,
        result_blob=row.result_blob,
        is_provisional=row.is_provisional,
        hold=row.hold,
        workflow_id=row.workflow_id,
    )


def _attempt(row: AttemptRow) -> Attempt:
    facts = {name: getattr(row, name) for name in AttemptRow.model_fields}
    facts.update(
        engine=EngineName(row.engine), tier=Tier(row.tier), status=AttemptStatus(row.status)
    )
    return Attempt(**facts)


def _plan_to_json(plan: RoutePlan) -> dict[str, Any]:
    return {
        "reason": plan.reason,
        "is_provisional": plan.is_provisional,
        "attempts": [
            {
                "engine": a.engine,
                "tier": a.tier,
                "target_pages": list(a.target_pages),
                "credits": a.credits,
                "reason": a.reason,
                "is_provisional": a.is_provisional,
            }
            for a in plan.attempts
        ],
    }


def _plan_from_json(plan: dict[str, Any]) -> RoutePlan:
    return RoutePlan(
        attempts=tuple(
            PlannedAttempt(
                EngineName(a["engine"]),
                Tier(a["tier"]),
                tuple(a["target_pages"]),
                a["credits"],
                a.get("reason", ""),
                # plans of the first versions say it of the whole
                a.get("is_provisional", plan["is_provisional"]),
            )
            for a in plan["attempts"]
        ),
        reason=plan["reason"],
    )
