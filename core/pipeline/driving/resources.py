"""What the pipeline is given to work with."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.clock import Clock
from core.domain.documents import EngineName
from core.domain.jobs import Job
from core.domain.routing import Mode
from core.engines.protocol import Content, ParseEngine, WebhookTarget
from core.pipeline.terms import Rules
from core.store import Store

__all__ = ["Blobs", "Resources"]


class Blobs(Protocol):
    """The part of the blob store that the driver uses."""

    def put_pieces(self, pieces: Iterable[bytes]) -> str:
        """Store what is made piece by piece, answer its SHA-256."""

    async def put_stream(self, chunks: AsyncIterator[bytes]) -> str:
        """Store what comes in chunks, answer its SHA-256."""

    def get(self, sha256: str) -> bytes:
        """The bytes again."""

    def content(self, sha256: str, size_bytes: int) -> Content:
        """The bytes as a stream or a file."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the pipeline works with; built by the composition root."""

    store: Store
    blobs: Blobs
    engine_of: Callable[[Mode, EngineName], ParseEngine]
    webhook_of: Callable[[Mode], WebhookTarget | None]
    rules: Callable[[], Rules]
    timeout_s: float
    concurrency: int
    clock: Clock
    compare_clocks: Callable[[], object] = field(default=lambda: None)
    """Puts the clock right, in case this machine's was set; before each round of the care."""
    close_engines: Callable[[], Any] = field(default=lambda: None)
    gate: Callable[[Mode, EngineName], str] = field(default=lambda _mode, _engine: "")
    """May a document be sent now: empty, or why not."""
    stands_in: Callable[[Job], bool] = field(default=lambda _job: True)
    """Whether the local engine can read a job's document, should it have to stand in."""
    room: Callable[[int], int] = field(default=lambda _at_most: 0)
    """How many of the jobs that wait for the vendor may be let go now."""
    text_layer: Callable[[Job], Mapping[int, str]] = field(default=lambda _job: {})
    """The text of a job's document by page, where the page has a sound text layer."""
    also_care: Callable[[], None] = field(default=lambda: None)
    """What else is done in each round of the care."""
