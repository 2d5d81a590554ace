"""What LlamaParse says of itself."""

from collections.abc import Awaitable, Callable

from core.domain.documents import EngineName
from core.domain.money import Tier
from core.engines.registry import EngineCard

__all__ = ["llamaparse_card"]


def llamaparse_card(probe: Callable[[], Awaitable[float]]) -> EngineCard:
    """Its card; what it cannot take it refuses itself, and its list of formats grows."""
    return EngineCard(
        name=EngineName.LLAMAPARSE,
        title="LlamaParse",
        lacks=lambda _media_type: "",
        tiers=tuple(Tier),
        page_ranges=True,
        languages="over 100 languages, chosen by the service",
        credits=lambda price, tier, pages: price.credits(tier, pages),
        probe=probe,
        # call by call, its repeats too, without the time that its pace took
        reports=True,
    )
