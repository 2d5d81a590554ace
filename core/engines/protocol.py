"""The protocol that every engine speaks, and the values that pass through it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from core.domain.documents import EngineName, ParsedDocument
from core.domain.money import Tier

__all__ = [
    "Content",
    "EngineJob",
    "EngineStatus",
    "Keep",
    "Pace",
    "ParseEngine",
    "ParseOrder",
    "WebhookTarget",
]


T = TypeVar("T")

Keep = Callable[[AsyncIterator[bytes]], Awaitable[T]]
"""Takes chunks as they come, and answers what it made of them."""


class Content(Protocol):
    """A document's bytes, in chunks or as a file; never needs to be in memory as a whole."""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes in order, from the start each time it is called."""

    def as_file(self) -> AbstractContextManager[Path]:
        """A local path with exactly these bytes, valid within the context."""


class Pace(Protocol):
    """Who may call when, over all processes."""

    async def turn(self) -> float:
        """Take the next turn; seconds until it."""

    async def hold(self, seconds: float) -> None:
        """Nobody's turn comes before so many seconds from now."""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where the vendor reports to, and the secret it signs with (never logged)."""

    url: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"WebhookTarget(url={self.url!r})"


@dataclass(frozen=True, slots=True)
class ParseOrder:
    """One attempt as an engine sees it; ``attempt_id`` travels with the job for later adoption.

    The document is either its ``content`` or what the service finds at ``source_url``. ``deadline_s``
    is how long the job may take in all, from its submit on; after ``send_by`` the request must not
    leave any more, because by then somebody else may look for it. ``screenshots`` asks for a picture
    of each page.
    """

    attempt_id: str
    name: str
    media_type: str
    content: Content | None
    tier: Tier
    version: str = "latest"
    source_url: str = field(default="", repr=False)
    page_count: int | None = None
    target_pages: str = ""
    max_pages: int | None = None
    disable_cache: bool = False
    screenshots: bool = False
    webhook: WebhookTarget | None = None
    deadline_s: float | None = None
    send_by: datetime | None = None


class EngineStatus(StrEnum):
    """How far the engine is with a job."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the engine will not change it any more."""
        return self not in {EngineStatus.PENDING, EngineStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class EngineJob:
    """What the engine says about one of its jobs.

    Of a failed one: the vendor's code, what happened and what to do, and how many new jobs for the
    same pages are worth their price.
    """

    vendor_job_id: str
    status: EngineStatus
    error_code: str = ""
    error_message: str = ""
    next_step: str = ""
    retries: int = 0
    attempt_id: str = ""
    created_at: datetime | None = None
    credits: int | None = None
    result: ParsedDocument | None = field(default=None, repr=False)


class ParseEngine(Protocol):
    """Submit, ask, fetch, find again, cancel. Every method may raise ``UpstreamError``."""

    name: EngineName

    async def turn(self) -> float:
        """Take the turn of a submit; seconds to wait before it is made."""

    def known_version(self, tier: Tier) -> str | None:
        """The version of this tier to order now; None when it has to be asked for first."""

    async def ask_version(self, tier: Tier) -> str:
        """Ask for it, with a turn that was taken; before an intent is recorded."""

    async def submit(self, order: ParseOrder) -> EngineJob:
        """Hand the document over; never retried inside.

        Raises ``UpstreamError``, with ``outcome_unknown`` when the engine may have taken the job all
        the same.
        """

    async def status(self, vendor_job_id: str) -> EngineJob:
        """What the engine says now."""

    async def look(self, vendor_job_id: str, order: ParseOrder) -> EngineJob:
        """What the engine says now, and with it the result when there is one: one call, not two."""

    async def fetch(self, vendor_job_id: str, order: ParseOrder) -> ParsedDocument:
        """The result of a completed job; pages are numbered as in the document."""

    async def pictures(
        self, vendor_job_id: str, order: ParseOrder, keep: Keep[T]
    ) -> Mapping[int, T]:
        """What ``keep`` made of each page's picture that there is, by page number in the document."""

    async def find(self, attempt_id: str, since: datetime) -> EngineJob | None:
        """The job that carries this attempt's id among all created since then.

        None only after a complete listing without it.
        """

    async def cancel(self, vendor_job_id: str) -> EngineJob:
        """Ask for a stop; the answer says what came of it."""

    async def billed(self, vendor_job_id: str) -> int | None:
        """Credits that its records of usage say for a job; None when they say nothing of it.

        Another source than ``status``: asked when that one stays silent.
        """

    async def close(self) -> None:
        """Let go of connections and processes."""
