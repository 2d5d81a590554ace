"""LlamaParse as this installation reaches it: with its key, at its pace, heard by its breaker."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import SecretStr

from core.clock import Clock
from core.domain.documents import EngineName
from core.domain.routing import Mode
from core.engines.llamaparse import LiveFact, LlamaParseEngine
from core.errors import KeyMissing
from core.pipeline.pacing import StoredPace
from core.pipeline.probing import PROBE_TIMEOUT_S, Probing, probe
from core.pipeline.watches import Watches
from core.services.health import Reach
from core.settings import Settings
from core.store import Store
from core.telemetry import Metrics

__all__ = ["LlamaParse"]

T = TypeVar("T")


class LlamaParse:
    """Makes clients of the service, and of the simulator at ``mock_url``; asks for whoever has no loop.

    ``per_minute`` is how many calls a minute the key may make, as it is set now.
    """

    def __init__(  # noqa: PLR0913 - each is a collaborator that the composition root hands over
        self,
        settings: Settings,
        store: Store,
        watches: Watches,
        metrics: Metrics,
        per_minute: Callable[[], int],
        mock_url: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._watches = watches
        self._metrics = metrics
        self._per_minute = per_minute
        self._mock_url = mock_url
        self._clock = clock

    def client(self, mode: Mode) -> LlamaParseEngine:
        """The client for REAL and HYBRID, or the same client for the simulator. Raises ``KeyMissing``."""
        settings, is_mock = self._settings, mode is Mode.MOCK
        key = SecretStr("simulated") if is_mock else settings.api_key
        if key is None:
            raise KeyMissing

        def heard(operation: str, outcome: str, seconds: float) -> None:
            self._metrics.count_call("mock" if is_mock else "real", operation, outcome, seconds)
            if not is_mock:
                self._watches.of(EngineName.LLAMAPARSE).heard(operation, outcome, seconds)

        return LlamaParseEngine(
            self._mock_url() if is_mock else settings.base_url,
            key,
            simulated=is_mock,
            timeout_s=settings.timeout_s,
            max_retries=settings.max_retries,
            clock=self._clock,
            pace=None if is_mock else StoredPace(self._store, key, self._per_minute),
            on_call=heard,
            # the simulator has an organization of its own
            organization_id="" if is_mock else settings.organization_id,
            project_id="" if is_mock else settings.project_id,
        )

    def probing(self, is_wanted: Callable[[], bool]) -> Probing:
        """How it is probed. Raises ``KeyMissing``."""
        key = self._settings.api_key
        if key is None:
            raise KeyMissing
        return Probing(
            self._watches.of(EngineName.LLAMAPARSE),
            self._settings.health_interval_s,
            self._probed,
            StoredPace(self._store, key, self._per_minute).turn,
            is_wanted,
        )

    async def probe(self) -> float:
        """One cheap call with the key; how many seconds it took. Raises ``UpstreamError``."""
        engine = self._probed(PROBE_TIMEOUT_S)
        try:
            return await engine.probe()
        finally:
            await engine.close()

    def ask_now(self) -> Reach:
        """A probe that a person asked for; beside the pace, for they wait for it."""
        watch = self._watches.of(EngineName.LLAMAPARSE)

        async def ask() -> Reach:
            engine = self._probed(PROBE_TIMEOUT_S)
            began = time.perf_counter()
            try:
                problem = await probe(watch, engine)
            finally:
                await engine.close()
            return Reach(time.perf_counter() - began, problem)

        found = asyncio.run(ask())
        watch.write_now()
        return found

    def first_contact(self, vendor_job_id: str, attempt_id: str) -> tuple[LiveFact, ...]:
        """What the service shows of a job that was parsed."""
        return self._answered(lambda engine: engine.first_contact(vendor_job_id, attempt_id))

    def last_contact(self, vendor_job_id: str) -> LiveFact:
        """Whether the service removes a job."""
        return self._answered(lambda engine: engine.last_contact(vendor_job_id))

    def _answered(self, ask: Callable[[LlamaParseEngine], Awaitable[T]]) -> T:
        """What a client of its own answers, for whoever has no loop."""

        async def asked() -> T:
            engine = self.client(Mode.REAL)
            try:
                return await ask(engine)
            finally:
                await engine.close()

        return asyncio.run(asked())

    def _probed(self, timeout_s: float) -> LlamaParseEngine:
        key = self._settings.api_key or SecretStr("")
        # its turn is taken before, so that waiting for it is not taken for a slow answer
        return LlamaParseEngine(
            self._settings.base_url, key, timeout_s=timeout_s, max_retries=0, clock=self._clock
        )
