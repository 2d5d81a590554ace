"""Letting a job in: its attempts are opened and their money reserved, or it is held with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.clock import new_id
from core.domain import times
from core.domain.budgets import (
    Ask,
    Limit,
    Refusal,
    book_of,
    in_order,
    next_start,
    refusal_of,
)
from core.domain.counts import counted
from core.domain.documents import EngineName, page_ranges, parse_page_ranges
from core.domain.jobs import Actor, Attempt, AttemptStatus, Job, JobStatus
from core.domain.money import usd_to_micros
from core.domain.routing import MAX_PAGES_UNKNOWN
from core.errors import NotAllowed
from core.pipeline.terms import Rules, Terms
from core.store import Store, Transaction, jobs, ledger, limits, queue
from core.store.limits import Approval

__all__ = [
    "RETRY_RULE",
    "admit",
    "open_retry",
    "release_held",
    "reservation_of",
    "workflow_id_of",
]

RETRY_RULE = Actor("system:retry-rule", is_authenticated=True)


_SUBMITTER = Actor("system:submitter", is_authenticated=True)


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a job is held, and what can be done."""

    what: str
    next_step: str


def workflow_id_of(job: Job) -> str:
    """The id of the workflow that drives this generation of the job: the job's own id at first."""
    return job.id if job.generation == 1 else f"{job.id}.{job.generation}"


def _next_workflow_id(job: Job, opened: Sequence[Attempt]) -> str:
    """As above; when an attempt has ended already, the first workflow has too, so the next one's."""
    if any(attempt.status.is_final for attempt in opened):
        return f"{job.workflow_id}+"
    return workflow_id_of(job)


def admit(terms: Terms, job: Job, actor: Actor, *, in_turn: bool = False) -> Job:
    """Open and reserve the attempts of a job's present generation.

    All of them or none, in the transaction of ``terms``. The job becomes ``parse_queued``, or ``held``
    with the limit that stands in the way. Admitting again reserves nothing twice. A job does not take
    the room of those that wait ahead of it, unless it is ``in_turn``.
    """
    tx, now = terms.tx, terms.now
    queue.lock_attempts(tx, [job.id])
    opened = jobs.attempts(tx, job.id, job.generation) or _open(tx, job, actor, now)
    approval = limits.approval_of(tx, job.id, job.generation, now)
    refused = _reserve(terms, job, opened, actor, approval, in_turn=in_turn)
    if refused is not None:
        return _hold(tx, job, refused, actor, now)
    for attempt in opened:
        if attempt.status is AttemptStatus.PLANNED:
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.RESERVED,
                actor,
                f"{counted(attempt.estimated_credits, 'credit')} reserved",
                now,
            )
    return jobs.change_job(
        tx,
        job.id,
        JobStatus.PARSE_QUEUED,
        actor,
        "approved past the limits" if approval else "within the limits",
        now,
        reason="",
        next_step="",
        hold="",
        workflow_id=_next_workflow_id(job, opened),
        billed_credits=ledger.billed_credits(tx, job.id),
    )


def open_retry(terms: Terms, job: Job, failed: Attempt, cause: str, *, may_wait: bool) -> str:
    """Open and reserve the attempt that tries a failed one again; empty, or the limit in the way.

    In the transaction of ``terms``, together with the failure: nobody else opens a second one. The
    reservation comes first. When it is refused, the job is held with the retry planned if it
    ``may_wait``, and else nothing is opened.
    """
    tx, now = terms.tx, terms.now
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
    approval = limits.approval_of(tx, job.id, job.generation, now)
    refused = _reserve(terms, job, (retry,), RETRY_RULE, approval, in_turn=True)
    if refused is None or may_wait:
        jobs.add_attempt(tx, retry, RETRY_RULE, cause)
    if refused is not None:
        if may_wait:
            _hold(tx, job, refused, RETRY_RULE, now)
        return refused.what
    reserved = f"{counted(retry.estimated_credits, 'credit')} reserved"
    jobs.change_attempt(tx, retry.id, AttemptStatus.RESERVED, RETRY_RULE, reserved, now)
    jobs.update_job(tx, job.id, billed_credits=ledger.billed_credits(tx, job.id))
    return ""


def release_held(store: Store, rules: Rules, actor: Actor, now: datetime) -> tuple[Job, ...]:
    """Let in, in their order, the waiting jobs that fit now; each in a transaction of its own."""
    started = []
    for book in ("real", "mock"):
        with store.read() as tx:
            waiting = queue.waiting(tx, book)
            if not waiting:
                continue
            in_force = limits.in_force(tx, book, rules.limits, now)
            uses = ledger.uses(tx, book, in_force, now, rules.timezone)
        fits, _after = in_order(uses, [job.ask for job in waiting])
        for candidate, does_fit in zip(waiting, fits, strict=True):
            if does_fit:
                job = _release(store, candidate.job_id, rules, actor, now)
                if job is not None and job.status is JobStatus.PARSE_QUEUED:
                    started.append(job)
    return tuple(started)


