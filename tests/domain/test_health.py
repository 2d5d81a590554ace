"""The breaker: opens for what speaks against the engine, heals by trials, never lets a crowd through."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.health import (
    Breaker,
    BreakerState,
    HealthPolicy,
    Hold,
    OpenReason,
    Outcome,
    Signal,
    after,
    as_of,
    grant,
    health_of,
    signal_of,
    trouble,
)
from core.errors import UpstreamKind

POLICY = HealthPolicy()
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OPERATIONS = st.sampled_from(["submit", "status", "fetch", "probe"])


def _utc() -> str:
    return "UTC"


def _at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _calls(*signals: Signal, every_s: float = 1.0, operation: str = "status") -> list[Outcome]:
    return [Outcome(_at(n * every_s), operation, s, 0.1) for n, s in enumerate(signals)]


def _open(reason: Signal = Signal.KEY) -> Breaker:
    return health_of(_calls(reason), NOW, POLICY)


@pytest.mark.parametrize("kind", list(UpstreamKind))
def test_only_what_speaks_against_the_service_counts(kind: UpstreamKind) -> None:
    """A broken document, a wrong option or our own haste never opens a breaker."""
    signal = signal_of("submit", kind, 0.1, None, POLICY)
    expected = {
        UpstreamKind.CONNECTION,
        UpstreamKind.TIMEOUT,
        UpstreamKind.SERVER,
        UpstreamKind.MALFORMED,
        UpstreamKind.UNAUTHORIZED,
        UpstreamKind.QUOTA,
        UpstreamKind.SIMULATOR,
    }
    assert signal.is_bad == (kind in expected)
    many = health_of(_calls(*[signal] * 30), _at(30), POLICY)
    assert (many.state is not BreakerState.CLOSED) == (kind in expected)


@pytest.mark.parametrize(
    ("signal", "reason", "words"),
    [
        (Signal.KEY, OpenReason.KEY, "401"),
        (Signal.QUOTA, OpenReason.QUOTA, "402"),
        (Signal.ADDRESS, OpenReason.ADDRESS, "simulator"),
    ],
)
def test_a_refused_key_or_empty_account_opens_at_once(
    signal: Signal, reason: OpenReason, words: str
) -> None:
    """One such answer is enough, and the breaker says which it was."""
    found = health_of(_calls(*[Signal.OK] * 20, signal), _at(20), POLICY)
    assert (found.state, found.reason) == (BreakerState.OPEN, reason)
    assert words in found.words


def test_so_many_failures_in_a_row_open_it() -> None:
    """Four failures in a row are bad luck, five are an outage."""
    four = [*[Signal.FAILED] * 4, Signal.OK, *[Signal.FAILED] * 4]
    assert health_of(_calls(*four, every_s=8), _at(70), POLICY).state is BreakerState.CLOSED
    five = health_of(_calls(*[Signal.FAILED] * 5), _at(5), POLICY)
    assert (five.state, five.reason) == (BreakerState.OPEN, OpenReason.IN_A_ROW)


def test_half_of_enough_calls_failing_opens_it() -> None:
    """Every second call failing is an outage too, once there are enough calls to tell."""
    mixed = [Signal.OK, Signal.FAILED] * 5
    assert health_of(_calls(*mixed[:8]), _at(8), POLICY).state is BreakerState.CLOSED
    assert health_of(_calls(*mixed), _at(10), POLICY).reason is OpenReason.FAILURES


def test_slow_but_alive_opens_it_too() -> None:
    """Answers that take many times as long as ever before count, against their own history."""
    assert signal_of("status", "ok", 0.9, 0.1, POLICY) is Signal.OK
    assert signal_of("status", "ok", 4.0, 0.1, POLICY) is Signal.SLOW
    assert signal_of("status", "ok", 4.0, 1.0, POLICY) is Signal.OK
    assert signal_of("fetch", "ok", 60.0, 0.1, POLICY) is Signal.OK
    slow = [Signal.OK, Signal.SLOW] * 5
    assert health_of(_calls(*slow), _at(10), POLICY).reason is OpenReason.SLOW


def _lasting(signal: Signal) -> list[float]:
    """For how many seconds a breaker is open, each time, when all trials fail."""
    breaker, lasted, at = Breaker(), [], NOW
    quick = replace(POLICY, in_a_row=1)
    for _ in range(8):
        breaker = after(breaker, Outcome(at, "status", signal, 0.1), (), quick)
        assert breaker.until is not None
        lasted.append((breaker.until - at).total_seconds())
        at = breaker.until
    return lasted


def test_open_lasts_longer_each_time_up_to_a_limit_and_as_long_as_asked() -> None:
    """30 s, 60 s, 120 s for what a person mends, from 5 s for others, never above ten minutes; Retry-After counts."""
    assert _lasting(Signal.KEY) == [30, 60, 120, 240, 480, 600, 600, 600]
    assert _lasting(Signal.FAILED) == [5, 10, 20, 40, 80, 160, 320, 600]
    asked = Outcome(NOW, "probe", Signal.KEY, 0.1, retry_after_s=300)
    assert after(Breaker(), asked, (), POLICY).until == _at(300)
    later = Outcome(_at(5), "pause", Signal.NEUTRAL, 0, retry_after_s=100)
    assert after(_open(), later, (), POLICY).until == _at(105)


def test_it_heals_by_trials_and_a_failed_trial_opens_it_again() -> None:
    """After its time a few are let through: all well closes it, one failure opens it for longer."""
    assert as_of(_open(), _at(29), POLICY).state is BreakerState.OPEN
    half = as_of(_open(), _at(30), POLICY)
    assert half.state is BreakerState.HALF_OPEN
    once = after(half, Outcome(_at(31), "probe", Signal.OK, 0.1), (), POLICY)
    assert once.state is BreakerState.HALF_OPEN
    twice = after(once, Outcome(_at(32), "probe", Signal.OK, 0.1), (), POLICY)
    assert twice.state is BreakerState.CLOSED
    failed = after(once, Outcome(_at(32), "probe", Signal.FAILED, 0.1), (), POLICY)
    assert (failed.state, failed.until) == (BreakerState.OPEN, _at(92))


def _probed(signal: Signal, at_s: float, retry_after_s: float = 0) -> Outcome:
    return Outcome(_at(at_s), "probe", signal, 0.1, retry_after_s)


def test_a_probe_that_works_after_probes_that_failed_ends_the_wait() -> None:
    """A long outage is over when the probe says so, not when the time is up; trials still decide."""
    opened = replace(_open(), openings=6, until=_at(600))
    failed = [_probed(Signal.KEY, 0), _probed(Signal.FAILED, 30)]
    half = after(opened, _probed(Signal.OK, 60), failed, POLICY)
    assert (half.state, half.passed) == (BreakerState.HALF_OPEN, 1)
    assert after(half, _probed(Signal.OK, 65), failed, POLICY).state is BreakerState.CLOSED
    again = after(half, Outcome(_at(61), "submit", Signal.KEY, 0.1), failed, POLICY)
    assert again.until == _at(661)


def test_a_probe_that_never_failed_ends_no_wait() -> None:
    """Where only documents fail, a probe that works shows nothing: the wait goes on, and grows."""
    opened = replace(_open(), openings=6, until=_at(600))
    documents = [Outcome(_at(n), "submit", Signal.FAILED, 0.1) for n in range(5)]
    assert after(opened, _probed(Signal.OK, 60), documents, POLICY) == opened
    before = [_probed(Signal.FAILED, -10)]
    assert after(opened, _probed(Signal.OK, 60), before, POLICY) == opened


def test_a_wait_that_was_asked_for_and_an_empty_account_are_not_cut_short() -> None:
    """Retry-After is honoured, and a probe knows nothing about credits."""
    failed = [_probed(Signal.FAILED, 10)]
    asked = after(Breaker(), _probed(Signal.KEY, 0, retry_after_s=300), (), POLICY)
    assert after(asked, _probed(Signal.OK, 20), failed, POLICY).state is BreakerState.OPEN
    empty = _open(Signal.QUOTA)
    assert after(empty, _probed(Signal.OK, 20), failed, POLICY).state is BreakerState.OPEN


def test_what_failed_before_it_closed_does_not_open_it_again() -> None:
    """A breaker that healed begins anew."""
    healed = Breaker(since=_at(10), openings=1)
    old = _calls(*[Signal.FAILED] * 9)
    again = after(healed, Outcome(_at(11), "status", Signal.FAILED, 0.1), old, POLICY)
    assert again.state is BreakerState.CLOSED


def test_credits_are_proven_by_a_submit_only() -> None:
    """Asking is free, so a listing that works does not show that there are credits again."""
    half = as_of(_open(Signal.QUOTA), _at(30), POLICY)
    for n in range(5):
        half = after(half, Outcome(_at(31 + n), "probe", Signal.OK, 0.1), (), POLICY)
    assert half.state is BreakerState.HALF_OPEN
    for n in range(2):
        half = after(half, Outcome(_at(40 + n), "submit", Signal.OK, 0.1), (), POLICY)
    assert half.state is BreakerState.CLOSED


def test_a_trial_that_never_came_back_frees_its_place() -> None:
    """A worker that died with its trial does not keep the breaker half-open for ever."""
    breaker = as_of(_open(), _at(30), POLICY)
    for _ in range(POLICY.trials):
        breaker, may = grant(breaker, _at(31), POLICY)
        assert may
    assert not grant(breaker, _at(60), POLICY)[1]
    assert grant(breaker, _at(31 + POLICY.trial_s), POLICY)[1]


@given(st.lists(st.tuples(OPERATIONS, st.sampled_from(Signal), st.floats(0, 40))), st.data())
def test_no_crowd_passes_a_breaker_that_is_not_closed(
    calls: list[tuple[str, Signal, float]], data: st.DataObject
) -> None:
    """Whatever happened before: open lets nobody through, half-open no more than the trials."""
    at, outcomes = NOW, []
    for operation, signal, pause_s in calls:
        at += timedelta(seconds=pause_s)
        outcomes.append(Outcome(at, operation, signal, 0.1))
    breaker = health_of(outcomes, at, POLICY)
    passed = 0
    for _ in range(10):
        breaker, may = grant(breaker, at, POLICY)
        passed += may
    allowed = {BreakerState.CLOSED: 10, BreakerState.OPEN: 0}.get(breaker.state, POLICY.trials)
    assert passed <= allowed
    assert bool(trouble(breaker, None, at, POLICY, _utc)) == (
        breaker.state is not BreakerState.CLOSED
    )


@given(st.lists(st.tuples(OPERATIONS, st.sampled_from(Signal), st.floats(0, 40))))
def test_any_breaker_closes_when_the_engine_is_well_again(
    calls: list[tuple[str, Signal, float]],
) -> None:
    """No history leaves an engine shut out for good once its submits work again."""
    at, outcomes = NOW, []
    for operation, signal, pause_s in calls:
        at += timedelta(seconds=pause_s)
        outcomes.append(Outcome(at, operation, signal, 0.1))
    for _ in range(POLICY.trials + 1):
        at += timedelta(seconds=POLICY.longest_open_s)
        outcomes.append(Outcome(at, "submit", Signal.OK, 0.1))
    assert health_of(outcomes, at, POLICY).state is BreakerState.CLOSED


def test_a_hold_says_who_why_and_until_when() -> None:
    """A person's hold counts while it lasts, whatever the breaker says."""
    hold = Hold(_at(60), "alice", "key rotation")
    assert "alice: key rotation" in trouble(Breaker(), hold, NOW, POLICY, _utc)
    assert trouble(Breaker(), hold, _at(60), POLICY, _utc) == ""
    assert trouble(replace(_open(), words="w"), None, NOW, POLICY, _utc) == "w"
