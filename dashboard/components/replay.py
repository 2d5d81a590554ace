"""Replay: choose, see what each would do, then send them again."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.services.replays import MOST, Outcome
from core.store.deliveries import Delivery
from core.store.inbox import DeliveryFilter
from dashboard.components import times
from dashboard.components.verdicts import VERDICT_SIGNS
from dashboard.wording import ago, plain

__all__ = ["show"]

_SPANS = {
    "last 10 minutes": timedelta(minutes=10),
    "last hour": timedelta(hours=1),
    "last 24 hours": timedelta(hours=24),
}
_DONE = "replay-done"


def show(console: Console, actor: Actor) -> None:
    """Everything from the choice to the outcome of each."""
    chosen = _chosen(console)
    if not chosen:
        st.info("Nothing came in during this time. Choose a longer one, or open a delivery.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        anew = st.toggle(
            "Sign anew with the secret of today",
            key="anew",
            help="Else the original signature counts: a refused one is verified again.",
        )
        pace = st.number_input("At most a second", 1, 100, 10, key="pace")
    told = console.replays.foresee(chosen, sign_anew=anew)
    verdicts = Counter(_word(outcome.verdict) for outcome in told).most_common()
    would_be = ", ".join(f"{count:,} {word}" for word, count in verdicts)
    st.caption(
        f"Dry run over {len(told):,}: they would be {would_be}. A replay costs nothing, and a final state "
        "never changes by it."
    )
    _table(told, console.clock(), "replay-ahead")
    noun = "delivery" if len(chosen) == 1 else "deliveries"
    with st.container(horizontal=True):
        if st.button(
            f"Replay {len(chosen):,} {noun}", key="replay", type="primary", icon=":material/replay:"
        ):
            _run(console, chosen, actor, sign_anew=anew, per_second=float(pace))
        st.download_button(
            "Save as a fixture for tests",
            lambda: console.replays.saved(chosen),
            "webhook-sequence.json",
            "application/json",
            key="save-sequence",
            icon=":material/download:",
            on_click="ignore",
        )
    done: Sequence[Outcome] = st.session_state.get(_DONE, ())
    if done:
        st.subheader("What came of it", anchor=False)
        _table(done, console.clock(), "replay-done-table")


def _chosen(console: Console) -> list[Delivery]:
    only = st.query_params.get("only", "")
    if only:
        st.caption(plain(f"Only the delivery {only}."))
        if st.button("Choose others instead", key="not-only", type="tertiary"):
            del st.query_params["only"]
            st.rerun()
        return console.replays.select([only])
    with st.container(horizontal=True):
        span = st.selectbox("Time", list(_SPANS), key="span", bind="query-params")
        verdicts = st.multiselect(
            "Verdict",
            list(VERDICT_SIGNS),
            placeholder="All",
            format_func=lambda name: VERDICT_SIGNS[name].word,
            key="replay-verdict",
            bind="query-params",
        )
        job = st.text_input("Job", key="replay-job", bind="query-params")
    which = DeliveryFilter(
        verdicts=frozenset(verdicts),
        job=(job or "").strip(),
        since=console.clock() - _SPANS[span],
    )
    found = console.replays.select([], which)
    if len(found) > 1:
        names = {d.id: f"{times.clock(d.received_at)} {d.event_type or d.verdict}" for d in found}
        picked = st.multiselect(
            f"Only these (else all {len(found):,}; at most {MOST:,})",
            list(names),
            format_func=names.__getitem__,
            key="picked",
        )
        return [d for d in found if d.id in picked] if picked else found
    return found


def _run(
    console: Console,
    chosen: Sequence[Delivery],
    actor: Actor,
    *,
    sign_anew: bool,
    per_second: float,
) -> None:
    done: list[Outcome] = []
    bar = st.progress(0.0)
    for outcome in console.replays.run(chosen, actor, sign_anew=sign_anew, per_second=per_second):
        done.append(outcome)
        bar.progress(len(done) / len(chosen), f"{len(done):,} of {len(chosen):,}")
    bar.empty()
    st.session_state[_DONE] = tuple(done)


def _table(outcomes: Sequence[Outcome], now: datetime, key: str) -> None:
    rows = [
        {
            "came": ago(outcome.original.received_at, now),
            "event": outcome.original.event_type or "–",
            "then": _words(outcome.original.verdict),
            "replayed": _words(outcome.verdict),
            "what it means": outcome.what,
            "open": f"/delivery?delivery={outcome.new_id or outcome.original.id}",
        }
        for outcome in outcomes
    ]
    st.dataframe(
        pd.DataFrame(rows),
        key=key,
        hide_index=True,
        column_config={
            "open": st.column_config.LinkColumn("", display_text="open", width="small"),
            "what it means": st.column_config.TextColumn(width="large"),
        },
    )


def _words(verdict: str) -> str:
    sign = VERDICT_SIGNS.get(verdict)
    return f"{sign.mark} {sign.word}" if sign else _word(verdict)


def _word(verdict: str) -> str:
    sign = VERDICT_SIGNS.get(verdict)
    return sign.word if sign else verdict.replace("_", " ")
