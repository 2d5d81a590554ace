"""Jobs that wait while the mode is switched: they keep their plan, or are planned again at a price."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from core.clock import Clock
from core.domain.documents import Document, EngineName
from core.domain.jobs import Actor, Job, JobStatus
from core.domain.money import Price, usd_exact
from core.domain.route_policy import RoutePolicy
from core.domain.routing import (
    MAX_PAGES_UNKNOWN,
    Mode,
    OtherEngine,
    RouteFacts,
    RoutePlan,
    plan_route,
)
from core.errors import NotAllowed
from core.pipeline.admission import admit
from core.pipeline.terms import Rules, Terms
from core.pipeline.withdrawal import is_unsent, withdraw
from core.store import Store, Transaction, documents, jobs, ledger, queue

__all__ = ["Replan", "Replans"]

_WAITING = (JobStatus.HELD, JobStatus.PARSE_QUEUED)


@dataclass(frozen=True, slots=True)
class Replan:
    """What waits now, at which price, and what it would cost in another mode, ``plans`` by job."""

    mode: Mode
    jobs: tuple[Job, ...]
    plans: Mapping[str, RoutePlan]
    price: Price

    @property
    def now_usd(self) -> Decimal:
        """What they are planned for now."""
        return sum((job.estimated_usd for job in self.jobs), Decimal(0))

    @property
    def usd(self) -> Decimal:
        """What they would cost."""
        return self.price.usd(sum(plan.credits for plan in self.plans.values()))

    @property
    def provisional(self) -> int:
        """How many would have stand-ins."""
        return sum(plan.is_provisional for plan in self.plans.values())

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
        trouble: Callable[[EngineName], str],
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
        """What the jobs that wait under another mode would cost in this one; changes nothing.

        Raises ``PriceMissing``.
        """
        price = self._price()
        with self._store.read() as tx:
            # what is parsed again keeps the engine that a person chose
            waiting = [
                job
                for job in jobs.unfinished(tx, _WAITING)
                if job.mode is not mode and not job.result_blob
            ]
            if not waiting:
                return Replan(mode, (), {}, price)
            tried = jobs.attempts_of(tx, [job.id for job in waiting])
            known = documents.several(tx, (job.document_sha256 for job in waiting))
        policy = self._policy()
        troubles = {name: self._trouble(name) for name in (EngineName.LLAMAPARSE, EngineName.LOCAL)}
        possible = []
        for job in waiting:
            document = known.get(job.document_sha256)
            is_link = document is not None and bool(document.source_url)
            # what is known by its address alone goes to LlamaParse or nowhere
            if is_link or not is_unsent(job, tried[job.id]):
                continue
            plan = self._plan(job, document, mode, price, policy, troubles)
            is_here = document is not None and self._is_read_here(document)
            # waiting is better than a plan that needs this machine to read what it cannot
            if is_here or not (mode is Mode.MOCK or plan.is_local):
                possible.append((job, plan))
        return Replan(
            mode,
            tuple(job for job, _plan in possible),
            {job.id: plan for job, plan in possible},
            price,
        )

    def change_since(self, shown: Replan) -> str:
        """In words, with the new price, why what was shown is not what would be done now; empty if it is.

        What was sent meanwhile, or is new, is no reason: it keeps its plan.
        """
        now = self.quote(shown.mode)
        both = shown.plans.keys() & now.plans.keys()
        before, after = ({job: _cost(quote, job) for job in both} for quote in (shown, now))
        if before == after:
            return ""
        was, is_ = (
            sum((usd for usd, _ in costs.values()), Decimal(0)) for costs in (before, after)
        )
        what = f"{usd_exact(is_)}, {f'not {usd_exact(was)}' if was != is_ else 'by other engines'}"
        return f"What waits would cost now {what}: the price changed while you decided."

    def apply(self, shown: Replan, actor: Actor) -> int:
        """Plan these jobs anew as it was shown; how many. What was sent meanwhile keeps its plan.

        Each within the limits: what does not fit is held, and starts when there is room. Raises
        ``NotAllowed``, with the new price, when it is another one by now.
        """
        if change := self.change_since(shown):
            raise NotAllowed(
                change, "Nothing was planned again. Look at the new price, then decide."
            )
        done = []
        for job in shown.jobs:
            with self._store.write() as tx:
                # a worker may be sending it just now
                queue.lock_attempts(tx, [job.id])
                # it leaves one book for the other: two that go opposite ways must not meet halfway
                ledger.lock_all(tx)
                fresh = jobs.job(tx, job.id)
                is_same = fresh.generation == job.generation and fresh.status in _WAITING
                if is_same and is_unsent(fresh, jobs.attempts(tx, fresh.id, fresh.generation)):
                    plan = shown.plans[job.id]
                    done.append(self._replanned(tx, fresh, shown.mode, plan, shown.price, actor))
        for job in done:
            if job.status is JobStatus.PARSE_QUEUED:
                self._enqueue(job.workflow_id, job.id, job.generation)
        return len(done)

    def _replanned(  # noqa: PLR0913 - which job, its new plan and price, by whom
        self, tx: Transaction, job: Job, mode: Mode, plan: RoutePlan, price: Price, actor: Actor
    ) -> Job:
        now = self._clock()
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
        return admit(Terms(tx, self._rules(), now), planned, actor)

    def _plan(  # noqa: PLR0913 - the facts of a route
        self,
        job: Job,
        document: Document | None,
        mode: Mode,
        price: Price,
        policy: RoutePolicy,
        troubles: Mapping[EngineName, str],
    ) -> RoutePlan:
        return plan_route(
            RouteFacts(
                mode=mode,
                tier=job.options.tier,
                page_count=job.page_count,
                price=price.of_sheets(has_sheets=document is not None and document.has_sheets),
                vendor_is_configured=self._is_configured,
                pages=document.pages if document else (),
                policy=policy,
                vendor_trouble=troubles[EngineName.LLAMAPARSE],
                local_trouble=troubles[EngineName.LOCAL],
                local_takes_it=document is not None and self._is_read_here(document),
                max_pages=job.options.max_pages or MAX_PAGES_UNKNOWN,
                others=self._others(document) if document else (),
            )
        )

    def _price(self) -> Price:
        with self._store.read() as tx:
            return self._rules().price(tx, self._clock())


def _cost(quote: Replan, job_id: str) -> tuple[Decimal, bool]:
    plan = quote.plans[job_id]
    return quote.price.usd(plan.credits), plan.is_provisional
