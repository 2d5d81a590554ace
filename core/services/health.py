"""How LlamaParse does, for people: state, history, a look on demand, and a hold."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.clock import Clock
from core.domain.availability import LATE, Period
from core.domain.health import Hold, Outcome
from core.domain.jobs import Actor
from core.errors import NotAllowed
from core.pipeline.health import Watch
from core.store import Store, availability, health, queue
from core.store.health import EngineHealth, HealthChange

__all__ = ["Health", "Reach", "Span"]

_LONGEST_HOLD = timedelta(days=7)


class Span(StrEnum):
    """How far back a chart looks."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


_SPANS = {
    Span.HOUR: (timedelta(hours=1), timedelta(minutes=1)),
    Span.DAY: (timedelta(hours=24), timedelta(minutes=5)),
    Span.WEEK: (timedelta(days=7), availability.HOUR),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a look on demand found: how long it took, or what stands in the way."""

    seconds: float
    problem: str = ""


class Health:
    """Reads, and what a person can do: look now, hold, release."""

    def __init__(
        self, store: Store, watch: Watch, ask: Callable[[], Reach] | None, clock: Clock
    ) -> None:
        self._store = store
        self._watch = watch
        self._ask = ask
        self._clock = clock
        self._over: dict[Span, dict[datetime, Period]] = {}

    def look(self) -> EngineHealth:
        """Breaker, hold and next probe now."""
        return self._watch.look()

    def trouble(self) -> str:
        """Why LlamaParse cannot be used now, in words; empty when it can."""
        return self._watch.trouble()

    def ask_now(self) -> Reach:
        """Call LlamaParse once, with the key. Raises ``NotAllowed`` without a key."""
        if self._ask is None:
            raise NotAllowed("LlamaParse has no key.", "Set LLAMAPARSE_API_KEY, then start again.")
        return self._ask()

    def series(self, span: Span) -> tuple[Period, ...]:
        """How calls went, period by period, up to now. Periods that are over are summed once."""
        long, width = _SPANS[span]
        now = self._clock()
        # periods begin at round times, so that they do not move with every look
        end = now - timedelta(seconds=now.timestamp() % width.total_seconds()) + width
        over = self._over.get(span, {})
        since = begin = end - long
        with self._store.read() as tx:
            if width == availability.HOUR and begin not in over:
                over = availability.hours(tx, self._watch.engine, begin, end) | over
            while since in over:
                since += width
            fresh = availability.periods(tx, self._watch.engine, since, end, width)
        found = (*(over[start] for start in sorted(over) if begin <= start < since), *fresh)
        self._over[span] = {p.start: p for p in found if p.start + width + LATE <= now}
        return found

    def failures(self, day: Iterable[Period], *, limit: int = 8) -> tuple[Outcome, ...]:
        """The newest calls of ``Span.DAY`` that spoke against the engine, newest first."""
        # the periods tell where they are: among a day's good calls a few bad ones are long looked for
        bad = [p for p in day if p.failed or p.slow]
        _long, width = _SPANS[Span.DAY]
        found: list[Outcome] = []
        with self._store.read() as tx:
            for period in reversed(bad):
                if (left := limit - len(found)) <= 0:
                    break
                end = period.start + width
                found += availability.failures(
                    tx, self._watch.engine, period.start, end, limit=left
                )
        return tuple(found)

    def changes(self, *, limit: int = 10) -> tuple[HealthChange, ...]:
        """What changed, by whom and why, newest first."""
        with self._store.read() as tx:
            return health.changes(tx, self._watch.engine, limit=limit)

    def waiting(self) -> int:
        """How many jobs wait for LlamaParse."""
        with self._store.read() as tx:
            return queue.count_for_vendor(tx)

    def hold(self, span: timedelta, actor: Actor, reason: str) -> None:
        """Send nothing to LlamaParse for so long. Raises ``NotAllowed`` without a reason."""
        if not reason.strip():
            raise NotAllowed("A hold needs a reason.", "Say why, so that others understand it.")
        if not timedelta(0) < span <= _LONGEST_HOLD:
            raise NotAllowed("A hold lasts up to seven days.", "Choose when it ends.")
        self._watch.hold(Hold(self._clock() + span, str(actor), reason.strip()))

    def release(self, actor: Actor) -> None:
        """End a hold before its time."""
        self._watch.release(str(actor), "released by hand")
