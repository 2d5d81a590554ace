"""Events that did not come: which jobs wait for one longer than usual, and what is likely to blame."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.domain.jobs import AttemptStatus
from core.settings import Settings
from core.store import Store, Transaction, expectations, workers
from core.store.expectations import Expected

__all__ = ["Missing", "MissingEvent"]

_LOOK_BACK = timedelta(days=7)


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

    def __init__(self, store: Store, settings: Callable[[], Settings], clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    def find(self) -> tuple[MissingEvent, ...]:
        """Those of the last seven days, newest first."""
        now = self._clock()
        found = []
        with self._store.read() as tx:
            usual: dict[tuple[str, str], timedelta] = {}
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
                        self._causes(tx, one, usual[key]),
                    )
                )
        return tuple(found)

    def _causes(self, tx: Transaction, one: Expected, usual: timedelta) -> tuple[str, ...]:
        until = (one.finished_at or self._clock()) + usual
        refused = expectations.refusals(tx, one.vendor_job_id, one.submitted_at, until)
        causes = [
            f"A delivery that names it was refused ({r.verdict.replace('_', ' ')}): {r.id}."
            for r in refused
            if r.names_the_job
        ]
        if any(r.verdict == "too_large" for r in refused):
            causes.append("A delivery of that time was over PARSEDECK_MAX_WEBHOOK_KB.")
        due = one.finished_at or one.submitted_at
        known = (*workers.known(tx), *workers.known(tx, workers.API))
        if known and all(w.started_at > due or (w.stopped_at or due) < due for w in known):
            causes.append("No process of Parsedeck ran when it was due.")
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
