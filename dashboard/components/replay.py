"""Replay: choose, see what each would do, then send them again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.services.replays import MOST, Outcome
from core.store.deliveries import Delivery
from core.store.inbox import DeliveryFilter
from dashboard.components import address, times
from dashboard.components.verdicts import VERDICT_SIGNS
from dashboard.wording import ago, plain

__all__ = ["show"]

_SPANS = {
    "last 10 minutes": timedelta(minutes=10),
    "last hour": timedelta(hours=1),
    "last 24 hours": timedelta(hours=24),
}
_RUN = "replay-run"


@dataclass(slots=True)
class _Run:
    """A replay and how far it came; it outlives the run of the script, which any click ends.

    ``choice`` says of which selection, ``done`` are the outcomes of the first of ``ids``.
    """

    choice: object
    ids: tuple[str, ...]
    done: list[Outcome] = field(default_factory=list)

    @property
    def left(self) -> tuple[str, ...]:
        """What is still to be sent, in order."""
        return self.ids[len(self.done) :]


def show(console: Console, actor: Actor) -> None:
    """Everything from the choice to the outcome of each."""
    run: _Run | None = st.session_state.get(_RUN)
    is_cut = run is not None and bool(run.left)
    choice, chosen = _chosen(console, is_disabled=is_cut)
    if run is not None and is_cut:
        _cut_short(run)
        chosen = console.replays.select(run.left)
    elif run is not None and run.choice != choice:
        del st.session_state[_RUN]
        run = None
    if chosen:
        _ahead(console, choice, chosen, run if is_cut else None, actor)
    else:
        st.info("Nothing came in during this time. Choose a longer one, or open a delivery.")
    if run is not None and run.done:
        st.subheader("What came of it", anchor=False)
        if not run.left:
            st.caption(_all_done(len(run.ids)))
        _table(run.done, console.clock(), "replay-done-table")


def _cut_short(run: _Run) -> None:
    """How far it came, above everything else."""
    with st.container(horizontal=True, vertical_alignment="center", key="replay-cut"):
        st.warning(
            f"{len(run.done):,} of {len(run.ids):,} done, then it was interrupted. Go on with the rest below.",
            icon=":material/pause_circle:",
        )
        if st.button("Leave the rest", key="replay-leave"):
            del st.session_state[_RUN]
            st.rerun()


def _all_done(count: int) -> str:
    return "It was replayed." if count == 1 else f"All {count:,} were replayed."


def _ahead(
    console: Console, choice: object, chosen: Sequence[Delivery], cut: _Run | None, actor: Actor
) -> None:
    """The dry run and the buttons; ``cut`` is the replay that is to go on with these."""
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
    label = f"Go on with the other {len(chosen):,}" if cut else f"Replay {len(chosen):,} {noun}"
    with st.container(horizontal=True):
        if st.button(label, key="replay", type="primary", icon=":material/replay:"):
            run = cut or _Run(choice, tuple(delivery.id for delivery in chosen))
            st.session_state[_RUN] = run
            _carry_on(console, run, chosen, actor, sign_anew=anew, per_second=float(pace))
        st.download_button(
            "Save as a fixture for tests",
            lambda: console.replays.saved(chosen),
            "webhook-sequence.json",
            "application/json",
            key="save-sequence",
            icon=":material/download:",
            on_click="ignore",
        )


def _chosen(console: Console, *, is_disabled: bool) -> tuple[object, list[Delivery]]:
    """What was selected, in the words of the filters, and the deliveries that fit them now."""
    only = address.read("only")
    if only:
        st.caption(plain(f"Only the delivery {only}."))
        if st.button("Choose others instead", key="not-only", type="tertiary"):
            del st.query_params["only"]
            st.rerun()
        return only, console.replays.select([only])
    with st.container(horizontal=True):
        span = st.selectbox(
            "Time",
            list(_SPANS),
            key="span",
            bind="query-params",
            help="Replays are left out; to send one again, open it.",
            disabled=is_disabled,
        )
        verdicts = st.multiselect(
            "Verdict",
            list(VERDICT_SIGNS),
            placeholder="All",
            format_func=lambda name: VERDICT_SIGNS[name].word,
            key="replay-verdict",
            bind="query-params",
            disabled=is_disabled,
        )
        job = st.text_input("Job", key="replay-job", bind="query-params", disabled=is_disabled)
    which = DeliveryFilter(
        verdicts=frozenset(verdicts),
        job=address.tamed(job),
        since=console.clock() - _SPANS[span],
    )
    found = console.replays.select([], which)
    picked: list[str] = []
    if len(found) > 1:
        names = {d.id: f"{times.clock(d.received_at)} {d.event_type or d.verdict}" for d in found}
        picked = st.multiselect(
            f"Only these (else all {len(found):,}; at most {MOST:,})",
            list(names),
            format_func=names.__getitem__,
            key="picked",
            disabled=is_disabled,
        )
    choice = span, which.verdicts, which.job, frozenset(picked)
    return choice, [d for d in found if d.id in picked] if picked else found


def _carry_on(  # noqa: PLR0913 - which, by whom, and how
    console: Console,
    run: _Run,
    rest: Sequence[Delivery],
    actor: Actor,
    *,
    sign_anew: bool,
    per_second: float,
) -> None:
    bar = st.progress(0.0)
    for outcome in console.replays.run(rest, actor, sign_anew=sign_anew, per_second=per_second):
        # on record before anything is shown: a click ends this run of the script at the next thing shown
        run.done.append(outcome)
        bar.progress(len(run.done) / len(run.ids), f"{len(run.done):,} of {len(run.ids):,}")
    st.rerun()


def _table(outcomes: Sequence[Outcome], now: datetime, key: str) -> None:
    rows = [
        {
            "came": ago(outcome.original.received_at, now),
            "open": f"/delivery?delivery={outcome.new_id or outcome.original.id}",
            "event": outcome.original.event_type or "–",
            "then": _words(outcome.original.state),
            "replayed": _words(outcome.verdict),
            "what it means": outcome.what,
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
