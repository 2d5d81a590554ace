"""Whether an engine can be used: a circuit breaker as pure functions over what its calls came to.

The rules are those of Envoy's outlier detection and of resilience4j: so many failures in a row, or a share
of failures or of slow calls among enough of them, open it; after a time that grows with each opening in
a row a few trials are let through, and they decide. A refused key and an empty account open it at once.
As with Envoy's active health checks, a probe that works after probes that failed ends the time early.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from core.domain import times
from core.errors import UpstreamKind

__all__ = [
    "Breaker",
    "BreakerState",
    "HealthPolicy",
    "Hold",
    "OpenReason",
    "Outcome",
    "Signal",
    "after",
    "as_of",
    "grant",
    "health_of",
    "signal_of",
    "trouble",
    "waits_as_asked",
]


class BreakerState(StrEnum):
    """Closed lets calls through, open lets none, half-open lets a few try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class OpenReason(StrEnum):
    """Why a breaker opened."""

    NONE = ""
    IN_A_ROW = "in_a_row"
    FAILURES = "failures"
    SLOW = "slow"
    KEY = "key"
    QUOTA = "quota"
    ADDRESS = "address"


class Signal(StrEnum):
    """What one call says about the engine. ``neutral`` says nothing: the document, or our own pace."""

    OK = "ok"
    SLOW = "slow"
    FAILED = "failed"
    KEY = "key"
    QUOTA = "quota"
    ADDRESS = "address"
    NEUTRAL = "neutral"

    @property
    def is_bad(self) -> bool:
        """Whether it speaks against the engine."""
        return self not in {Signal.OK, Signal.NEUTRAL}


