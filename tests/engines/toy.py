"""An engine that takes a few minutes to write: it shouts what is in a text file."""

from core.domain.documents import EngineName, ParsedDocument, ParsedPage, parse_page_ranges
from core.engines.in_process import InProcess
from core.engines.protocol import EngineJob, ParseOrder
from core.engines.registry import EngineCard
from core.errors import UpstreamError, UpstreamKind

__all__ = ["Toy", "toy_card"]

_CREDITS = 2


class Toy(InProcess):
    """Upper case, page by line, for two credits a page.

    ``is_well`` is what its probe goes by, ``takes_documents`` what its submit does.
    """

    name = EngineName("toy")

    def __init__(self) -> None:
        self.is_well = self.takes_documents = True
        self.probes = 0

    async def submit(self, order: ParseOrder) -> EngineJob:
        """Nothing is sent."""
        if not self.takes_documents:
            raise UpstreamError(UpstreamKind.SERVER, "The toy has had enough.")
        return await super().submit(order)

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

    async def probe(self) -> float:
        """It knows how it is."""
        self.probes += 1
        if not self.is_well:
            raise UpstreamError(UpstreamKind.SERVER, "The toy is hoarse.")
        return 0.0


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
