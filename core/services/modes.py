"""Which mode is in force, and switching it, for all processes at once."""

from collections.abc import Sequence

from core.clock import Clock
from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.store import Store
from core.store import settings as stored
from core.store.settings import ModeChange

__all__ = ["Modes"]


class Modes:
    """The mode lives in the database; before anyone switched it, the settings decide."""

    def __init__(self, store: Store, first: Mode, *, has_key: bool, clock: Clock) -> None:
        self._store = store
        self._first = first
        self._has_key = has_key
        self._clock = clock

    def current(self) -> Mode:
        """The mode in force."""
        with self._store.read() as tx:
            return self.after(stored.modes(tx, limit=1))

    def history(self) -> tuple[ModeChange, ...]:
        """The switches, newest first."""
        with self._store.read() as tx:
            return stored.modes(tx)

    def after(self, history: Sequence[ModeChange]) -> Mode:
        """The mode in force after these switches, newest first."""
        return Mode(history[0].mode) if history else self._first

    def switch(self, mode: Mode, actor: Actor, reason: str) -> None:
        """Switch for all processes; jobs keep the plan they have.

        Raises ``NotAllowed`` without a reason, and for REAL without a key.
        """
        if not reason.strip():
            raise NotAllowed(
                "A switch of mode needs a reason.", "Say why, so that others understand it later."
            )
        if mode is Mode.REAL and not self._has_key:
            raise NotAllowed("REAL needs a key.", "Set LLAMAPARSE_API_KEY, then start again.")
        change = ModeChange(mode, str(actor), reason.strip(), self._clock())
        with self._store.write() as tx:
            stored.add_mode(tx, change)
