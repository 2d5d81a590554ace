"""Keeping the breaker: signals from real calls, the gate before a submit, and what was heard on record."""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from core.clock import Clock, is_recent
from core.domain import times
from core.domain.availability import LATE
from core.domain.documents import EngineName
from core.domain.health import (
    Breaker,
    BreakerState,
    HealthPolicy,
    Hold,
    Outcome,
    Signal,
    after,
    as_of,
    grant,
    health_of,
    signal_of,
    trouble,
    waits_as_asked,
)
from core.errors import StoreUnavailable
from core.store import Store, Transaction, availability, health
from core.store.health import EngineHealth, HealthChange
from core.telemetry import log

__all__ = ["Watch"]

_BREAKER = "system:breaker"
_KEPT = timedelta(days=7)
_HISTORY = timedelta(hours=24)
# a day's median changes slowly, and takes long to find among a day's calls; one that is missing is new
_USUAL_FOR, _MISSING_FOR = timedelta(minutes=10), timedelta(minutes=1)
_TIDY_EVERY = timedelta(hours=1)
_DOUBT_S = 1.0
_SOON_S = 5.0
_CLOCKS_DIFFER_BY = timedelta(seconds=5)
# enough to judge by: an engine without a pace may be called hundreds of times a second
_RECENT = 500

_Heard = tuple[str, str, float, float, datetime]
"""Operation, outcome, seconds, the pause that was asked for, when."""


