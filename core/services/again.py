"""Parsing a finished document's pages again: its stand-ins, or chosen pages at another tier."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.clock import Clock
from core.domain.documents import ParsedDocument
from core.domain.jobs import Actor, Job
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.again import order_again, plan_again, stand_ins_of
from core.pipeline.results import load
from core.pipeline.terms import Rules, Terms
from core.store import Store, jobs, queue

__all__ = ["PagesAgain", "Reparse"]


@dataclass(frozen=True, slots=True)
class PagesAgain:
    """Pages of a job that would be parsed again, by tier, and the price."""

    job: Job
    pages: Mapping[Tier, tuple[int, ...]]
    usd: Decimal

    @property
    def count(self) -> int:
        """How many pages that are."""
        return sum(map(len, self.pages.values()))


class Reparse:
    """Prices and orders; what is there stays until something better replaces it."""

    def __init__(  # noqa: PLR0913 - each is a collaborator that the composition root hands over
        self,
        store: Store,
        blob: Callable[[str], bytes],
        enqueue: Callable[[str, str, int], None],
        rules: Callable[[], Rules],
        trouble: Callable[[], str],
        *,
        is_configured: bool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._blob = blob
        self._enqueue = enqueue
        self._rules = rules
        self._trouble = trouble
        self._is_configured = is_configured
        self._clock = clock

    def stand_ins(self, job: Job) -> PagesAgain:
        """The provisional pages of a job, and what LlamaParse would cost for them."""
        result = load(self._blob(job.result_blob)) if job.result_blob else ParsedDocument(())
        with self._store.read() as tx:
            attempts = jobs.attempts(tx, job.id)
        return self._priced(job, stand_ins_of(job, attempts, result))

    def at_tier(self, job: Job, pages: Sequence[int], tier: Tier) -> PagesAgain:
        """These pages at this tier, and what that would cost."""
        return self._priced(job, {tier: tuple(sorted(set(pages)))})

    def order(self, wanted: PagesAgain, actor: Actor) -> Job:
        """Have the pages parsed by LlamaParse (in MOCK by its simulator), within the limits.

        Raises ``NotAllowed`` when there is nothing to do, when LlamaParse cannot be used, when a limit
        stands in the way, or when the job is under way.
        """
        if not wanted.count:
            raise NotAllowed(f"{wanted.job.name} has no such pages.", "Open it to see its pages.")
        self._refuse_without_vendor(wanted.job.mode)
        why = f"parsed again, asked by {actor}."
        with self._store.write() as tx:
            queue.lock_attempts(tx, [wanted.job.id])
            job = jobs.job(tx, wanted.job.id)
            if job.generation != wanted.job.generation:
                raise NotAllowed(f"{job.name} was parsed again already.", "Open it to see.")
            result = load(self._blob(job.result_blob)) if job.result_blob else ParsedDocument(())
            terms = Terms(tx, self._rules(), self._clock())
            price = terms.price_of(job)
            plan = plan_again(wanted.pages, len(result.pages), price, why)
            if price.usd(plan.credits) > wanted.usd:
                raise NotAllowed(
                    "The price book changed while you decided.",
                    "Look at the new price, then order again.",
                )
            ordered = order_again(terms, job, plan, actor)
        self._enqueue(ordered.workflow_id, ordered.id, ordered.generation)
        return ordered

    def _refuse_without_vendor(self, mode: Mode) -> None:
        if mode is Mode.MOCK:
            return
        if not self._is_configured:
            raise NotAllowed("LlamaParse has no key.", "Set LLAMAPARSE_API_KEY, then start again.")
        trouble = self._trouble()
        if trouble:
            raise NotAllowed(trouble, "Try again when LlamaParse can be used.")

    def _priced(self, job: Job, pages: Mapping[Tier, tuple[int, ...]]) -> PagesAgain:
        with self._store.read() as tx:
            price = Terms(tx, self._rules(), self._clock()).price_of(job)
        credits_ = sum(price.credits(tier, len(numbers)) for tier, numbers in pages.items())
        return PagesAgain(job, pages, price.usd(credits_))
