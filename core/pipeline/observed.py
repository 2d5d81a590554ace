"""The passive health check: what the pipeline's own calls to an engine come to reaches its breaker."""

import time
from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import TypeVar

from core.domain.documents import EngineName, ParsedDocument
from core.domain.money import Tier
from core.engines.protocol import EngineJob, Keep, ParseEngine, ParseOrder
from core.errors import UpstreamError
from core.pipeline.health import Watch

__all__ = ["Observed"]

T = TypeVar("T")


class Observed:
    """An engine, with a watch that hears of each call: operation, what it came to, how long it took.

    One that ``reports`` its calls by itself is heard of only where it asked for a pause. A document
    that it refuses says nothing about the engine; nor does a call that was broken off.
    """

    name: EngineName

    def __init__(self, engine: ParseEngine, watch: Watch, *, reports: bool) -> None:
        self.name = engine.name
        self._engine = engine
        self._watch = watch
        self._reports = reports

    async def turn(self) -> float:
        """A turn is no call."""
        return await self._engine.turn()

    def known_version(self, tier: Tier) -> str | None:
        """What is known already is no call either."""
        return self._engine.known_version(tier)

    async def ask_version(self, tier: Tier) -> str:
        """Heard as ``versions``."""
        return await self._heard("versions", self._engine.ask_version(tier))

    async def submit(self, order: ParseOrder) -> EngineJob:
        """Heard; after 402 only this one tells whether there are credits again."""
        return await self._heard("submit", self._engine.submit(order))

    async def status(self, vendor_job_id: str) -> EngineJob:
        """Heard."""
        return await self._heard("status", self._engine.status(vendor_job_id))

    async def look(self, vendor_job_id: str, order: ParseOrder) -> EngineJob:
        """Heard; it takes as long as the result is large, which ``status`` does not."""
        return await self._heard("look", self._engine.look(vendor_job_id, order))

    async def fetch(self, vendor_job_id: str, order: ParseOrder) -> ParsedDocument:
        """Heard."""
        return await self._heard("fetch", self._engine.fetch(vendor_job_id, order))

    async def pictures(
        self, vendor_job_id: str, order: ParseOrder, keep: Keep[T]
    ) -> Mapping[int, T]:
        """Heard."""
        return await self._heard("pictures", self._engine.pictures(vendor_job_id, order, keep))

    async def find(self, attempt_id: str, since: datetime) -> EngineJob | None:
        """Heard as ``list``."""
        return await self._heard("list", self._engine.find(attempt_id, since))

    async def cancel(self, vendor_job_id: str) -> EngineJob:
        """Heard."""
        return await self._heard("cancel", self._engine.cancel(vendor_job_id))

    async def billed(self, vendor_job_id: str) -> int | None:
        """Heard as ``usage``."""
        return await self._heard("usage", self._engine.billed(vendor_job_id))

    async def close(self) -> None:
        """The engine belongs to whoever made it."""

    async def _heard(self, operation: str, call: Awaitable[T]) -> T:
        began, outcome, pause_s = time.perf_counter(), "interrupted", 0.0
        try:
            answer = await call
            outcome = "ok"
        except UpstreamError as error:
            outcome, pause_s = error.kind.value, error.retry_after_s or 0.0
            raise
        finally:
            if not self._reports:
                self._watch.heard(operation, outcome, time.perf_counter() - began, pause_s)
            elif pause_s:
                self._watch.paused(pause_s)
        return answer
