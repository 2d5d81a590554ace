"""Who plays in these tests: documents, a reader that needs no engine, a receiver of webhooks."""

import io
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from pypdf import PdfReader, PdfWriter, Transformation
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.domain.documents import EngineName, ParsedDocument, ParsedPage, parse_page_ranges
from core.domain.money import Tier
from core.engines.protocol import ParseOrder, WebhookTarget
from core.errors import DocumentRefused, RefusalReason
from core.samples import pdf_of_text

__all__ = ["Mailbox", "Memory", "an_order", "eventually", "pdf_with_a_picture", "read_lines"]


async def read_lines(path: Path, name: str, target_pages: str) -> ParsedDocument:
    """A page for each line, a heading unless it is a list; none for ``nothing``; a line ``fail`` fails.

    ``refuse:REASON`` is refused.
    """
    text = path.read_text(encoding="utf-8")  # noqa: ASYNC240 - a few bytes
    if text.startswith("refuse:"):
        raise DocumentRefused(
            RefusalReason(text.removeprefix("refuse:")), f"{name} cannot be read."
        )
    if text.startswith("crash"):
        message = "a bug in the reader"
        raise RuntimeError(message)
    lines = [] if text == "nothing" else text.splitlines()
    numbers = parse_page_ranges(target_pages) if target_pages else range(1, len(lines) + 1)
    there = [number for number in numbers if number <= len(lines)]
    return ParsedDocument(tuple(_page(number, lines[number - 1]) for number in there))


def _page(number: int, line: str) -> ParsedPage:
    error = "the page is broken" if line == "fail" else ""
    markdown = line if line.startswith("- ") else f"# {line}"
    return ParsedPage(number, "" if error else markdown, line, EngineName.LOCAL, error=error)


def pdf_with_a_picture() -> bytes:
    """Two pages of text; on the first a picture of 200 by 100 points, 100 from the left and 392 from the top."""
    picture, out = io.BytesIO(), io.BytesIO()
    Image.linear_gradient("L").resize((200, 100)).convert("RGB").save(picture, "PDF")
    pages = PdfWriter(clone_from=io.BytesIO(pdf_of_text(["One\nwith a picture", "Two\nwithout"])))
    place = Transformation().translate(100, 300)
    pages.pages[0].merge_transformed_page(PdfReader(picture).pages[0], place)
    pages.write(out)
    return out.getvalue()


@dataclass
class Memory:
    """A document's content from memory, given out in small chunks."""

    data: bytes
    chunk: int = 65536

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes in order."""
        for start in range(0, len(self.data), self.chunk):
            yield self.data[start : start + self.chunk]

    @contextmanager
    def as_file(self) -> Iterator[Path]:
        """A file with the bytes."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "content"
            path.write_bytes(self.data)
            yield path


def an_order(
    text: str = "one\ntwo\nthree",
    *,
    attempt_id: str = "att-1",
    name: str = "terms.pdf",
    tier: Tier = Tier.AGENTIC,
    target_pages: str = "",
    disable_cache: bool = False,
    webhook: WebhookTarget | None = None,
) -> ParseOrder:
    """An order for a small document."""
    return ParseOrder(
        attempt_id=attempt_id,
        name=name,
        media_type="application/pdf",
        content=Memory(text.encode()),
        tier=tier,
        target_pages=target_pages,
        disable_cache=disable_cache,
        webhook=webhook,
    )


@dataclass
class Mailbox:
    """A receiver of webhooks that keeps what arrives; ``answers`` are given first, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        """The receiver."""
        return Starlette(routes=[Route("/{rest:path}", self._accept, methods=["GET", "POST"])])

    async def _accept(self, request: Request) -> Response:
        self.received.append((dict(request.headers), await request.body()))
        status = self.answers.pop(0) if self.answers else 200
        headers = {"location": "/elsewhere"} if 300 <= status < 400 else {}
        return Response(status_code=status, headers=headers)

    def wait_for(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        """The deliveries, once there are so many."""
        eventually(lambda: len(self.received) >= count)
        return self.received


def eventually(claim: object, timeout_s: float = 20.0) -> None:
    """Wait until the claim, a function without arguments, holds."""
    assert callable(claim)
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
