"""Which engine parses which page, decided from facts alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.budgets import EVERYTHING, Ask, LimitUse, refusal_of
from core.domain.documents import EngineName, PageClass, PageProfile, page_class, page_ranges
from core.domain.money import Price, Tier, usd_to_micros
from core.domain.route_policy import LOCAL, HybridPolicy, RoutePolicy, Where

__all__ = [
    "DEFAULT_MAX_PAGES",
    "MAX_PAGES_UNKNOWN",
    "Mode",
    "OtherEngine",
    "PlannedAttempt",
    "RouteFacts",
    "RoutePlan",
    "plan_route",
]


class Mode(StrEnum):
    """Where documents go: the service, the simulator, or the service with the local engine beside."""

    REAL = "real"
    MOCK = "mock"
    HYBRID = "hybrid"


DEFAULT_MAX_PAGES = 100
"""The page ceiling of a document of unknown length unless another is chosen: its price, and all that is ordered."""

MAX_PAGES_UNKNOWN = 1000
"""The highest ceiling there is; that of orders that came without one."""

_TIERS = list(Tier)
_NO_KEY = "LlamaParse has no key"
# for what the local engine could have read: the cheapest tier that makes markdown
_SUFFICES = Tier.COST_EFFECTIVE


@dataclass(frozen=True, slots=True)
class OtherEngine:
    """An engine beside LlamaParse and the local one, as far as a plan for one document needs it.

    ``credits`` is what so many pages cost with it at a tier; ``in_the_way`` says in words why it cannot
    take this document now, empty when it can.
    """

    name: EngineName
    title: str
    credits: Callable[[Price, Tier, int], int]
    in_the_way: str = ""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """All that ``plan_route`` looks at.

    ``pages`` are the profiles of the whole document, empty when it was not looked into.
    ``vendor_trouble`` says in words why LlamaParse cannot be used now (its breaker, a hold); empty
    when it can. ``local_takes_it`` says whether the local engine reads this kind of file at all,
    ``local_trouble`` in words why it does badly now.
    ``limits`` are those in force and what is used of them, of which
    those for these ``scopes`` count. ``others`` are the engines that were added.
    """

    mode: Mode
    tier: Tier
    page_count: int | None
    price: Price
    target_pages: tuple[int, ...] = ()
    vendor_is_configured: bool = True
    max_pages: int = MAX_PAGES_UNKNOWN
    pages: tuple[PageProfile, ...] = ()
    policy: RoutePolicy = field(default=RoutePolicy())
    vendor_trouble: str = ""
    local_takes_it: bool = True
    local_trouble: str = ""
    limits: tuple[LimitUse, ...] = ()
    scopes: tuple[str, ...] = (EVERYTHING,)
    others: tuple[OtherEngine, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """One engine at one tier for some pages (empty means the whole document)."""

    engine: EngineName
    tier: Tier
    target_pages: tuple[int, ...]
    credits: int
    reason: str = ""
    is_provisional: bool = False


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What will be done, in words too, and what it will cost."""

    attempts: tuple[PlannedAttempt, ...]
    reason: str

    @property
    def credits(self) -> int:
        """The sum over the attempts."""
        return sum(attempt.credits for attempt in self.attempts)

    @property
    def is_local(self) -> bool:
        """Whether the local engine reads some page of it."""
        return any(attempt.engine is EngineName.LOCAL for attempt in self.attempts)

    @property
    def is_provisional(self) -> bool:
        """Whether some page of it is a stand-in for LlamaParse."""
        return any(attempt.is_provisional for attempt in self.attempts)


def plan_route(facts: RouteFacts) -> RoutePlan:
    """The plan for one document: every page with one engine at one tier.

    ``real`` and ``mock`` go to LlamaParse (mock: its simulator) and nowhere else. ``hybrid`` goes to
    LlamaParse, or under the economy policy page by page to where the table says, at LlamaParse never
    dearer than the tier that was asked for; what an added engine cannot take, or the local engine does
    badly, goes to LlamaParse. Where LlamaParse cannot be used, the local engine stands in for it,
    provisionally; pages that are local by policy are final. A document whose page count is unknown is
    priced at ``max_pages``, so that a quote is never too low.
    """
    if facts.mode is not Mode.HYBRID:
        where = "the simulator" if facts.mode is Mode.MOCK else "LlamaParse"
        return RoutePlan(
            (_vendor(facts, facts.tier, facts.target_pages),),
            f"All pages go to {where}, tier {_words(facts.tier)}.",
        )
    plan = _hybrid(facts)
    trouble = _trouble(facts, plan)
    if trouble and facts.local_trouble:
        plan = _hybrid(facts, nobody_else=True)
        trouble = _trouble(facts, plan)
    return _with_stand_ins(plan, facts, trouble) if trouble else plan


def _hybrid(facts: RouteFacts, *, nobody_else: bool = False) -> RoutePlan:
    """What the policy says; ``nobody_else`` can read what is meant for a local engine that does badly."""
    if facts.policy.hybrid is HybridPolicy.ECONOMY:
        return _economy(facts, spares_local=bool(facts.local_trouble) and not nobody_else)
    return _fallback(facts)


def _fallback(facts: RouteFacts) -> RoutePlan:
    return RoutePlan(
        (_vendor(facts, facts.tier, facts.target_pages),),
        f"All pages go to LlamaParse, tier {_words(facts.tier)}.",
    )


