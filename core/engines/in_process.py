"""What engines without a service have in common: nothing is sent, and the work is done when it is fetched."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, TypeVar

from core.domain.documents import EngineName
from core.domain.money import Tier
from core.engines.protocol import EngineJob, EngineStatus, Keep, ParseOrder

__all__ = ["InProcess"]

T = TypeVar("T")


class InProcess:
    """An engine whose job is its attempt, ready at once. What is left to write is ``fetch``.

    ``credits`` is what every job of it costs; None when that comes with the result.
    """

    name: EngineName
    credits: ClassVar[int | None] = None

    async def turn(self) -> float:
        """Nobody has to wait for a turn."""
        return 0.0

    def known_version(self, tier: Tier) -> str:
        """There is one version of it, the one that is installed."""
        del tier
        return ""

    async def ask_version(self, tier: Tier) -> str:
        """Never necessary."""
        return self.known_version(tier)

    async def submit(self, order: ParseOrder) -> EngineJob:
        """Nothing is sent anywhere."""
        return self._job(order.attempt_id)

    async def status(self, vendor_job_id: str) -> EngineJob:
        """Always ready."""
        return self._job(vendor_job_id.removeprefix(f"{self.name}-"))

    async def look(self, vendor_job_id: str, order: ParseOrder) -> EngineJob:
        """Always ready; the result is made when it is fetched."""
        del order
        return await self.status(vendor_job_id)

    async def pictures(
        self, vendor_job_id: str, order: ParseOrder, keep: Keep[T]
    ) -> Mapping[int, T]:
        """None: pages of PDFs are drawn when somebody looks at them, others not at all."""
        del vendor_job_id, order, keep
        return {}

    async def find(self, attempt_id: str, since: datetime) -> EngineJob | None:
        """The job of this attempt: it exists by definition."""
        del since
        return self._job(attempt_id)

    async def cancel(self, vendor_job_id: str) -> EngineJob:
        """Stopped before it began."""
        job = await self.status(vendor_job_id)
        return EngineJob(
            job.vendor_job_id,
            EngineStatus.CANCELLED,
            attempt_id=job.attempt_id,
            credits=self.credits,
        )

    async def billed(self, vendor_job_id: str) -> int | None:
        """There are no records of usage."""
        del vendor_job_id
        return self.credits

    async def close(self) -> None:
        """Nothing is held."""

    def _job(self, attempt_id: str) -> EngineJob:
        return EngineJob(
            f"{self.name}-{attempt_id}",
            EngineStatus.COMPLETED,
            attempt_id=attempt_id,
            credits=self.credits,
        )
