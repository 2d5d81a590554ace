"""The breakers of all engines, one per name, made when first needed."""

from collections.abc import Callable
from dataclasses import replace

from core.clock import Clock
from core.domain.documents import EngineName
from core.domain.health import HealthPolicy
from core.pipeline.health import Watch
from core.store import Store

__all__ = ["Watches"]


class Watches:
    """One watch per engine, all under the same policy. Thread-safe."""

    def __init__(
        self, store: Store, policy: HealthPolicy, title: Callable[[EngineName], str], clock: Clock
    ) -> None:
        self._store = store
        self._policy = policy
        self._title = title
        self._clock = clock
        self._made: dict[EngineName, Watch] = {}

    def of(self, name: EngineName) -> Watch:
        """The watch of an engine; all share its state through the database."""
        if name not in self._made:
            policy = replace(self._policy, title=self._title(name))
            self._made.setdefault(name, Watch(self._store, name, policy, self._clock))
        return self._made[name]
