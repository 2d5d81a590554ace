"""An engine that takes a few minutes to write: it shouts what is in a text file."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from core.domain.documents import EngineName, ParsedDocument, ParsedPage, parse_page_ranges
from core.domain.money import Tier
from core.engines.protocol import EngineJob, EngineStatus, Keep, ParseOrder
from core.engines.registry import EngineCard
from core.errors import UpstreamError, UpstreamKind

T = TypeVar("T")

__all__ = ["Toy", "toy_card"]

_CREDITS = 2


class Toy:
    """Upper case, page by line, for two credits a page.

    ``is_well`` is what its probe goes by, ``takes_documents`` what its submit does.
    """

    name = EngineName("toy")

    def __init__(self) -> None:
        self.is_well = self.takes_documents = True
        self.probes = 0

    async def turn(self) -> float:
        """At once."""
        return 0.0

    def known_version(self, tier: Tier) -> str:
        """There is one."""
        del tier
        return ""

    async def ask_version(self, tier: Tier) -> str:
        """Never necessary."""
        return self.known_version(tier)

    async def submit(self, order: ParseOrder) -> EngineJob:
        """Nothing is sent."""
        if not self.takes_documents:
            raise UpstreamError(UpstreamKind.SERVER, "The toy has had enough.")
        return _job(order.attempt_id)

    async def status(self, vendor_job_id: str) -> EngineJob:
        """Always ready."""
        return _job(vendor_job_id.removeprefix("toy-"))

    async def look(self, vendor_job_id: str, order: ParseOrder) -> EngineJob:
        """Always ready."""
        del order
        return await self.status(vendor_job_id)

    async def fetch(self, vendor_job_id: str, order: ParseOrder) -> ParsedDocument:
        """Shout."""
        del vendor_job_id
        assert order.content is not None
        lines = b"".join([chunk async for chunk in order.content.chunks()]).decode().splitlines()
        wanted = parse_page_ranges(order.target_pages) if order.target_pages else ()
        pages = tuple(
            ParsedPage(number, line.upper(), line.upper(), self.name)
            for number, line in enumerate(lines, start=1)
            if not wanted or number in wanted
        )
        return ParsedDocument(pages, _CREDITS * len(pages))

    async def pictures(
        self, vendor_job_id: str, order: ParseOrder, keep: Keep[T]
    ) -> Mapping[int, T]:
        """Nobody can see a shout."""
        del vendor_job_id, order, keep
        return {}

    async def find(self, attempt_id: str, since: datetime) -> EngineJob | None:
        """It exists by definition."""
        del since
        return _job(attempt_id)

    async def cancel(self, vendor_job_id: str) -> EngineJob:
        """Too late."""
        return await self.status(vendor_job_id)

    async def billed(self, vendor_job_id: str) -> int:
        """It is free."""
        del vendor_job_id
        return 0

    async def probe(self) -> float:
        """It knows how it is."""
        self.probes += 1
        if not self.is_well:
            raise UpstreamError(UpstreamKind.SERVER, "The toy is hoarse.")
        return 0.0

    async def close(self) -> None:
        """Nothing is held."""


def toy_card(toy: Toy) -> EngineCard:
    """What it says of itself."""
    return EngineCard(
        name=toy.name,
        title="Toy",
        lacks=lambda media_type: "" if media_type == "text/plain" else "It shouts plain text only.",
        tiers=(),
        page_ranges=True,
        languages="loud ones",
        credits=lambda _price, _tier, pages: _CREDITS * pages,
        probe=toy.probe,
    )


def _job(attempt_id: str) -> EngineJob:
    return EngineJob(
        f"toy-{attempt_id}", EngineStatus.COMPLETED, attempt_id=attempt_id, credits=None
    )
