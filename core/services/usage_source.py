"""Fetching the vendor's usage metrics now and then, for the drift report."""

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from core.clock import Clock
from core.engines.llamaparse import LlamaParseEngine
from core.errors import UpstreamError
from core.pipeline.driving.timing import BILL_WAITS
from core.services.drift import Drift
from core.store.usage import UsageRecord

__all__ = ["UsageSource"]

_EVERY = timedelta(hours=1)
_FIRST_AFTER = timedelta(minutes=5)


class UsageSource:
    """Asks as many days back as a bill is waited for; each record counts once, however often it comes."""

    def __init__(self, drift: Drift, engine: Callable[[], LlamaParseEngine], clock: Clock) -> None:
        self._drift = drift
        self._engine = engine
        self._clock = clock
        # not at once: a process that has just started has better things to do
        self._asked_at = clock() - _EVERY + _FIRST_AFTER

    def look(self) -> None:
        """Take in what is new, once an hour. Raises ``UpstreamError`` when the vendor cannot be asked."""
        now = self._clock()
        if now - self._asked_at < _EVERY:
            return
        self._asked_at = now
        try:
            records = asyncio.run(self._records(now))
        except UpstreamError as error:
            self._drift.asked(f"{error.what} {error.next_step}".strip())
            raise
        self._drift.take_in(records)
        self._drift.asked("")

    async def _records(self, now: datetime) -> Sequence[UsageRecord]:
        engine = self._engine()
        try:
            found = await engine.used((now - BILL_WAITS).date(), now.date())
        finally:
            await engine.close()
        return [
            UsageRecord(r.id, r.day, r.key, r.event_type, r.value, math.ceil(r.credits))
            for r in found
            if r.credits is not None and r.key
        ]
