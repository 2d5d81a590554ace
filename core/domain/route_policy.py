"""What the team decided about HYBRID: which page goes where, and when a stand-in is good enough."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from core.domain.documents import EngineName, PageClass, Thresholds
from core.domain.money import Tier

__all__ = ["LOCAL", "HybridPolicy", "RoutePolicy", "Where"]

LOCAL = None
"""In a routing table: no tier of LlamaParse, the local engine."""

Where: TypeAlias = Tier | EngineName | None
"""In a routing table: LlamaParse at this tier, an engine that was added, or the local engine."""


class HybridPolicy(StrEnum):
    """LlamaParse first, or page by page the cheapest that suffices."""

    FALLBACK = "fallback"
    ECONOMY = "economy"


def _table() -> Mapping[PageClass, Where]:
    return {
        PageClass.PLAIN: LOCAL,
        PageClass.TABLE: Tier.COST_EFFECTIVE,
        PageClass.FIGURE: Tier.AGENTIC,
        PageClass.SCAN: Tier.AGENTIC,
        PageClass.GARBLED: Tier.AGENTIC,
    }


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """The rules of HYBRID.

    ``table`` says for each class of page at which tier LlamaParse reads it, that it stays here, or
    which other engine reads it.
    ``local_over_limit`` allows the local engine where a limit is reached; ``parse_again`` replaces
    stand-ins by themselves once LlamaParse can be used. Raises ``ValueError`` for a table that leaves
    scans or garbled text to the local engine, or that misses a class.
    """

    hybrid: HybridPolicy = HybridPolicy.FALLBACK
    table: Mapping[PageClass, Where] = field(default_factory=_table)
    thresholds: Thresholds = field(default=Thresholds())
    local_over_limit: bool = False
    parse_again: bool = False

    def __post_init__(self) -> None:
        """A table that cannot be followed fails here, not at the first document."""
        missing = set(PageClass) - set(self.table)
        if missing:
            raise ValueError(f"The table says nothing about {', '.join(sorted(missing))}.")
        if {EngineName.LOCAL, EngineName.LLAMAPARSE} & set(self.table.values()):
            raise ValueError("LlamaParse is named by a tier, the local engine by none.")
        for kind in (PageClass.SCAN, PageClass.GARBLED):
            if self.table[kind] is LOCAL:
                raise ValueError(f"A {kind} page cannot be read by the local engine alone.")
        low = self.thresholds
        if low.min_text_chars < 0 or low.columns < 2 or not 0 <= low.figure_share <= 1:  # noqa: PLR2004 - one column is plain
            raise ValueError("Characters from 0, columns from 2, a share of figures from 0 to 1.")

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        return {
            "hybrid": self.hybrid,
            "table": {kind.value: _stored(where) for kind, where in self.table.items()},
            "thresholds": asdict(self.thresholds),
            "local_over_limit": self.local_over_limit,
            "parse_again": self.parse_again,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "RoutePolicy":
        """What ``as_json`` wrote. Raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
        return cls(
            hybrid=HybridPolicy(stored["hybrid"]),
            table={PageClass(k): _where(v) for k, v in stored["table"].items()},
            thresholds=Thresholds(**stored["thresholds"]),
            local_over_limit=bool(stored["local_over_limit"]),
            parse_again=bool(stored["parse_again"]),
        )


def _stored(where: Where) -> str | dict[str, str] | None:
    return {"engine": str(where)} if isinstance(where, EngineName) else where and where.value


def _where(stored: str | Mapping[str, str] | None) -> Where:
    if isinstance(stored, Mapping):
        return EngineName(stored["engine"])
    return LOCAL if stored is None else Tier(stored)
