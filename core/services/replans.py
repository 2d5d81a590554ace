"""Jobs that wait while the mode is switched: they keep their plan, or are planned again at a price."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from core.clock import Clock
from core.domain.documents import Document
from core.domain.jobs import Actor, Job, JobStatus
from core.domain.money import Price
from core.domain.route_policy import RoutePolicy
from core.domain.routing import (
    MAX_PAGES_UNKNOWN,
    Mode,
    OtherEngine,
    RouteFacts,
    RoutePlan,
    plan_route,
)
from core.pipeline.admission import Rules, admit
from core.pipeline.withdrawal import is_unsent, withdraw
from core.store import Store, Transaction, documents, jobs, queue

__all__ = ["Replan", "Replans"]

_WAITING = (JobStatus.HELD, JobStatus.PARSE_QUEUED)


@dataclass(frozen=True, slots=True)
class Replan:
    """What waits now, at which price, and what it would cost in another mode."""

    mode: Mode
    jobs: tuple[Job, ...]
    now_usd: Decimal
    usd: Decimal
    provisional: int

    @property
    def held(self) -> int:
        """How many of them are held."""
        return sum(job.status is JobStatus.HELD for job in self.jobs)


class Replans:
    """Prices and makes new plans for what was not sent yet."""

    def __init__(  # noqa: PLR0913 - each is a collaborator that the composition root hands over
        self,
        store: Store,
        enqueue: Callable[[str, str, int], None],
        rules: Callable[[], Rules],
        policy: Callable[[], RoutePolicy],
        trouble: Callable[[], str],
        is_read_here: Callable[[Document], bool],
        others: Callable[[Document], tuple[OtherEngine, ...]],
        *,
        is_configured: bool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._enqueue = enqueue
        self._rules = rules
        self._policy = policy
        self._trouble = trouble
        self._is_read_here = is_read_here
        self._others = others
        self._is_configured = is_configured
        self._clock = clock

    def quote(self, mode: Mode) -> Replan:
        """What the jobs that wait under another mode would cost in this one; changes nothing."""
        price, policy, trouble = self._price(), self._policy(), self._trouble()
        with self._store.read() as tx:
            waiting = [
                job
                for job in jobs.unfinished(tx, _WAITING)
                # what is parsed again keeps the engine that a person chose
                if job.mode is not mode and not job.result_blob and is_unsent(tx, job)
                # and what is known by its address alone goes to LlamaParse or nowhere
                if not _is_link(tx, job)
            ]
            planned = [(job, self._plan(tx, job, mode, price, policy, trouble)) for job in waiting]
            # waiting is better than a plan that needs this machine to read what it cannot
            possible = [
                (job, plan)
                for job, plan in planned
                if self._reads(tx, job) or not (mode is Mode.MOCK or plan.is_local)
            ]
        plans = [plan for _job, plan in possible]
        return Replan(
            mode,
            tuple(job for job, _plan in possible),
            sum((job.estimated_usd for job, _plan in possible), Decimal(0)),
            price.usd(sum(plan.credits for plan in plans)),
            sum(plan.is_provisional for plan in plans),
        )

    def apply(self, replan: Replan, actor: Actor) -> int:
        """Plan these jobs anew; how many. What was sent meanwhile keeps its plan.

        Each within the limits: what does not fit is held, and starts when there is room.
        """
        price, policy, trouble = self._price(), self._policy(), self._trouble()
        done = []
        for job in replan.jobs:
            with self._store.write() as tx:
                # a worker may be sending it just now
                queue.lock_attempts(tx, [job.id])
                fresh = jobs.job(tx, job.id)
                is_same = fresh.generation == job.generation and fresh.status in _WAITING
                if not is_same or not is_unsent(tx, fresh):
                    continue
                plan = self._plan(tx, fresh, replan.mode, price, policy, trouble)
                done.append(self._replanned(tx, fresh, replan.mode, plan, price, actor))
        for job in done:
            if job.status is JobStatus.PARSE_QUEUED:
                self._enqueue(job.workflow_id, job.id, job.generation)
        return len(done)

    def _replanned(  # noqa: PLR0913 - which job, its new plan and price, by whom
        self, tx: Transaction, job: Job, mode: Mode, plan: RoutePlan, price: Price, actor: Actor
    ) -> Job:
        now, rules = self._clock(), self._rules()
        withdraw(tx, job, actor, now, "planned again")
        cause = f"planned again for {mode.value.upper()}"
        facts = {
            "reason": "Planned again; it starts as soon as a limit leaves room.",
            "next_step": "",
            "hold": "limit",
        }
        if job.status is JobStatus.HELD:
            jobs.update_job(tx, job.id, **facts)
            jobs.note(tx, job.id, "job", "planned again", actor, cause, now)
        else:
            jobs.change_job(tx, job.id, JobStatus.HELD, actor, cause, now, **facts)
        planned = replace(
            job,
            status=JobStatus.HELD,
            mode=mode,
            plan=plan,
            generation=job.generation + 1,
            is_provisional=plan.is_provisional,
            estimated_credits=plan.credits,
            estimated_usd=price.usd(plan.credits),
        )
        jobs.replan(tx, planned)
        return admit(tx, planned, rules, actor, now)

    def _plan(  # noqa: PLR0913 - the facts of a route
        self,
        tx: Transaction,
        job: Job,
        mode: Mode,
        price: Price,
        policy: RoutePolicy,
        trouble: str,
    ) -> RoutePlan:
        document = documents.find(tx, job.document_sha256)
        return plan_route(
            RouteFacts(
                mode=mode,
                tier=job.options.tier,
                page_count=job.page_count,
                price=price,
                vendor_is_configured=self._is_configured,
                pages=document.pages if document else (),
                policy=policy,
                vendor_trouble=trouble,
                local_takes_it=document is not None and self._is_read_here(document),
                max_pages=job.options.max_pages or MAX_PAGES_UNKNOWN,
                others=self._others(document) if document else (),
            )
        )

    def _reads(self, tx: Transaction, job: Job) -> bool:
        document = documents.find(tx, job.document_sha256)
        return document is not None and self._is_read_here(document)

    def _price(self) -> Price:
        with self._store.read() as tx:
            return self._rules().price(tx, self._clock())


def _is_link(tx: Transaction, job: Job) -> bool:
    document = documents.find(tx, job.document_sha256)
    return document is not None and bool(document.source_url)
