"""What happened since a person was last here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.clock import Clock
from core.domain.jobs import Actor, JobStatus
from core.domain.routing import Mode
from core.store import Store, jobs, ledger, visits
from core.store.jobs import JobFilter

__all__ = ["Since", "Visits"]

_FAILED = (JobStatus.FAILED_PARSE, JobStatus.FAILED_HANDOFF)
_WAITS = (JobStatus.HELD, JobStatus.PARTLY_PARSED)


@dataclass(frozen=True, slots=True)
class Since:
    """What ended, what waits for a person now, and what was spent since a moment."""

    moment: datetime
    finished: int
    failed: int
    waits: int
    usd: Decimal


class Visits:
    """Remembers who was here when."""

    def __init__(self, store: Store, mode: Callable[[], Mode], clock: Clock) -> None:
        self._store = store
        self._mode = mode
        self._clock = clock

    def last_seen(self, actor: Actor) -> datetime | None:
        """When the person was last noted, if ever."""
        with self._store.read() as tx:
            return visits.seen_at(tx, str(actor))

    def note(self, actor: Actor) -> None:
        """The person is here now."""
        with self._store.write() as tx:
            visits.record(tx, str(actor), self._clock())

    def since(self, moment: datetime) -> Since:
        """What happened since then."""
        mode = self._mode()
        with self._store.read() as tx:
            ended = jobs.count_by_status(tx, JobFilter(finished_since=moment))
            now = jobs.count_by_status(tx)
            spent = ledger.spent_since(tx, mode, moment)
        failed = sum(ended.get(status, 0) for status in _FAILED)
        finished = sum(count for status, count in ended.items() if status.has_result)
        waits = sum(now.get(status, 0) for status in _WAITS)
        return Since(moment, finished, failed, waits, spent)