class Watch:
    """The breaker of one engine, shared by all processes through the database. Thread-safe."""

    def __init__(
        self,
        store: Store,
        engine: EngineName,
        policy: HealthPolicy,
        clock: Clock,
        zone: Callable[[], str],
    ) -> None:
        self.engine = engine
        self.policy = policy
        self._store = store
        self._clock = clock
        self._zone = zone
        self._heard: queue.SimpleQueue[_Heard | None] = queue.SimpleQueue()
        self._usual: dict[str, float] = {}
        self._usual_at: datetime | None = None
        self._tidied_at: datetime | None = None
        self._summed_at: datetime | None = None
        self._log = log("health")
        self._writer: threading.Thread | None = None

    # -- what calls came to -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write down what is heard, if that has not begun."""
        if self._writer is not None:
            return
        self._writer = threading.Thread(target=self._write, name="health", daemon=True)
        self._writer.start()

    def stop(self) -> None:
        """Write what was heard and end."""
        if self._writer is not None:
            self._heard.put(None)
            self._writer.join(timeout=10)
            self._writer = None

    def heard(
        self, operation: str, outcome: str, seconds: float, retry_after_s: float = 0.0
    ) -> None:
        """A call ended; never waits, whoever calls."""
        self._heard.put((operation, outcome, seconds, retry_after_s, self._clock()))

    def paused(self, seconds: float) -> None:
        """The engine asked for a pause; an open breaker stays open for so long at least."""
        self.heard("pause", "asked", 0.0, seconds)

    def _write(self) -> None:
        while (first := self._heard.get()) is not None:
            batch, is_last = self._waiting()
            self._keep([first, *batch])
            if is_last:
                return

    def _waiting(self) -> tuple[list[_Heard], bool]:
        """What else was heard, and whether it is time to end."""
        batch: list[_Heard] = []
        with suppress(queue.Empty):
            while True:
                another = self._heard.get_nowait()
                if another is None:
                    return batch, True
                batch.append(another)
        return batch, False

    def write_now(self) -> None:
        """Write what was heard, where no thread of this process does it."""
        if self._writer is None and (batch := self._waiting()[0]):
            self._keep(batch)

    def _keep(self, batch: Sequence[_Heard]) -> None:
        try:
            usual = self._usual_now()
            self.note(
                [
                    Outcome(
                        at,
                        operation,
                        signal_of(operation, outcome, s, usual.get(operation), self.policy),
                        s,
                        retry_after_s,
                    )
                    for operation, outcome, s, retry_after_s, at in batch
                ]
            )
            self.sum_up()
        except StoreUnavailable as error:
            # the next calls tell the same again
            self._log.warning("health is not kept", error=str(error))
        except Exception:  # whoever hears no more would never open the breaker
            self._log.exception("health failed")

    def sum_up(self) -> None:
        """Keep the sums of the hours that are over, once: a week's chart does not count their calls anew."""
        past = self._clock() - LATE
        until = past - timedelta(seconds=past.timestamp() % availability.HOUR.total_seconds())
        if until == self._summed_at:
            return
        since = until - _KEPT
        with self._store.read() as tx:
            kept = availability.hours(tx, self.engine, since, until)
            while since in kept:
                since += availability.HOUR
            found = (
                availability.periods(tx, self.engine, since, until, availability.HOUR)
                if since < until
                else ()
            )
        with self._store.write() as tx:
            availability.keep_hours(tx, self.engine, found)
            availability.tidy(tx, until - _KEPT - availability.HOUR)
        self._summed_at = until

    def note(self, outcomes: Sequence[Outcome]) -> Breaker:
        """Keep what these calls came to, and the breaker they lead to."""
        with self._store.write() as tx:
            breaker = self._locked(tx).breaker
            begin = outcomes[0].at - timedelta(seconds=self.policy.window_s)
            recent = list(health.outcomes(tx, self.engine, begin, newest=_RECENT))
            for outcome in outcomes:
                before = breaker
                breaker = after(breaker, outcome, recent, self.policy)
                self._record(tx, before, breaker, outcome.at)
                recent.append(outcome)
            health.add_outcomes(tx, self.engine, outcomes)
            health.save(tx, self.engine, breaker)
            if breaker.state is BreakerState.CLOSED and outcomes[-1].signal is Signal.FAILED:
                # an outage, or bad luck: the next probes tell, and need not wait for their interval
                soon_s = max(_DOUBT_S, outcomes[-1].retry_after_s)
                soon = self._clock() + timedelta(seconds=soon_s)
                health.hasten_probe(tx, self.engine, soon)
            self._tidy(tx)
        return breaker

    # -- may it be used ---------------------------------------------------------------------------

    def gate(self) -> str:
        """May a document be sent now: empty, or why not. A half-open breaker lets a few through."""
        now = self._clock()
        with self._store.read() as tx:
            known = health.find(tx, self.engine)
        if known is not None and known.breaker.state is BreakerState.CLOSED:
            return trouble(known.breaker, known.hold, now, self.policy, self._zone)
        with self._store.write() as tx:
            known = self._locked(tx)
            if said := trouble(Breaker(), known.hold, now, self.policy, self._zone):
                return said
            breaker, may = grant(known.breaker, now, self.policy)
            self._record(tx, known.breaker, breaker, now)
            health.save(tx, self.engine, breaker)
        return "" if may else breaker.words

    def look(self) -> EngineHealth:
        """The engine's health now; changes nothing."""
        with self._store.read() as tx:
            return self.seen(tx, health.find(tx, self.engine))

    def seen(self, tx: Transaction, known: EngineHealth | None) -> EngineHealth:
        """The same of its row, which was read already; None where it is missing."""
        now = self._clock()
        breaker = known.breaker if known else self._rebuilt(tx, now)
        hold = known.hold if known and known.hold and now < known.hold.until else None
        at = known.next_probe_at if known else None
        breaker = as_of(breaker, now, self.policy)
        if at is not None and waits_as_asked(breaker, self.policy):
            at = breaker.until
        return EngineHealth(self.engine, breaker, hold, at)

    def trouble(self) -> str:
        """Why the engine cannot be used now, in words; empty when it can."""
        return self.words(self.look())

    def words(self, known: EngineHealth) -> str:
        """The same of a look that was taken."""
        return trouble(known.breaker, known.hold, self._clock(), self.policy, self._zone)

    def room(self, at_most: int) -> int:
        """How many documents that wait for the engine may be let go now."""
        known = self.look()
        if known.hold is not None:
            return 0
        match known.breaker.state:
            case BreakerState.CLOSED:
                return at_most
            case BreakerState.HALF_OPEN:
                return max(0, min(at_most, self.policy.trials - known.breaker.granted))
        return 0

    def hold(self, hold: Hold) -> None:
        """Keep the engine from being used until then, for all processes."""
        after_ = f"on hold until {times.short(hold.until, self._zone())}"
        with self._store.write() as tx:
            known = self._locked(tx)
            health.set_hold(tx, self.engine, hold)
            self._write_down(tx, known.breaker.state, after_, hold.reason, hold.by)

    def release(self, by: str, reason: str) -> None:
        """Let the engine be used again before its hold is over."""
        with self._store.write() as tx:
            known = self._locked(tx)
            if known.hold is not None:
                health.set_hold(tx, self.engine, None)
                self._write_down(tx, "on hold", known.breaker.state, reason, by)

    def claim_probe(self, who: str, interval_s: float) -> bool:
        """Whether it is this process that probes now."""
        now = self._clock()
        with self._store.read() as tx:
            known = health.find(tx, self.engine)
        if known is not None and not self._is_due(known, now, interval_s):
            return False
        with self._store.write() as tx:
            known = self._locked(tx)
            if not self._is_due(known, now, interval_s):
                return False
            breaker = as_of(known.breaker, now, self.policy)
            pause_s = interval_s
            if breaker.state is BreakerState.HALF_OPEN:
                pause_s = min(interval_s, _SOON_S)
            until = now + timedelta(seconds=pause_s)
            if breaker.state is BreakerState.OPEN and breaker.until is not None:
                # its trials begin with the probe
                until = min(until, max(breaker.until, now + timedelta(seconds=1)))
            health.claim_probe(tx, self.engine, who, until)
        return True

    def _is_due(self, known: EngineHealth, now: datetime, interval_s: float) -> bool:
        if waits_as_asked(as_of(known.breaker, now, self.policy), self.policy):
            return False
        return _is_due(known.next_probe_at, now, interval_s)

    def _locked(self, tx: Transaction) -> EngineHealth:
        return health.lock(tx, self.engine, self._rebuilt(tx, self._clock()))

    def _rebuilt(self, tx: Transaction, now: datetime) -> Breaker:
        """The state that the last calls lead to, for when it is lost."""
        if health.find(tx, self.engine) is not None:
            return Breaker()
        since = now - timedelta(seconds=self.policy.longest_open_s)
        return health_of(health.outcomes(tx, self.engine, since), now, self.policy)

    def _record(self, tx: Transaction, before: Breaker, now: Breaker, at: datetime) -> None:
        if before.state is now.state and before.reason is now.reason:
            return
        why = now.words if now.state is not BreakerState.CLOSED else "trials went well"
        health.record(tx, HealthChange(self.engine, at, before.state, now.state, why, _BREAKER))
        self._log.warning("breaker changed", engine=self.engine, state=now.state.value, why=why)

    def _write_down(self, tx: Transaction, before: str, now: str, reason: str, by: str) -> None:
        health.record(tx, HealthChange(self.engine, self._clock(), before, now, reason, by))

    def _usual_now(self) -> dict[str, float]:
        now = self._clock()
        span = _USUAL_FOR if self._usual else _MISSING_FOR
        if self._usual_at is None or not is_recent(self._usual_at, now, span):
            with self._store.read() as tx:
                self._usual = availability.usual(tx, self.engine, now - _HISTORY)
            self._usual_at = now
        return self._usual

    def _tidy(self, tx: Transaction) -> None:
        now = self._clock()
        if self._tidied_at is None or not is_recent(self._tidied_at, now, _TIDY_EVERY):
            health.tidy(tx, now - _KEPT)
            self._tidied_at = now


def _is_due(next_probe_at: datetime | None, now: datetime, interval_s: float) -> bool:
    """Whether somebody should probe: also where the next one was planned further away than it can be."""
    if next_probe_at is None:
        return True
    return not now < next_probe_at <= now + timedelta(seconds=interval_s) + _CLOCKS_DIFFER_BY
