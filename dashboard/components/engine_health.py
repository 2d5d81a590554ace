"""An engine's health: state in words, a strip of availability, latency, failures, and a hold."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import pandas as pd
import streamlit as st

from core.console import Console
from core.domain.availability import Period
from core.domain.documents import EngineName
from core.domain.health import Outcome, Signal
from core.domain.jobs import Actor
from core.services.engines import EngineState
from core.services.health import Span
from core.store.jobs import JobFilter
from dashboard.components import breaker_words, health_charts, reasons, times
from dashboard.components.columns import right
from dashboard.components.reasons import Answer
from dashboard.wording import duration, money, plain

__all__ = ["show", "show_cost"]

_HOLDS = {
    "15 minutes": timedelta(minutes=15),
    "1 hour": timedelta(hours=1),
    "4 hours": timedelta(hours=4),
    "1 day": timedelta(days=1),
}
_WORDS = {
    Signal.FAILED: "failed",
    Signal.SLOW: "far slower than usual",
    Signal.KEY: "key refused (401)",
    Signal.QUOTA: "no credits (402)",
    Signal.ADDRESS: "the address leads to the simulator",
}


def show(console: Console, states: Iterable[EngineState], actor: Actor) -> None:
    """LlamaParse as far as it is known: state, availability, latency, its last failures and changes."""
    st.subheader("LlamaParse", anchor=False)
    if console.settings.api_key is None:
        st.info(
            "No key is configured, so nobody asks LlamaParse. Its health appears here once "
            "LLAMAPARSE_API_KEY is set.",
            icon=":material/key:",
        )
        return
    _state(console, next(s for s in states if s.card.name is EngineName.LLAMAPARSE), actor)
    day = console.health.series(Span.DAY)
    st.plotly_chart(health_charts.availability(day), key="strip", config={"displayModeBar": False})
    st.caption(health_charts.summary(day))
    _latency(console)
    _record(console, day)


def _state(console: Console, state: EngineState, actor: Actor) -> None:
    sign = breaker_words.sign(state)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(sign.word, icon=sign.icon, color=sign.color)
        st.markdown(plain(_sentence(console, state)))
        if state.health.hold is None:
            _hold(console, actor)
        elif st.button("Release", key="release", icon=":material/play_arrow:"):
            console.health.release(actor)
            st.rerun()


def _sentence(console: Console, state: EngineState) -> str:
    now = console.clock()
    waiting = console.health.waiting()
    parts = [*breaker_words.sentences(state, now)]
    if probe := breaker_words.next_probe(state, now):
        parts.append(probe)
    if waiting:
        parts.append(f"{waiting:,} {'job waits' if waiting == 1 else 'jobs wait'} because of it.")
    provisional = sum(console.jobs.counts(JobFilter(is_provisional=True)).values())
    if provisional:
        parts.append(
            f"{provisional:,} {'job has' if provisional == 1 else 'jobs have'} stand-ins for it."
        )
    return " ".join(parts)


def _hold(console: Console, actor: Actor) -> None:
    with st.popover("Hold…", icon=":material/pause:", key="hold-what"):
        st.markdown("Nothing is sent to LlamaParse meanwhile; what was sent is still fetched.")
        span = st.selectbox("For", list(_HOLDS), key="hold-span")
        reasons.ask(
            "hold-reason",
            Answer(
                "Hold",
                "hold",
                lambda why: console.health.hold(_HOLDS[span], actor, why),
                is_main=True,
            ),
        )


def _latency(console: Console) -> None:
    span = st.segmented_control(
        "Latency over the last",
        list(Span),
        default=Span.HOUR,
        required=True,
        format_func=lambda s: s.value,
        key="span",
        bind="query-params",
    )
    periods = console.health.series(Span(span or Span.HOUR))
    if any(period.p50_s is not None for period in periods):
        st.plotly_chart(
            health_charts.latency(periods), key="latency", config={"displayModeBar": False}
        )
    else:
        st.caption("No answered calls in this time.")


def show_cost(console: Console) -> None:
    """What it cost that it did not always answer, as far as money tells."""
    if console.settings.api_key is None:
        return
    cost = console.outage_costs.lately()
    st.markdown(f"**What LlamaParse's failures cost**, last {cost.days} days")
    with st.container(horizontal=True, key="health-cost"):
        st.metric(
            "Billed, no result",
            money(cost.failed_usd),
            help="What LlamaParse billed for attempts that failed or were cancelled.",
        )
        st.metric(
            "Paid again",
            money(cost.repeated_usd),
            help="What was billed for documents that had been parsed before with the same options.",
        )
        st.metric(
            "Stand-ins replaced",
            money(cost.replaced_usd),
            help=f"Billed for {cost.replaced_jobs:,} documents that the local engine had stood in for.",
        )
        st.metric(
            "Stand-ins that wait",
            money(cost.waiting_usd),
            help=f"Up to {cost.waiting_pages:,} pages would be parsed by LlamaParse for this."
            if cost.waiting_usd is not None
            else "Their tier has no price today.",
        )


def _record(console: Console, day: Sequence[Period]) -> None:
    """Its last failures and every change."""
    failures, changes = console.health.failures(day), console.health.changes()
    with st.expander(f"Last failures ({len(failures)})", key="failures"):
        if failures:
            st.dataframe(
                pd.DataFrame([_row(f) for f in failures]),
                hide_index=True,
                column_config=right("took"),
            )
        else:
            st.caption("No call failed in the last 24 hours.")
    with st.expander(f"Changes ({len(changes)})", key="changes"):
        for change in changes:
            words = breaker_words.change(change)
            st.caption(
                plain(f"{times.exact(change.at)} · {words} · {change.reason} · {change.actor}")
            )
        if not changes:
            st.caption("It never changed.")


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "when": times.exact(outcome.at),
        "call": outcome.operation,
        "what": _WORDS.get(outcome.signal, outcome.signal.value),
        "took": duration(timedelta(seconds=outcome.seconds)),
    }
