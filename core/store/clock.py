"""One time for all machines: the database's. A machine whose own clock is wrong neither blocks others nor is blocked."""

from datetime import datetime, timedelta

from sqlalchemy import text

from core.clock import Clock
from core.store.engine import Store

__all__ = ["StoreClock"]

# what clocks that are kept in time may differ by, and how long the question may take
_TOLERANCE = timedelta(seconds=1)


class StoreClock:
    """This machine's clock, put right by what Postgres says; the embedded database has the same clock.

    ``ahead`` is how far this machine is ahead of the database, behind when negative; zero within a
    second. Thread-safe.
    """

    def __init__(self, store: Store, machine: Clock) -> None:
        self._store = store
        self._machine = machine
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        """The present moment as an aware UTC datetime, without asking the database."""
        return self._machine() - self.ahead

    def compare(self) -> None:
        """Ask the database again, as this machine's clock may have been set. Raises ``StoreUnavailable``."""
        if self._store.is_sqlite:
            return
        with self._store.read() as tx:
            tx.connection()  # before: a new one takes its time
            before = self._machine()
            there: datetime = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
            took = self._machine() - before
        if timedelta(0) <= took <= _TOLERANCE:
            ahead = before + took / 2 - there
            self.ahead = ahead if abs(ahead) > _TOLERANCE else timedelta(0)
