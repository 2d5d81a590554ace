"""Asking every engine how it does, again and again, by one process at a time."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from core.errors import ConsoleError, UpstreamError, UpstreamKind
from core.pipeline.health import Watch
from core.telemetry import log

__all__ = ["PROBE_TIMEOUT_S", "CardProbe", "Probed", "Prober", "Probing", "at_once", "probe"]

PROBE_TIMEOUT_S = 5.0
_LOOK_S = 1.0


class Probed(Protocol):
    """The part of an engine that the prober needs."""

    async def probe(self) -> float:
        """A cheap call with the key; how many seconds it took. Raises ``UpstreamError``."""

    async def close(self) -> None:
        """Let go of the connections."""


@dataclass(frozen=True, slots=True)
class CardProbe:
    """What an engine's card offers as a probe, with the prober's own timeout, in seconds."""

    look: Callable[[], Awaitable[float]]
    timeout_s: float

    async def probe(self) -> float:
        """How many seconds it took. Raises ``ConsoleError``."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self.look()
        except TimeoutError:
            what = f"It did not answer within {self.timeout_s:.0f} s."
            raise UpstreamError(UpstreamKind.TIMEOUT, what, "It is asked again.") from None

    async def close(self) -> None:
        """Nothing is held."""


async def at_once() -> float:
    """The turn of an engine whose calls are not paced."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Probing:
    """How an engine is probed: heard by whom, how often, with what, when it is its turn, whether at all.

    ``engine`` is made on the prober's own loop, with a timeout of its own, in seconds.
    """

    watch: Watch
    interval_s: float
    engine: Callable[[float], Probed]
    turn: Callable[[], Awaitable[float]]
    is_wanted: Callable[[], bool]


class Prober:
    """Asks each engine how it does, in a thread of its own; of all processes one does it at a time."""

    def __init__(self, who: str, engines: Sequence[Probing]) -> None:
        self._who = who
        self._engines = engines
        self._log = log("health")
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[object] | None = None
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, also in the middle of a probe."""
        with suppress(RuntimeError):  # its loop has ended already
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(timeout=10)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        self._task = self._loop.create_task(self._all())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _all(self) -> None:
        # side by side: a slow one must not keep the others from being asked
        await asyncio.gather(*(self._rounds(how) for how in self._engines))

    async def _rounds(self, how: Probing) -> None:
        engine: Probed | None = None
        try:
            while True:
                try:
                    if await asyncio.to_thread(self._is_mine, how):
                        engine = engine or how.engine(PROBE_TIMEOUT_S)
                        await asyncio.sleep(await how.turn())
                        await probe(how.watch, engine)
                        await asyncio.to_thread(how.watch.write_now)
                except ConsoleError as error:
                    self._log.warning("no probe", error=str(error))
                except Exception:  # the next round tries again; without probes nothing would heal
                    self._log.exception("probe failed")
                await asyncio.sleep(_LOOK_S)
        finally:
            if engine is not None:
                await engine.close()

    def _is_mine(self, how: Probing) -> bool:
        return how.is_wanted() and how.watch.claim_probe(self._who, how.interval_s)


async def probe(watch: Watch, engine: Probed) -> str:
    """One probe, heard by the watch; empty, or why it failed."""
    began = time.perf_counter()
    try:
        watch.heard("probe", "ok", await engine.probe())
    except UpstreamError as error:
        took_s = time.perf_counter() - began
        watch.heard("probe", error.kind.value, took_s, error.retry_after_s or 0.0)
        return error.what
    except ConsoleError as error:
        watch.heard("probe", UpstreamKind.SERVER.value, time.perf_counter() - began)
        return error.what
    return ""
