"""The engines of this installation: for people how each does, for plans what those that were added take."""

from dataclasses import dataclass

from core.domain.documents import Document, EngineName
from core.domain.routing import OtherEngine
from core.engines.registry import EngineCard, Engines
from core.pipeline.watches import Watches
from core.store.health import EngineHealth

__all__ = ["EngineState", "EnginesView"]


@dataclass(frozen=True, slots=True)
class EngineState:
    """An engine's card and its health.

    ``trouble`` says why it cannot be used now, empty when it can; ``trials`` is how many tries must go
    well before it is used again; ``probed_s`` is how long its newest probe took, if it answered.
    """

    card: EngineCard
    health: EngineHealth
    trouble: str
    trials: int
    probed_s: float | None


class EnginesView:
    """Reads what is registered and what is known of it."""

    def __init__(self, engines: Engines, watches: Watches) -> None:
        self._engines = engines
        self._watches = watches

    def states(self) -> tuple[EngineState, ...]:
        """All engines in the order of their registration."""
        seen = self._watches.looks(self._engines.cards)
        return tuple(self._state(name, *seen[name]) for name in self._engines.cards)

    def _state(self, name: EngineName, known: EngineHealth, probed_s: float | None) -> EngineState:
        watch = self._watches.of(name)
        return EngineState(
            self._engines.cards[name], known, watch.words(known), watch.policy.trials, probed_s
        )

    def others(self, document: Document) -> tuple[OtherEngine, ...]:
        """The engines beside LlamaParse and the local one, as a plan for this document needs them."""
        return tuple(self._other(card, document) for card in self._engines.others())

    def _other(self, card: EngineCard, document: Document) -> OtherEngine:
        if document.source_url:
            lacks = f"{card.title} does not fetch links."
        else:
            lacks = card.lacks(document.media_type)
        in_the_way = lacks or self._watches.of(card.name).trouble()
        return OtherEngine(card.name, card.title, card.credits, in_the_way)
