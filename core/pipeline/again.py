"""Parsing pages of a finished job again: stand-ins by LlamaParse, or chosen pages at a higher tier."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.clock import Clock, is_recent
from core.domain.documents import EngineName, ParsedDocument, page_ranges, parse_page_ranges
from core.domain.jobs import Actor, Attempt, AttemptStatus, Job, JobStatus
from core.domain.money import Price, Tier
from core.domain.routing import Mode, PlannedAttempt, RoutePlan
from core.errors import ConsoleError, NotAllowed, UpstreamKind
from core.pipeline.admission import admit
from core.pipeline.results import load
from core.pipeline.terms import Rules, Terms
from core.store import Store, jobs, policies, queue
from core.store.jobs import JobFilter
from core.telemetry import log

__all__ = ["Again", "order_again", "plan_again", "stand_ins_of"]

_PAGE, _PAGES = 100, 10
"""How many jobs are read at once, and how often in one round: the next round goes on from there."""

_WITH_STAND_INS = JobFilter(is_provisional=True)
_LACKING = {"unavailable", UpstreamKind.UNAUTHORIZED, UpstreamKind.QUOTA, UpstreamKind.SIMULATOR}


def stand_ins_of(
    job: Job, attempts: Sequence[Attempt], result: ParsedDocument
) -> dict[Tier, tuple[int, ...]]:
    """The provisional pages of a result, by the tier that LlamaParse should have read them at."""
    pages = [page.number for page in result.pages if page.is_provisional]
    if job.is_provisional and not pages:
        # results of the first versions say it of the whole
        pages = [page.number for page in result.pages]
    tiers: dict[int, Tier] = {}
    for attempt in attempts:
        if attempt.is_provisional:
            covered = parse_page_ranges(attempt.target_pages) if attempt.target_pages else pages
            tiers.update(dict.fromkeys(covered, attempt.tier))
    found: dict[Tier, list[int]] = {}
    for page in pages:
        found.setdefault(tiers.get(page, job.options.tier), []).append(page)
    return {tier: tuple(numbers) for tier, numbers in found.items()}


def plan_again(
    pages: Mapping[Tier, tuple[int, ...]], total: int, price: Price, why: str
) -> RoutePlan:
    """LlamaParse for these pages, one attempt per tier; all ``total`` pages are the whole document."""
    attempts = tuple(
        PlannedAttempt(
            EngineName.LLAMAPARSE,
            tier,
            () if len(numbers) == total else numbers,
            price.credits(tier, len(numbers)),
            f"Page {page_ranges(numbers)}: {why}",
        )
        for tier, numbers in pages.items()
    )
    return RoutePlan(attempts, " ".join(attempt.reason for attempt in attempts))


def order_again(terms: Terms, job: Job, plan: RoutePlan, actor: Actor) -> Job:
    """Open a new generation of a finished job for this plan, within the limits.

    What is there stays until something better replaces it, page by page. Raises ``NotAllowed`` when the
    job is under way, or when a limit stands in the way; nothing is changed then if the caller rolls back.
    """
    if not job.status.is_final or not job.result_blob:
        raise NotAllowed(f"{job.name} has no result yet.", "Wait until it is parsed.")
    facts = replace(
        job,
        generation=job.generation + 1,
        plan=plan,
        estimated_credits=job.estimated_credits + plan.credits,
        estimated_usd=job.estimated_usd + terms.price_of(job).usd(plan.credits),
    )
    jobs.replan(terms.tx, facts)
    admitted = admit(terms, facts, actor)
    if admitted.status is JobStatus.HELD:
        # its result would wait with it
        raise NotAllowed(admitted.reason, "Parse it again when there is room.")
    return admitted


def _is_due(job: Job, attempts: Sequence[Attempt]) -> bool:
    """Whether the rule may have it parsed again: it is at rest, and only lacked LlamaParse."""
    # judged here: asked about the status the database begins with all jobs that are complete
    is_at_rest = job.status is JobStatus.COMPLETE and job.mode is Mode.HYBRID
    return is_at_rest and _only_lacked_it(job, attempts)


def _only_lacked_it(job: Job, attempts: Sequence[Attempt]) -> bool:
    """Whether every stand-in is there because LlamaParse could not be used, not because it failed.

    What LlamaParse tried and could not parse is not tried again by a rule: each time would be paid.
    """
    these = [a for a in attempts if a.generation == job.generation]
    kinds = {a.target_pages: a.error_kind for a in these if a.status is AttemptStatus.FAILED}
    return all(
        a.number <= len(job.plan.attempts) or kinds.get(a.target_pages) in _LACKING
        for a in these
        if a.is_provisional
    )


class Again:
    """Has stand-ins parsed by LlamaParse by themselves, where the rules say so; a part of the care."""

    def __init__(  # noqa: PLR0913 - each is a collaborator that the composition root hands over
        self,
        store: Store,
        blob: Callable[[str], bytes],
        room: Callable[[int], int],
        rules: Callable[[], Rules],
        enqueue: Callable[[str, str, int], None],
        every: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._blob = blob
        self._every = every
        self._room = room
        self._rules = rules
        self._enqueue = enqueue
        self._clock = clock
        self._looked_at: datetime | None = None
        self._after: Job | None = None
        self._log = log("again")

    def care(self) -> None:
        """One round: a few stand-ins, oldest first, while LlamaParse can be used and there is money.

        Rounds go on where the last one stopped, and begin anew after the newest.
        """
        now = self._clock()
        if self._looked_at is not None and is_recent(self._looked_at, now, self._every):
            return
        self._looked_at = now
        with self._store.read() as tx:
            newest = policies.history(tx, limit=1)
        if not newest or not newest[0].policy.parse_again:
            return
        # the rule acts in the name of whoever set it
        actor = Actor(f"{newest[0].actor}, by rule", is_authenticated=True)
        room = self._room(_PAGE)
        for _ in range(_PAGES if room > 0 else 0):
            with self._store.read() as tx:
                page = jobs.oldest(tx, _WITH_STAND_INS, after=self._after, limit=_PAGE)
                tried = jobs.attempts_of(tx, [job.id for job in page])
            for job in page:
                if room <= 0:
                    return
                # whatever comes of it, the next is looked at next: no document keeps others waiting
                self._after = job
                if not _is_due(job, tried[job.id]):
                    continue
                try:
                    room -= self._order(job, actor)
                except NotAllowed as refusal:
                    self._log.info("stand-ins stay", job_id=job.id, why=refusal.what)
                    return
                except ConsoleError as error:
                    self._log.warning("stand-ins stay", job_id=job.id, why=str(error))
            if len(page) < _PAGE:
                self._after = None
                return

    def _order(self, job: Job, actor: Actor) -> bool:
        result = load(self._blob(job.result_blob))
        with self._store.write() as tx:
            queue.lock_attempts(tx, [job.id])
            fresh = jobs.job(tx, job.id)
            terms = Terms(tx, self._rules(), self._clock())
            tried = jobs.attempts(tx, job.id)
            if fresh.generation != job.generation or not _is_due(fresh, tried):
                return False
            pages = stand_ins_of(fresh, tried, result)
            plan = plan_again(
                pages, len(result.pages), terms.price_of(fresh), "LlamaParse is back."
            )
            ordered = order_again(terms, fresh, plan, actor)
        self._enqueue(ordered.workflow_id, ordered.id, ordered.generation)
        return True
