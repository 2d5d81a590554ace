"""What can be done about a document that a limit holds: wait, pay less, stay local, ask, approve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.clock import Clock
from core.domain.budgets import (
    Ask,
    LimitUse,
    Refusal,
    Uses,
    book_of,
    in_order,
    next_start,
    refusal_of,
)
from core.domain.documents import EngineName, parse_page_ranges
from core.domain.jobs import Actor, Job, JobStatus
from core.domain.money import Price, Tier, usd_exact, usd_to_micros
from core.domain.routing import (
    MAX_PAGES_UNKNOWN,
    Mode,
    PlannedAttempt,
    RouteFacts,
    RoutePlan,
    plan_route,
)
from core.errors import NotAllowed, PriceMissing
from core.pipeline.admission import admit
from core.pipeline.terms import Rules, Terms
from core.pipeline.withdrawal import withdraw
from core.services.submit import options_key
from core.store import Store, Transaction, alerts, jobs, ledger, limits, queue, requests
from core.store.alerts import Alert
from core.store.limits import Approval

__all__ = ["Asked", "Choice", "Holds", "TierOffer"]

_APPROVED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TierOffer:
    """The same document at a cheaper tier, and whether it could start at once."""

    tier: Tier
    usd: Decimal
    starts_now: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What stands in a document's way, and what can be done about it.

    ``next_window`` is what those that wait will take of each limit when it starts anew.
    """

    job: Job
    refusal: Refusal | None
    opens_at: datetime | None
    ahead: int
    waiting: int
    next_window: Uses
    offers: tuple[TierOffer, ...]
    can_go_local: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A held job that somebody asked a lead to let pass: who, why and when."""

    job: Job
    actor: str
    note: str
    at: datetime


class Holds:
    """Decisions about held documents; each is on record with who made it."""

    def __init__(
        self,
        store: Store,
        rules: Callable[[], Rules],
        enqueue: Callable[[str, str, int], None],
        is_read_here: Callable[[Job], bool],
        clock: Clock,
    ) -> None:
        self._store = store
        self._rules = rules
        self._enqueue = enqueue
        self._is_read_here = is_read_here
        self._clock = clock

    def choice(self, job_id: str) -> Choice:
        """What can be done. Raises ``NotFound``, ``NotAllowed`` when the job does not wait for room."""
        now, rules = self._clock(), self._rules()
        with self._store.read() as tx:
            job = _held(tx, job_id)
            book = book_of(job.mode)
            in_force = limits.in_force(tx, book, rules.limits, now)
            uses = ledger.uses(tx, job.mode, in_force, now, rules.timezone)
            waiting = queue.waiting(tx, book)
            mine = next(w for w in waiting if w.job_id == job_id)
            ahead = [w for w in waiting if w.turn < mine.turn]
            _granted, then = in_order(uses, [w.ask for w in ahead])
            refusal = refusal_of(then, mine.ask)
            offers = self._offers(tx, job, then, mine.ask, rules, now)
        fresh = tuple(LimitUse(limit, 0, 0) for limit in in_force)
        _fits, next_window = in_order(fresh, [w.ask for w in waiting])
        return Choice(
            job=job,
            refusal=refusal,
            opens_at=_opens_at(refusal, rules, now),
            ahead=len(ahead),
            waiting=len(waiting),
            next_window=next_window,
            offers=offers,
            can_go_local=job.mode is Mode.HYBRID and self._is_read_here(job),
        )

    def cheaper(self, job_id: str, tier: Tier, actor: Actor) -> Job:
        """Parse it at a cheaper tier instead. Raises ``NotAllowed`` for a dearer one."""
        now, rules = self._clock(), self._rules()
        with self._store.write() as tx:
            queue.lock_attempts(tx, [job_id])
            job, terms = _held(tx, job_id), Terms(tx, rules, now)
            price = terms.price_of(job)
            plan = _plan(job, tier, price)
            if plan.credits >= job.plan.credits:
                raise NotAllowed(f"{tier.value.replace('_', ' ')} is not cheaper.")
            replaced = self._replanned(tx, job, tier, plan, price.usd(plan.credits), actor, now)
            admitted = admit(terms, replaced, actor)
        self._start(admitted)
        return admitted

    def go_local(self, job_id: str, actor: Actor) -> Job:
        """Let the local engine stand in, free and provisional.

        Raises ``NotAllowed`` outside HYBRID, and for what cannot be read on this machine.
        """
        now = self._clock()
        with self._store.read() as tx:
            held = _held(tx, job_id)
        is_read_here = self._is_read_here(held)
        with self._store.write() as tx:
            queue.lock_attempts(tx, [job_id])
            job = _held(tx, job_id)
            if job.mode is not Mode.HYBRID:
                raise NotAllowed("The local engine stands in for LlamaParse only in HYBRID.")
            if not is_read_here:
                raise NotAllowed(
                    f"{job.name} cannot be read on this machine.", "Setup says what is missing."
                )
            local = PlannedAttempt(
                EngineName.LOCAL, job.options.tier, _pages(job), 0, is_provisional=True
            )
            plan = RoutePlan((local,), "Over the limit: the local engine stands in.")
            replaced = self._replanned(tx, job, job.options.tier, plan, Decimal(0), actor, now)
            admitted = admit(Terms(tx, self._rules(), now), replaced, actor)
        self._start(admitted)
        return admitted

    def ask(self, job_id: str, note: str, actor: Actor) -> None:
        """Ask a lead to let it pass; it stands among the alerts, and the job goes on waiting."""
        now = self._clock()
        with self._store.write() as tx:
            job = _held(tx, job_id)
            why, price = note.strip(), usd_exact(job.estimated_usd)
            words = f"{actor} asks to let {job.name} pass for {price}: {why or 'no reason given'}."
            jobs.note(tx, job_id, "money", requests.ASKED, actor, words, now, detail={"note": why})
            step = (
                f"Decide on the Limits screen, or: parsedeck spend approve {job_id} --reason TEXT."
            )
            # after a no it may be asked, and told, anew
            key = f"ask:{job_id}:{job.generation}:{requests.closed_before(tx, job_id)}"
            alerts.record(tx, Alert(key, book_of(job.mode), "ask", words, step, now))

    def asked(self) -> tuple[Asked, ...]:
        """What waits for a lead's answer, the oldest first, real and simulated."""
        with self._store.read() as tx:
            return tuple(
                Asked(jobs.job(tx, one.job_id), one.actor, one.note, one.at)
                for one in requests.open_requests(tx)
            )

    def refuse(self, job_ids: Sequence[str], reason: str, actor: Actor) -> None:
        """Say no to what was asked for these, on record; they go on waiting for room. All or none.

        Raises ``NotAllowed`` without a reason or for what nobody asked for.
        """
        if not reason.strip():
            raise NotAllowed("A refusal needs a reason.", "Say why, so that others understand it.")
        now = self._clock()
        with self._store.write() as tx:
            queue.lock_attempts(tx, job_ids)
            waiting = {one.job_id for one in requests.open_requests(tx)}
            for job_id in job_ids:
                job = _held(tx, job_id)
                if job_id not in waiting:
                    raise NotAllowed(f"Nobody asked to let {job.name} pass.", "Look again.")
                words = f"refused to let it pass: {reason.strip()}"
                jobs.note(tx, job_id, "money", "refused", actor, words, now)
                step = (
                    f"{actor} {words}. It waits for room; or choose a cheaper tier, or cancel it."
                )
                jobs.update_job(tx, job_id, next_step=step)

    def approve(
        self, job_ids: Sequence[str], reason: str, actor: Actor, *, hours: float | None = None
    ) -> tuple[Job, ...]:
        """Let these pass the limits, once, on record. All or none.

        Raises ``NotAllowed`` without a reason or for what does not wait for room.
        """
        if not reason.strip():
            raise NotAllowed(
                "An approval needs a reason.", "Say why, so that others understand it."
            )
        now, rules = self._clock(), self._rules()
        lasts = _APPROVED_FOR if hours is None else timedelta(hours=hours)
        with self._store.write() as tx:
            queue.lock_attempts(tx, job_ids)
            approved, terms = [], Terms(tx, rules, now)
            for job_id in job_ids:
                job = _held(tx, job_id)
                approval = Approval(
                    0, job_id, job.generation, str(actor), reason.strip(), now, now + lasts
                )
                limits.add_approval(tx, approval)
                words = f"approved past the limit: {reason.strip()}"
                jobs.note(tx, job_id, "money", "approved", actor, words, now)
                approved.append(admit(terms, job, actor))
        for job in approved:
            self._start(job)
        return tuple(approved)

    def _start(self, job: Job) -> None:
        if job.status is JobStatus.PARSE_QUEUED:
            # a crash before this line is healed by the worker's sweep
            self._enqueue(job.workflow_id, job.id, job.generation)

    def _offers(  # noqa: PLR0913 - a job, the limits after those ahead of it, prices
        self, tx: Transaction, job: Job, uses: Uses, ask: Ask, rules: Rules, now: datetime
    ) -> tuple[TierOffer, ...]:
        try:
            price = Terms(tx, rules, now).price_of(job)
        except PriceMissing:
            return ()
        found = []
        for tier in price.credits_per_page:
            plan = _plan(job, tier, price)
            if plan.credits < job.plan.credits:
                usd = price.usd(plan.credits)
                less = Ask(usd_to_micros(usd), ask.submits, ask.scopes)
                found.append(TierOffer(tier, usd, refusal_of(uses, less) is None))
        return tuple(found)

    def _replanned(  # noqa: PLR0913 - a job, its new plan at its price, who and when
        self,
        tx: Transaction,
        job: Job,
        tier: Tier,
        plan: RoutePlan,
        usd: Decimal,
        actor: Actor,
        now: datetime,
    ) -> Job:
        """Nothing was sent yet, so the document gets another plan, and a new generation of attempts."""
        withdraw(tx, job, actor, now, "replanned")
        options = replace(job.options, tier=tier)
        planned = replace(
            job,
            options=options,
            plan=plan,
            generation=job.generation + 1,
            # said of the result, where there is one already: it is replaced page by page
            is_provisional=job.is_provisional if job.result_blob else plan.is_provisional,
            estimated_credits=plan.credits,
            estimated_usd=usd,
        )
        jobs.replan(tx, planned, options_key(options))
        jobs.note(tx, job.id, "money", "replanned", actor, plan.reason, now)
        return jobs.job(tx, job.id)


def _held(tx: Transaction, job_id: str) -> Job:
    job = jobs.job(tx, job_id)
    if job.status is not JobStatus.HELD or job.hold != queue.WAITS_FOR_ROOM:
        raise NotAllowed(
            f"{job.name} does not wait for a limit.", "It may have started meanwhile: look again."
        )
    return job


def _pages(job: Job) -> tuple[int, ...]:
    return parse_page_ranges(job.options.target_pages) if job.options.target_pages else ()


def _plan(job: Job, tier: Tier, price: Price) -> RoutePlan:
    return plan_route(
        RouteFacts(
            mode=job.mode,
            tier=tier,
            page_count=job.page_count,
            price=price,
            target_pages=_pages(job),
            max_pages=job.options.max_pages or MAX_PAGES_UNKNOWN,
        )
    )


def _opens_at(refusal: Refusal | None, rules: Rules, now: datetime) -> datetime | None:
    if refusal is None or not refusal.fits_a_window:
        return None
    return next_start(refusal.limit.window, now, rules.timezone)
