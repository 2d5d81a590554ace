"""The breakers of all engines, one per name, made when first needed."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta

from core.clock import Clock
from core.domain.documents import EngineName
from core.domain.health import HealthPolicy
from core.pipeline.health import Watch
from core.store import Store, health
from core.store.health import EngineHealth

__all__ = ["Watches"]

_DAY = timedelta(days=1)


class Watches:
    """One watch per engine, all under the same policy. Thread-safe."""

    def __init__(
        self,
        store: Store,
        policy: HealthPolicy,
        title: Callable[[EngineName], str],
        clock: Clock,
        zone: Callable[[], str],
    ) -> None:
        self._store = store
        self._policy = policy
        self._title = title
        self._clock = clock
        self._zone = zone
        self._made: dict[EngineName, Watch] = {}
        self._lock = threading.Lock()
        self._is_started = False

    def of(self, name: EngineName) -> Watch:
        """The watch of an engine; all share its state through the database."""
        with self._lock:
            if name not in self._made:
                policy = replace(self._policy, title=self._title(name))
                self._made[name] = Watch(self._store, name, policy, self._clock, self._zone)
                if self._is_started:
                    self._made[name].start()
            return self._made[name]

    def looks(
        self, names: Collection[EngineName]
    ) -> Mapping[EngineName, tuple[EngineHealth, float | None]]:
        """The health of these engines now, and the seconds of each one's newest probe of a day, in one look."""
        with self._store.read() as tx:
            found = health.several(tx, names, self._clock() - _DAY)
            nothing = (None, None)
            return {
                name: (self.of(name).seen(tx, known), probed_s)
                for name in names
                for known, probed_s in [found.get(name, nothing)]
            }

    def trouble(self, name: EngineName) -> str:
        """Why an engine cannot be used now, in words; empty when it can."""
        return self.of(name).trouble()

    def start(self) -> None:
        """Begin to write down what is heard, also by those that are made later."""
        with self._lock:
            self._is_started = True
            for watch in self._made.values():
                watch.start()

    def stop(self) -> None:
        """Write what was heard and end."""
        with self._lock:
            self._is_started = False
            for watch in self._made.values():
                watch.stop()
