"""A week of calls, summed by the database as a sheet of paper would."""

import random
from datetime import UTC, datetime, timedelta
from math import ceil

from core.domain.availability import Period
from core.domain.health import Outcome, Signal
from core.store import Store, availability, health

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WIDTH = timedelta(minutes=5)


def _by_hand(outcomes: list[Outcome], start: datetime) -> Period:
    calls = [
        o for o in outcomes if start <= o.at < start + WIDTH and o.signal is not Signal.NEUTRAL
    ]
    times = sorted(o.seconds for o in calls if o.signal in {Signal.OK, Signal.SLOW})
    p50, p95 = ((times[ceil(len(times) * s) - 1] if times else None) for s in (0.5, 0.95))
    slow = sum(o.signal is Signal.SLOW for o in calls)
    return Period(start, len(calls), len(calls) - len(times), slow, p50, p95)


def test_periods_are_summed_as_by_hand(store: Store) -> None:
    """Counts, median and 95th percentile of each period, also of those in which nobody called."""
    dice = random.Random(7)
    outcomes = [
        Outcome(
            NOW + timedelta(seconds=dice.uniform(-300, 5000)),
            "status",
            dice.choice(list(Signal)),
            round(dice.uniform(0.01, 3), 4),
        )
        for _ in range(400)
    ]
    edges = [Outcome(NOW + WIDTH * n, "status", Signal.OK, 1.5) for n in (0, 1, 12)]
    with store.write() as tx:
        health.add_outcomes(tx, "llamaparse", [*outcomes, *edges])
        health.add_outcomes(tx, "local", [Outcome(NOW, "probe", Signal.FAILED, 9.0)])
    with store.read() as tx:
        found = availability.periods(tx, "llamaparse", NOW, NOW + WIDTH * 20, WIDTH)
    starts = [NOW + WIDTH * n for n in range(20)]
    assert found == tuple(_by_hand([*outcomes, *edges], start) for start in starts)
    assert found[-1] == Period(starts[-1])


def test_the_usual_time_needs_enough_calls(store: Store) -> None:
    """Twenty good calls say how long an operation takes; nineteen, or failed ones, say nothing."""
    calls = [Outcome(NOW, "status", Signal.OK, n / 10) for n in range(1, 21)]
    calls += [Outcome(NOW, "list", Signal.OK, 1.0)] * 19
    calls += [Outcome(NOW, "probe", Signal.FAILED, 1.0)] * 30
    with store.write() as tx:
        health.add_outcomes(tx, "llamaparse", calls)
    with store.read() as tx:
        assert availability.usual(tx, "llamaparse", NOW) == {"status": 1.0}
        assert availability.usual(tx, "llamaparse", NOW + timedelta(seconds=1)) == {}


def test_the_newest_failures_are_named(store: Store) -> None:
    """Only what speaks against the engine, newest first, as many as asked for."""
    calls = [
        Outcome(NOW + timedelta(seconds=n), "status", signal, 0.1)
        for n, signal in enumerate(
            [Signal.FAILED, Signal.OK, Signal.KEY, Signal.NEUTRAL, Signal.SLOW]
        )
    ]
    with store.write() as tx:
        health.add_outcomes(tx, "llamaparse", calls)
    with store.read() as tx:
        until = NOW + timedelta(seconds=5)
        found = availability.failures(tx, "llamaparse", NOW, until, limit=2)
        before = availability.failures(tx, "llamaparse", NOW, NOW + timedelta(seconds=2), limit=9)
    assert [one.signal for one in found] == [Signal.SLOW, Signal.KEY]
    assert [one.signal for one in before] == [Signal.FAILED]
