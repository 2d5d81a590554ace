"""Events that did not come: which jobs wait for one longer than usual, and what is likely to blame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.domain import times
from core.domain.jobs import AttemptStatus
from core.pipeline.worker import DEAD_AFTER
from core.settings import Settings
from core.store import Store, Transaction, expectations, workers
from core.store.expectations import Expected
from core.store.workers import Worker

__all__ = ["Missing", "MissingEvent"]

_LOOK_BACK = timedelta(days=7)
_TRIES_TAKE = timedelta(seconds=5)
"""The vendor tries three times, after one second and after two more; who was away for less missed no event."""


@dataclass(frozen=True, slots=True)
class MissingEvent:
    """A job whose event is late or never came, and the likely causes, the most telling first."""

    job_id: str
    document: str
    waited: timedelta
    usual: timedelta
    is_healed: bool
    causes: tuple[str, ...]


class Missing:
    """Reads what was expected and did not come. The pipeline polls such jobs anyway."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[], Settings],
        clock: Clock,
        zone: Callable[[], str],
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._zone = zone

    def find(self) -> tuple[MissingEvent, ...]:
        """Those of the last seven days, newest first."""
        now = self._clock()
        found = []
        with self._store.read() as tx:
            usual: dict[tuple[str, str], timedelta] = {}
            ran = workers.since(tx, now - _LOOK_BACK)
            for one in expectations.unheard(tx, now - _LOOK_BACK):
                key = (one.mode, one.tier)
                if key not in usual:
                    usual[key] = expectations.usual_wait(tx, *key)
                is_over = AttemptStatus(one.status).is_final
                waited = now - one.submitted_at
                if waited <= usual[key]:
                    continue
                found.append(
                    MissingEvent(
                        one.job_id,
                        one.document,
                        waited,
                        usual[key],
                        is_over,
                        self._causes(tx, one, usual[key], ran),
                    )
                )
        return tuple(found)

    def _causes(
        self, tx: Transaction, one: Expected, usual: timedelta, ran: Sequence[Worker]
    ) -> tuple[str, ...]:
        until = (one.finished_at or self._clock()) + usual
        refused = expectations.refusals(tx, one.vendor_job_id, one.submitted_at, until)
        causes = [
            f"A delivery that names it was refused ({r.verdict.replace('_', ' ')}): {r.id}."
            for r in refused
            if r.names_the_job
        ]
        if any(r.verdict == "too_large" for r in refused):
            causes.append("A delivery of that time was over PARSEDECK_MAX_WEBHOOK_KB.")
        # not known is when the vendor was done: after the submit, and before we found the job finished
        away = _away(ran, one.submitted_at, one.finished_at or self._clock())
        if away is not None:
            began, ended = (times.exact(at, self._zone()) for at in away)
            causes.append(
                f"No process of Parsedeck ran from {began} to {ended}, while it was due: what was "
                "sent then found nobody."
            )
        if one.credits == 0:
            causes.append(
                "It cost nothing: the vendor answered from its cache, maybe without telling."
            )
        if one.mode != "mock":
            causes.append(
                f"{self._settings().public_url or 'The public address'} may not be reachable from "
                "outside: run `parsedeck webhook test-path`."
            )
        return tuple(causes) or ("Nothing on record explains it; the sender gave up, or is late.",)


def _away(
    ran: Sequence[Worker], since: datetime, until: datetime
) -> tuple[datetime, datetime] | None:
    """The longest time in between in which nobody is known to have run, if an event could be lost in it.

    A process that was killed is written off much later: it ran for as long as its heartbeat shows.
    """
    if not ran:
        return None  # no process is on record at all, so that nothing can be said
    gaps, heard = [], since
    for one in sorted(ran, key=lambda one: one.started_at):
        gaps.append((heard, min(one.started_at, until)))
        last = one.heartbeat_at + DEAD_AFTER
        heard = max(heard, min(one.stopped_at or last, last))
    gaps.append((heard, until))
    longest = max(gaps, key=lambda gap: gap[1] - gap[0])
    return longest if longest[1] - longest[0] > _TRIES_TAKE else None
