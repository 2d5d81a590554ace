"""The pace of an engine's calls, kept in the database for all processes on the same key."""

import asyncio
import hashlib
from collections.abc import Callable

from pydantic import SecretStr

from core.store import Store, pacing

__all__ = ["StoredPace"]


class StoredPace:
    """Takes turns for the calls on one key; the key itself is not stored, only its fingerprint.

    ``per_minute`` is asked at every turn, because it may be changed while calls wait.
    """

    def __init__(self, store: Store, api_key: SecretStr, per_minute: Callable[[], int]) -> None:
        self._store = store
        self._key = hashlib.sha256(api_key.get_secret_value().encode()).hexdigest()[:16]
        self._per_minute = per_minute

    async def turn(self) -> float:
        """Take the next turn; seconds until it. Raises ``StoreUnavailable``."""
        return await asyncio.to_thread(self._take)

    async def hold(self, seconds: float) -> None:
        """Let nobody have a turn for so long: the service said that it is too much."""
        await asyncio.to_thread(self._hold, seconds)

    def _take(self) -> float:
        per_minute = self._per_minute()
        with self._store.write_lightly() as tx:
            return pacing.take_turn(tx, self._key, per_minute).wait_s

    def _hold(self, seconds: float) -> None:
        with self._store.write_lightly() as tx:
            pacing.hold(tx, self._key, seconds)