_SIGNALS = {
    "ok": Signal.OK,
    UpstreamKind.CONNECTION: Signal.FAILED,
    UpstreamKind.TIMEOUT: Signal.FAILED,
    UpstreamKind.SERVER: Signal.FAILED,
    UpstreamKind.MALFORMED: Signal.FAILED,
    UpstreamKind.UNAUTHORIZED: Signal.KEY,
    UpstreamKind.QUOTA: Signal.QUOTA,
    UpstreamKind.SIMULATOR: Signal.ADDRESS,
}
_AT_ONCE = {
    Signal.KEY: (OpenReason.KEY, "{} refused the key (401)."),
    Signal.QUOTA: (OpenReason.QUOTA, "{} has no credits left for this key (402)."),
    Signal.ADDRESS: (OpenReason.ADDRESS, "The address of {} leads to the simulator."),
}
_CLOCKS_DIFFER_BY = timedelta(minutes=1)
_STALLED = frozenset(reason for reason, _words in _AT_ONCE.values())
# How long the others take goes with the document.
_TIMED = frozenset({"probe", "status", "list", "versions"})


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """From when on an engine counts as broken, and how it comes back. Times are in seconds.

    A call is slow when it took ``slow_factor`` times as long as is usual for it, and ``slow_s`` at least.
    ``title`` is the engine's name in what is said. An outage may be over in a moment, so ``open_s`` is
    short at first; what a person has to mend is tried less often, from ``stalled_s`` on. Both double.
    """

    title: str = "LlamaParse"
    in_a_row: int = 5
    window_s: float = 60.0
    fewest_calls: int = 10
    failure_rate: float = 0.5
    slow_rate: float = 0.5
    slow_factor: float = 8.0
    slow_s: float = 2.0
    open_s: float = 5.0
    stalled_s: float = 30.0
    longest_open_s: float = 600.0
    calm_s: float = 300.0
    trials: int = 2
    trial_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call came to; ``retry_after_s`` where the engine asked for a pause."""

    at: datetime
    operation: str
    signal: Signal
    seconds: float
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state and what it came from; ``openings`` counts those in a row.

    ``granted`` and ``passed`` count the trials of a half-open breaker.
    """

    state: BreakerState = BreakerState.CLOSED
    since: datetime | None = None
    reason: OpenReason = OpenReason.NONE
    words: str = ""
    until: datetime | None = None
    openings: int = 0
    granted: int = 0
    granted_at: datetime | None = None
    passed: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A person keeps an engine from being used until a moment."""

    until: datetime
    by: str
    reason: str


def signal_of(
    operation: str, outcome: str, seconds: float, usual_s: float | None, policy: HealthPolicy
) -> Signal:
    """What a call says: ``outcome`` is ``ok`` or a kind of failure, ``usual_s`` its own history."""
    signal = _SIGNALS.get(outcome, Signal.NEUTRAL)
    if signal is not Signal.OK or usual_s is None or operation not in _TIMED:
        return signal
    is_slow = seconds >= max(policy.slow_s, usual_s * policy.slow_factor)
    return Signal.SLOW if is_slow else Signal.OK


def as_of(breaker: Breaker, now: datetime, policy: HealthPolicy) -> Breaker:
    """The breaker at this moment: an open one lets trials through once its time is over.

    One that opened in what is still to come was written by a wrong clock: nobody waits for its time.
    """
    if breaker.state is BreakerState.OPEN and breaker.until is not None:
        is_ahead = breaker.since is not None and breaker.since - now > _CLOCKS_DIFFER_BY
        if now >= breaker.until or is_ahead:
            since = min(now, breaker.until)
            return replace(breaker, state=BreakerState.HALF_OPEN, since=since, granted=0, passed=0)
    # however far away: a grant in what is still to come is no better than an old one
    is_lost = breaker.granted_at is not None and abs(now - breaker.granted_at) >= timedelta(
        seconds=policy.trial_s
    )
    if breaker.state is BreakerState.HALF_OPEN and is_lost:
        # who was let through never came back
        return replace(breaker, granted=breaker.passed, granted_at=None)
    return breaker


def grant(breaker: Breaker, now: datetime, policy: HealthPolicy) -> tuple[Breaker, bool]:
    """Whether a document may be sent now; a half-open breaker counts those it lets through."""
    breaker = as_of(breaker, now, policy)
    if breaker.state is not BreakerState.HALF_OPEN:
        return breaker, breaker.state is BreakerState.CLOSED
    if breaker.granted >= policy.trials:
        return breaker, False
    return replace(breaker, granted=breaker.granted + 1, granted_at=now), True


def after(
    breaker: Breaker, outcome: Outcome, recent: Iterable[Outcome], policy: HealthPolicy
) -> Breaker:
    """The breaker after one more call; ``recent`` are those before it, oldest first."""
    breaker = as_of(breaker, outcome.at, policy)
    if breaker.state is BreakerState.OPEN and breaker.until is not None:
        if _is_back(breaker, outcome, recent, policy):
            half = replace(breaker, state=BreakerState.HALF_OPEN, since=outcome.at)
            return _while_half_open(replace(half, granted=0, passed=0), outcome, policy)
        asked = outcome.at + timedelta(seconds=outcome.retry_after_s)
        return replace(breaker, until=max(breaker.until, asked))
    if outcome.signal is Signal.NEUTRAL:
        return breaker
    if breaker.state is BreakerState.HALF_OPEN:
        return _while_half_open(breaker, outcome, policy)
    return _while_closed(breaker, outcome, recent, policy)


def health_of(outcomes: Iterable[Outcome], now: datetime, policy: HealthPolicy) -> Breaker:
    """The breaker that these calls, oldest first, lead to: also how a lost state is found again."""
    breaker, before = Breaker(), list[Outcome]()
    for outcome in outcomes:
        breaker = after(breaker, outcome, before, policy)
        before.append(outcome)
    return as_of(breaker, now, policy)


def trouble(
    breaker: Breaker,
    hold: Hold | None,
    now: datetime,
    policy: HealthPolicy,
    zone: Callable[[], str],
) -> str:
    """Why the engine cannot be used now, in words with times in ``zone`` (asked for when one is needed); empty when it can."""
    if hold is not None and now < hold.until:
        until = times.short(hold.until, zone())
        return f"{policy.title} is on hold until {until} by {hold.by}: {hold.reason}."
    return "" if breaker.state is BreakerState.CLOSED else breaker.words


def waits_as_asked(breaker: Breaker, policy: HealthPolicy) -> bool:
    """Whether an open breaker waits because the engine asked for a pause: until then it is not even probed."""
    if breaker.state is not BreakerState.OPEN or breaker.since is None or breaker.until is None:
        return False
    return breaker.until > breaker.since + _pause(breaker.reason, breaker.openings, policy)


def _while_closed(
    breaker: Breaker, outcome: Outcome, recent: Iterable[Outcome], policy: HealthPolicy
) -> Breaker:
    if outcome.signal in _AT_ONCE:
        reason, words = _AT_ONCE[outcome.signal]
        return _opened(breaker, outcome, reason, words.format(policy.title), policy)
    begin = outcome.at - timedelta(seconds=policy.window_s)
    if breaker.since is not None:
        begin = max(begin, breaker.since)
    calls = [o.signal for o in recent if o.at >= begin and o.signal is not Signal.NEUTRAL]
    found = _verdict([*calls, outcome.signal], policy)
    return _opened(breaker, outcome, *found, policy) if found else breaker


def _verdict(calls: Sequence[Signal], policy: HealthPolicy) -> tuple[OpenReason, str] | None:
    """Why these calls open a breaker; None when they do not."""
    newest = calls[-policy.in_a_row :]
    if len(newest) == policy.in_a_row and all(call is Signal.FAILED for call in newest):
        return OpenReason.IN_A_ROW, f"{policy.in_a_row} calls in a row to {policy.title} failed."
    if len(calls) < policy.fewest_calls:
        return None
    failed = sum(call is Signal.FAILED for call in calls) / len(calls)
    if failed >= policy.failure_rate:
        words = f"{failed:.0%} of {len(calls)} calls to {policy.title} failed within a minute."
        return OpenReason.FAILURES, words
    slow = sum(call is Signal.SLOW for call in calls) / len(calls)
    if slow >= policy.slow_rate:
        words = f"{slow:.0%} of {len(calls)} calls to {policy.title} took far longer than usual."
        return OpenReason.SLOW, words
    return None


def _is_back(
    breaker: Breaker, outcome: Outcome, recent: Iterable[Outcome], policy: HealthPolicy
) -> bool:
    """Whether an open breaker need not wait: a probe works, and probes did not since it opened.

    Not after 402, of which a probe knows nothing, and not before the engine said that it may be asked.
    """
    if outcome.operation != "probe" or outcome.signal is not Signal.OK:
        return False
    since = breaker.since
    if since is None or breaker.reason is OpenReason.QUOTA or waits_as_asked(breaker, policy):
        return False
    return any(o.operation == "probe" and o.signal.is_bad and o.at >= since for o in recent)


def _while_half_open(breaker: Breaker, outcome: Outcome, policy: HealthPolicy) -> Breaker:
    if outcome.signal.is_bad:
        reason, words = _AT_ONCE.get(outcome.signal, (breaker.reason, breaker.words))
        return _opened(breaker, outcome, reason, words.format(policy.title), policy)
    if breaker.reason is OpenReason.QUOTA and outcome.operation != "submit":
        # asking is free of charge, so it proves nothing
        return breaker
    passed = breaker.passed + 1
    if passed < policy.trials:
        return replace(breaker, passed=passed, granted=max(breaker.granted, passed))
    return Breaker(since=outcome.at, openings=breaker.openings)


def _opened(
    breaker: Breaker, outcome: Outcome, reason: OpenReason, words: str, policy: HealthPolicy
) -> Breaker:
    was_calm = breaker.state is BreakerState.CLOSED and (
        breaker.since is None or outcome.at - breaker.since >= timedelta(seconds=policy.calm_s)
    )
    openings = 1 if was_calm else breaker.openings + 1
    pause = _pause(reason, openings, policy)
    return Breaker(
        BreakerState.OPEN,
        since=outcome.at,
        reason=reason,
        words=words,
        until=outcome.at + max(pause, timedelta(seconds=outcome.retry_after_s)),
        openings=openings,
    )


def _pause(reason: OpenReason, openings: int, policy: HealthPolicy) -> timedelta:
    """For how long a breaker that opened so often in a row stays open by itself."""
    first_s = policy.stalled_s if reason in _STALLED else policy.open_s
    return timedelta(seconds=min(policy.longest_open_s, first_s * 2.0 ** min(openings - 1, 20)))
