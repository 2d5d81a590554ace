"""An engine's breaker in sentences: why it is not used, what is being tried, what comes next and when."""

from datetime import datetime, timedelta
from math import ceil

from core.domain.documents import EngineName
from core.domain.health import Breaker, BreakerState, OpenReason
from core.services.engines import EngineState
from core.store.health import EngineHealth, HealthChange
from dashboard.wording import BREAKER_SIGNS, ON_HOLD, Sign, duration

__all__ = ["change", "next_probe", "sentences", "sign", "step"]

_STEPS = {
    OpenReason.KEY: "Check the key in Setup.",
    OpenReason.QUOTA: "Buy credits at LlamaParse, or use another key.",
    OpenReason.ADDRESS: "Check LLAMAPARSE_BASE_URL in Setup.",
}


def sign(state: EngineState) -> Sign:
    """A hold by a person comes before what calls came to."""
    return ON_HOLD if state.health.hold else BREAKER_SIGNS[state.health.breaker.state]


def sentences(state: EngineState, now: datetime) -> list[str]:
    """Why the engine is not used, and how it comes back. Nothing speaks against one that is used."""
    known = state.health
    if known.hold is not None:
        return [state.trouble]
    match known.breaker.state:
        case BreakerState.OPEN:
            until = known.breaker.until or now
            return [state.trouble, *step(known), f"It is tried again in {_left(until - now)}."]
        case BreakerState.HALF_OPEN:
            return [state.trouble, *step(known), _on_trial(known.breaker, state.trials)]
    return ["Nothing speaks against it."]


def step(known: EngineHealth) -> list[str]:
    """What a person has to do about LlamaParse, which does not come back by itself; nothing in an outage."""
    if known.hold is not None or known.engine != EngineName.LLAMAPARSE:
        return []
    found = _STEPS.get(known.breaker.reason)
    return [found] if found and known.breaker.state is not BreakerState.CLOSED else []


def change(record: HealthChange) -> str:
    """``healthy → not used``: the words of the badges, for whoever never heard of breakers."""
    return " → ".join(_WORDS.get(state, state) for state in (record.before, record.after))


_WORDS = {state.value: known.word for state, known in BREAKER_SIGNS.items()}


def next_probe(state: EngineState, now: datetime) -> str:
    """``Next probe in 12 s.``; empty before the first one was planned."""
    at = state.health.next_probe_at
    if at is None:
        return ""
    if at > now:
        return f"Next probe in {_left(at - now)}."
    if now - at < _BY_NOW:
        return "The next probe is due."
    return "Nobody probes it now."


def _left(span: timedelta) -> str:
    """How long it still takes, in whole seconds: it is looked at every five."""
    return f"{seconds} s" if (seconds := ceil(span.total_seconds())) < 60 else duration(span)  # noqa: PLR2004


# who probes looks each second, and waits for a turn of the pace
_BY_NOW = timedelta(seconds=90)


def _on_trial(breaker: Breaker, trials: int) -> str:
    """What is let through to try it, and how that went so far."""
    what = "documents" if breaker.reason is OpenReason.QUOTA else "documents or probes"
    under_way = max(0, breaker.granted - breaker.passed)
    found = f"{breaker.passed} of {trials} went well, {under_way} under way"
    return f"It is tried with a few {what}: {found}; the first that fails stops it again."
