"""Which engines there are, what each can take and costs, and how it is made. Adding one is one ``add``."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from core.domain.documents import EngineName
from core.domain.money import Price, Tier
from core.domain.routing import Mode
from core.engines.protocol import ParseEngine
from core.errors import NotAllowed

__all__ = ["EngineCard", "Engines"]

Make = Callable[[Mode], ParseEngine]


@dataclass(frozen=True, slots=True)
class EngineCard:
    """What an engine says of itself.

    ``lacks`` says what is missing to read a media type, empty when nothing is. No ``tiers`` means that it has only one way to read.
    ``languages`` is for people. ``credits`` is the cost of so many pages at a tier. ``probe`` is a
    cheap look that answers seconds or raises ``ConsoleError``. ``reports`` says that it tells its
    breaker of every call by itself; of the others the pipeline tells.
    """

    name: EngineName
    title: str
    lacks: Callable[[str], str]
    tiers: tuple[Tier, ...]
    page_ranges: bool
    languages: str
    credits: Callable[[Price, Tier, int], int]
    probe: Callable[[], Awaitable[float]]
    reports: bool = False

    def takes(self, media_type: str) -> bool:
        """Whether it reads documents of this type."""
        return not self.lacks(media_type)


class Engines:
    """The engines of this installation, made when first needed, on the loop that uses them."""

    def __init__(self) -> None:
        self._cards: dict[EngineName, EngineCard] = {}
        self._make: dict[EngineName, Make] = {}
        self._made: dict[tuple[EngineName, bool], ParseEngine] = {}

    @property
    def cards(self) -> Mapping[EngineName, EngineCard]:
        """All that are registered, in that order."""
        return MappingProxyType(self._cards)

    def add(self, card: EngineCard, make: Make) -> None:
        """Register an engine; one of the same name is replaced."""
        self._cards[card.name] = card
        self._make[card.name] = make

    def others(self) -> tuple[EngineCard, ...]:
        """Those beside LlamaParse and the local engine."""
        return tuple(
            card
            for name, card in self._cards.items()
            if name not in {EngineName.LLAMAPARSE, EngineName.LOCAL}
        )

    def credits(self, name: EngineName, price: Price, tier: Tier, pages: int) -> int:
        """What so many pages cost with an engine. Raises ``NotAllowed`` when it is not registered."""
        return self._card(name).credits(price, tier, pages)

    def lacks(self, name: EngineName) -> str:
        """Why there is no such engine, in words; empty when there is."""
        return "" if name in self._cards else f"The engine {name} is not installed here."

    def _card(self, name: EngineName) -> EngineCard:
        if missing := self.lacks(name):
            step = "Start a version of Parsedeck that has it, or parse the document again."
            raise NotAllowed(missing, step)
        return self._cards[name]

    def of(self, mode: Mode, name: EngineName) -> ParseEngine:
        """The engine for an attempt: for MOCK it is another than for REAL and HYBRID.

        Raises ``NotAllowed`` when it cannot be made or is not registered.
        """
        self._card(name)
        key = (name, mode is Mode.MOCK)
        if key not in self._made:
            self._made[key] = self._make[name](mode)
        return self._made[key]

    async def close(self) -> None:
        """Let go of what was made."""
        for engine in self._made.values():
            await engine.close()
        self._made.clear()
