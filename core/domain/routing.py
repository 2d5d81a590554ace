"""Which engine parses which page, decided from facts alone."""

from dataclasses import dataclass
from enum import StrEnum

from core.domain.documents import EngineName
from core.domain.money import Price, Tier

__all__ = ["MAX_PAGES_UNKNOWN", "Mode", "PlannedAttempt", "RouteFacts", "RoutePlan", "plan_route"]


class Mode(StrEnum):
    """Where documents go: the service, the simulator, or the service with the local engine beside."""

    REAL = "real"
    MOCK = "mock"
    HYBRID = "hybrid"


MAX_PAGES_UNKNOWN = 1000
"""What a document of unknown length is priced at, and the most pages of it that are ordered."""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """All that ``plan_route`` looks at."""

    mode: Mode
    tier: Tier
    page_count: int | None
    price: Price
    target_pages: tuple[int, ...] = ()
    vendor_is_configured: bool = True
    max_pages: int = MAX_PAGES_UNKNOWN


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """One engine at one tier for some pages (empty means the whole document)."""

    engine: EngineName
    tier: Tier
    target_pages: tuple[int, ...]
    credits: int


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What will be done, in words too, and what it will cost."""

    attempts: tuple[PlannedAttempt, ...]
    reason: str
    is_provisional: bool = False

    @property
    def credits(self) -> int:
        """The sum over the attempts."""
        return sum(attempt.credits for attempt in self.attempts)


def plan_route(facts: RouteFacts) -> RoutePlan:
    """The plan for one document.

    ``real`` and ``mock`` go to LlamaParse (mock: its simulator) and nowhere else; ``hybrid`` goes to
    LlamaParse, or to the local engine, marked provisional, while no key is configured. A document
    whose page count is unknown is priced at ``max_pages``, so that a quote is never too low.
    """
    pages = len(facts.target_pages) or facts.page_count or facts.max_pages
    if facts.mode is Mode.HYBRID and not facts.vendor_is_configured:
        local = PlannedAttempt(EngineName.LOCAL, facts.tier, facts.target_pages, 0)
        return RoutePlan(
            (local,), "LlamaParse has no key, so the local engine stands in.", is_provisional=True
        )
    credits_ = facts.price.credits(facts.tier, pages)
    vendor = PlannedAttempt(EngineName.LLAMAPARSE, facts.tier, facts.target_pages, credits_)
    where = "the simulator" if facts.mode is Mode.MOCK else "LlamaParse"
    return RoutePlan(
        (vendor,), f"All pages go to {where}, tier {facts.tier.value.replace('_', ' ')}."
    )