def _release(store: Store, job_id: str, rules: Rules, actor: Actor, now: datetime) -> Job | None:
    with store.write() as tx:
        queue.lock_attempts(tx, [job_id])
        job = jobs.job(tx, job_id)
        if job.status is not JobStatus.HELD or job.hold != queue.WAITS_FOR_ROOM:
            return None  # another process, or a person, was quicker
        return admit(Terms(tx, rules, now), job, actor, in_turn=True)


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


def _hold(tx: Transaction, job: Job, refused: _Refused, actor: Actor, now: datetime) -> Job:
    facts: dict[str, object] = {"reason": refused.what, "next_step": refused.next_step}
    if job.status is JobStatus.HELD:
        if (job.reason, job.hold) != (refused.what, queue.WAITS_FOR_ROOM):
            jobs.update_job(tx, job.id, hold=queue.WAITS_FOR_ROOM, **facts)
        return jobs.job(tx, job.id)
    return jobs.change_job(
        tx,
        job.id,
        JobStatus.HELD,
        actor,
        refused.what,
        now,
        hold=queue.WAITS_FOR_ROOM,
        **facts,
    )


def _reserve(  # noqa: PLR0913 - what is reserved, on which terms, by whom, by whose leave
    terms: Terms,
    job: Job,
    opened: tuple[Attempt, ...],
    actor: Actor,
    approval: Approval | None,
    *,
    in_turn: bool,
) -> _Refused | None:
    tx, rules, now = terms.tx, terms.rules, terms.now
    book = book_of(job.mode)
    if book == "real" and not _is_local(opened) and terms.frozen is not None:
        return _Refused(f"Real work is frozen. {terms.frozen}", "A lead lifts it on Limits.")
    # whoever starts it pays; what starts by a lead's leave is the submitter's
    payer = actor if approval is None else _SUBMITTER
    try:
        wanted = [
            reservation_of(terms, job, attempt, payer)
            for attempt in opened
            if not ledger.is_reserved(tx, attempt.id)
        ]
    except NotAllowed as missing:
        return _Refused(missing.what, missing.next_step)
    in_force = terms.locked_limits(book)
    if approval is None:
        refusal = _refusal(terms, job, wanted, in_force, in_turn=in_turn)
        if refusal is not None:
            return _words(refusal, rules, now)
    approval_id = None if approval is None else approval.id
    # a savepoint: when the second attempt is refused, the first one's reservation is undone with it
    savepoint = tx.begin_nested()
    for one in wanted:
        refusal = ledger.reserve(tx, one, in_force, now, rules.timezone, approval_id)
        if refusal is not None:
            savepoint.rollback()
            return _words(refusal, rules, now)
    savepoint.commit()
    return None


def _refusal(
    terms: Terms,
    job: Job,
    wanted: Sequence[ledger.Reservation],
    in_force: Sequence[Limit],
    *,
    in_turn: bool,
) -> Refusal | None:
    """The limit in the way of the whole job, after those that wait ahead of it and could start."""
    tx = terms.tx
    uses = ledger.uses(tx, job.mode, in_force, terms.now, terms.rules.timezone)
    if not in_turn:
        ahead = queue.waiting(tx, book_of(job.mode), before=(job.created_at, job.position))
        _granted, uses = in_order(uses, [other.ask for other in ahead])
    scopes = tuple(dict.fromkeys(scope for one in wanted for scope in one.ask.scopes))
    whole = Ask(sum(one.micros for one in wanted), sum(one.submits for one in wanted), scopes)
    return refusal_of(uses, whole)


def _is_local(attempts: Sequence[Attempt]) -> bool:
    return all(attempt.engine is EngineName.LOCAL for attempt in attempts)


def reservation_of(terms: Terms, job: Job, attempt: Attempt, payer: Actor) -> ledger.Reservation:
    """What an attempt takes at today's price; what no person started is paid by the submitter.

    Raises ``NotAllowed`` for what has no price: it is not spent on.
    """
    price = terms.price_of(job)
    team, submitter = terms.booked_on(job.submission_id)
    is_local = attempt.engine is EngineName.LOCAL
    named = parse_page_ranges(attempt.target_pages) if attempt.target_pages else ()
    pages = len(named) or job.page_count or job.options.max_pages or MAX_PAGES_UNKNOWN
    # what waited or is tried again may have been planned when a page cost less
    credits_ = max(
        attempt.estimated_credits, terms.rules.cost(attempt.engine, price, attempt.tier, pages)
    )
    return ledger.Reservation(
        job_id=job.id,
        attempt_id=attempt.id,
        mode=job.mode,
        tier=attempt.tier,
        actor=str(payer) if payer.is_person else submitter,
        credits=credits_,
        micros=usd_to_micros(price.usd(credits_)),
        submits=0 if is_local else 1,
        service=attempt.engine,
        engine=attempt.engine,
        team=team,
        pages=pages,
        page_price_id=price.page_ids.get(attempt.tier),
        credit_price_id=price.credit_id,
    )


def _words(refusal: Refusal, rules: Rules, now: datetime) -> _Refused:
    if not refusal.fits_a_window:
        return _Refused(refusal.words, "Or choose a cheaper tier.")
    opens = next_start(refusal.limit.window, now, rules.timezone)
    step = f"It starts by itself when there is room, at the latest on {times.short(opens, rules.timezone)}"
    return _Refused(refusal.words, f"{step} if nothing else waits; or decide now.")