def _economy(facts: RouteFacts, *, spares_local: bool) -> RoutePlan:
    wanted = facts.target_pages or tuple(page.number for page in facts.pages)
    known = {page.number: page for page in facts.pages}
    if not known or not set(wanted) <= set(known):
        plan = _fallback(facts)
        return RoutePlan(plan.attempts, f"What is on its pages is not known. {plan.reason}")
    routes: dict[Where, dict[PageClass, list[int]]] = {}
    for number in wanted:
        kind = page_class(known[number], facts.policy.thresholds)
        where = _where(known[number], kind, facts)
        if where is LOCAL and spares_local:
            where = min(_SUFFICES, facts.tier, key=_TIERS.index)
        routes.setdefault(where, {}).setdefault(kind, []).append(number)
    is_whole = len(routes) == 1
    attempts = tuple(
        _attempt(facts, where, routes[where], is_whole=is_whole)
        for where in (LOCAL, *(other.name for other in facts.others), *_TIERS)
        if where in routes
    )
    return RoutePlan(attempts, " ".join(attempt.reason for attempt in attempts))


def _where(page: PageProfile, kind: PageClass, facts: RouteFacts) -> Where:
    table = facts.policy.table
    where = table[kind]
    if where is LOCAL and page.needs_ocr:
        where = table[PageClass.SCAN]
    if isinstance(where, EngineName):
        return where if _in_the_way(where, facts) == "" else facts.tier
    return where and min(where, facts.tier, key=_TIERS.index)


def _in_the_way(name: EngineName, facts: RouteFacts) -> str:
    """Why an engine of the table cannot be used for this document; empty when it can."""
    for other in facts.others:
        if other.name == name:
            return other.in_the_way
    return f"The engine {name} is not installed here."


def _attempt(
    facts: RouteFacts,
    where: Where,
    kinds: Mapping[PageClass, Sequence[int]],
    *,
    is_whole: bool,
) -> PlannedAttempt:
    numbers = tuple(sorted(number for found in kinds.values() for number in found))
    pages = facts.target_pages if is_whole else numbers
    what = ", ".join(kind.value for kind in PageClass if kind in kinds)
    named = f"{'Page' if len(numbers) == 1 else 'Pages'} {page_ranges(numbers)} ({what})"
    if where is LOCAL:
        reason = f"{named}: local engine, free. {facts.local_trouble}".rstrip()
        return PlannedAttempt(EngineName.LOCAL, facts.tier, pages, 0, reason)
    if isinstance(where, EngineName):
        other = next(each for each in facts.others if each.name == where)
        credits_ = other.credits(facts.price, facts.tier, len(numbers))
        return PlannedAttempt(where, facts.tier, pages, credits_, f"{named}: {other.title}.")
    reason = f"{named}: LlamaParse, {_words(where)}."
    table = (facts.policy.table[kind] for kind in kinds)
    for name in dict.fromkeys(one for one in table if isinstance(one, EngineName)):
        reason += f" {_in_the_way(name, facts)}"
    if facts.local_trouble and any(facts.policy.table[kind] is LOCAL for kind in kinds):
        reason += f" {facts.local_trouble}"
    return PlannedAttempt(
        EngineName.LLAMAPARSE, where, pages, facts.price.credits(where, len(numbers)), reason
    )


def _vendor(facts: RouteFacts, tier: Tier, target_pages: tuple[int, ...]) -> PlannedAttempt:
    pages = len(target_pages) or facts.page_count or facts.max_pages
    credits_ = facts.price.credits(tier, pages)
    return PlannedAttempt(EngineName.LLAMAPARSE, tier, target_pages, credits_)


def _trouble(facts: RouteFacts, plan: RoutePlan) -> str:
    """Why what the plan sends to LlamaParse cannot be sent; empty when it can, or need not be."""
    submits = sum(attempt.engine is EngineName.LLAMAPARSE for attempt in plan.attempts)
    if not submits:
        return ""
    if not facts.vendor_is_configured:
        return _NO_KEY
    if not facts.local_takes_it:
        # waiting for LlamaParse is better than a stand-in that cannot be made
        return ""
    if facts.vendor_trouble:
        return facts.vendor_trouble.rstrip(".")
    if facts.policy.local_over_limit:
        micros = usd_to_micros(facts.price.usd(plan.credits))
        refusal = refusal_of(facts.limits, Ask(micros, submits, facts.scopes))
        return refusal.words.rstrip(".") if refusal is not None else ""
    return ""


def _with_stand_ins(plan: RoutePlan, facts: RouteFacts, trouble: str) -> RoutePlan:
    reason = f"{trouble}, so the local engine stands in for LlamaParse. {facts.local_trouble}"
    attempts = tuple(
        attempt
        if attempt.engine is not EngineName.LLAMAPARSE
        else PlannedAttempt(
            EngineName.LOCAL,
            attempt.tier,
            attempt.target_pages,
            0,
            reason.rstrip(),
            is_provisional=True,
        )
        for attempt in plan.attempts
    )
    reasons = dict.fromkeys(attempt.reason for attempt in attempts)
    return RoutePlan(attempts, " ".join(reasons))


def _words(tier: Tier) -> str:
    return tier.value.replace("_", " ")
