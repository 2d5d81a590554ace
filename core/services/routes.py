"""The rules of HYBRID: read, tried on a document before they are set, set with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from core.clock import Clock
from core.domain.documents import Document, PageClass, page_class
from core.domain.jobs import Actor
from core.domain.money import Price, Tier
from core.domain.route_policy import RoutePolicy
from core.domain.routing import Mode, OtherEngine, RouteFacts, RoutePlan, plan_route
from core.errors import NotAllowed
from core.pipeline.terms import Rules
from core.store import Store, documents, jobs, policies
from core.store.jobs import JobFilter
from core.store.policies import PolicyChange

__all__ = ["Preview", "Routes"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What rules would do with one document, beside all of it at one tier."""

    name: str
    plan: RoutePlan
    usd: Decimal
    full_usd: Decimal
    classes: dict[PageClass, int]


class Routes:
    """Reads and sets the rules; all processes follow with their next document."""

    def __init__(
        self,
        store: Store,
        rules: Callable[[], Rules],
        others: Callable[[Document], tuple[OtherEngine, ...]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._others = others

    def policy(self) -> RoutePolicy:
        """The rules in force."""
        with self._store.read() as tx:
            return policies.in_force(tx)

    def history(self) -> tuple[PolicyChange, ...]:
        """The changes, newest first."""
        with self._store.read() as tx:
            return policies.history(tx)

    def save(self, policy: RoutePolicy, actor: Actor, reason: str) -> None:
        """Put rules in force; jobs keep the plan they have. Raises ``NotAllowed`` without a reason."""
        if not reason.strip():
            raise NotAllowed(
                "New rules need a reason.", "Say why, so that others understand it later."
            )
        with self._store.write() as tx:
            policies.add(tx, PolicyChange(policy, str(actor), reason.strip(), self._clock()))

    def recent(self, *, limit: int = 10) -> tuple[tuple[str, Document], ...]:
        """The documents that were submitted last and whose pages are known, newest first."""
        with self._store.read() as tx:
            newest, _total = jobs.jobs(tx, JobFilter(), limit=5 * limit)
            names = {job.document_sha256: job.name for job in reversed(newest)}
            found = [(name, documents.find(tx, sha256)) for sha256, name in names.items()]
        known = [(name, document) for name, document in found if document and document.pages]
        return tuple(reversed(known))[:limit]

    def price(self) -> Price:
        """The prices of today. Raises ``PriceMissing``."""
        with self._store.read() as tx:
            return self._rules().price(tx, self._clock())

    def preview(
        self, policy: RoutePolicy, name: str, document: Document, tier: Tier = Tier.AGENTIC
    ) -> Preview:
        """What these rules would do with a document under the economy policy; nothing is spent."""
        price = self.price().of_sheets(has_sheets=document.has_sheets)
        facts = RouteFacts(
            mode=Mode.HYBRID,
            tier=tier,
            page_count=document.page_count,
            price=price,
            pages=document.pages,
            policy=policy,
            others=self._others(document),
        )
        plan = plan_route(facts)
        everything = plan_route(
            RouteFacts(Mode.REAL, tier, document.page_count, price, pages=document.pages)
        )
        classes: dict[PageClass, int] = {}
        for page in document.pages:
            kind = page_class(page, policy.thresholds)
            classes[kind] = classes.get(kind, 0) + 1
        return Preview(name, plan, price.usd(plan.credits), price.usd(everything.credits), classes)
