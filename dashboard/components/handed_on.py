"""What was handed on: filters in the URL, counts, a live list that pages at any depth, sending again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.console import Console
from core.domain.counts import counted
from core.domain.jobs import Actor
from core.services.downstreams import DownstreamView
from core.store.handoffs import DELIVERED, EVENT_TYPES, FAILED, PENDING, Handoff
from core.store.outbox import HandoffFilter, Line
from dashboard.boundary import explained
from dashboard.components import filters, paging, times
from dashboard.wording import Sign, ago, plain

__all__ = ["HANDOFF_SIGNS", "is_being_sent", "next_try", "show"]

HANDOFF_SIGNS = {
    PENDING: Sign("on its way", ":material/pending:", "blue", "●"),
    DELIVERED: Sign("taken", ":material/check_circle:", "green", "✓"),
    FAILED: Sign("not taken", ":material/cancel:", "red", "✕"),
}
"""By status."""

_PLACE = "sent"
_NOT_FOUND = "No hand-off fits these filters."
_NONE_YET = "Nothing was handed on yet. The next job that is parsed or fails appears here."


@dataclass(frozen=True, slots=True)
class _Choice:
    """A filter, how far back from any moment of now, and what both say in words."""

    which: HandoffFilter
    age: str | None
    words: Sequence[str]


def show(console: Console, known: Sequence[DownstreamView], actor: Actor) -> None:
    """Filters, numbers, the list; live while its newest page is shown."""
    st.subheader("Handed on", anchor=False)
    chosen = _filters(known)
    at = paging.place(_PLACE)
    names = {target.id: target.name for target in known}

    @st.fragment(run_every=None if at else 2)
    def live() -> None:
        with explained():
            which = replace(chosen.which, since=filters.since(chosen.age, console.clock()))
            _counts(console.downstreams.counts(which), chosen)
            found = console.downstreams.page(which, at=at)
            if found.lines:
                _table(found.lines, names, console.clock())
            else:
                is_narrowed = bool(chosen.words) or at is not None
                st.info(_NOT_FOUND if is_narrowed else _NONE_YET)
            paging.show(_PLACE, found)
            _again(console, which, actor)

    live()


def _filters(known: Sequence[DownstreamView]) -> _Choice:
    anew = partial(paging.forget, _PLACE)
    by_name = {target.name: target.id for target in known}
    with st.container(horizontal=True, key="handoff-filters"):
        statuses = filters.signs("State", HANDOFF_SIGNS, "state", anew=anew)
        endpoint = filters.one("Endpoint", list(by_name), "endpoint", anew=anew)
        kind = filters.one("Event", EVENT_TYPES, "kind", anew=anew)
        age = filters.one("Time", list(filters.AGES), "within", anew=anew)
        job = filters.text("Job", "about", "job-…", anew=anew)
    which = HandoffFilter(
        statuses=frozenset(statuses),
        downstream_id=by_name[endpoint] if endpoint else "",
        event_type=kind or "",
        job=job,
    )
    words = [HANDOFF_SIGNS[status].word for status in statuses]
    words += [part for part in (endpoint, kind, age, which.job) if part]
    return _Choice(which, age, words)


def _counts(counts: Mapping[str, int], chosen: _Choice) -> None:
    """How many fit, by state; and of those that are listed."""
    with st.container(horizontal=True, key="handoff-counts"):
        for status, sign in HANDOFF_SIGNS.items():
            st.badge(f"{counts.get(status, 0):,} {sign.word}", icon=sign.icon, color=sign.color)
    wanted = chosen.which.statuses or counts.keys()
    total = sum(count for status, count in counts.items() if status in wanted)
    said = counted(total, "hand-off")
    st.caption(plain(said + (f" · filters: {', '.join(chosen.words)}" if chosen.words else "")))


def is_being_sent(one: Line | Handoff, now: datetime) -> bool:
    """Whether somebody is at it."""
    return one.leased_until is not None and one.leased_until > now


def next_try(one: Line | Handoff, now: datetime) -> str:
    """When it is sent next, in words."""
    if is_being_sent(one, now):
        return "being sent"
    return times.clock(one.next_at) if one.next_at else "–"


def _table(lines: Sequence[Line], names: Mapping[str, str], now: datetime) -> None:
    rows = [
        {
            "state": f"{HANDOFF_SIGNS[line.status].mark} {HANDOFF_SIGNS[line.status].word}",
            "open": _link_to(line.id),
            "document": line.document or line.job_id,
            "event": line.event_type,
            "to": names.get(line.downstream_id, "–"),
            "when": ago(line.created_at, now),
            "last answer": _answer(line),
            "tries": line.tries,
            "next try": next_try(line, now),
            "sent by": line.actor,
        }
        for line in lines
    ]
    st.dataframe(
        pd.DataFrame(rows),
        key="handoffs",
        hide_index=True,
        placeholder="–",
        column_config={
            "open": st.column_config.LinkColumn("", display_text="open", width="small"),
            "document": st.column_config.TextColumn(width="medium"),
            "tries": st.column_config.NumberColumn(width="small"),
        },
    )


def _answer(line: Line) -> str:
    return line.error or (str(line.answer) if line.answer is not None else "–")


def _link_to(handoff_id: str) -> str:
    """The address of one hand-off; it carries the filters, so that the way back keeps them."""
    kept = [(n, v) for n in st.query_params for v in st.query_params.get_all(n) if n != "handoff"]
    return f"/webhooks?{urlencode([*kept, ('handoff', handoff_id)])}"


def _again(console: Console, which: HandoffFilter, actor: Actor) -> None:
    """Everything that fits and nobody took, at once; told first."""
    count = console.downstreams.untaken(which)
    if not count:
        return
    noun = "event" if count == 1 else "events"
    with st.popover(f"Send {count:,} {noun} again", icon=":material/replay:", key="again"):
        st.markdown(
            f"{count:,} {noun} that fit these filters were not taken. Each goes out once more with the same "
            "bytes and the same `webhook-id`, by which a receiver knows a repeat. It costs nothing."
        )
        if st.button("Send again", key="send-again", type="primary", icon=":material/replay:"):
            sent = console.downstreams.replay_untaken(which, actor)
            st.toast(f"{sent:,} on their way.", icon=":material/check_circle:")
            st.rerun()
