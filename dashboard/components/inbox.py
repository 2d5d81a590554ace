"""The inbox of webhooks: filters in the URL, counts, and a list that pages at any depth."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.console import Console
from core.services.deliveries import what_it_waits_for
from core.store.deliveries import ACCEPTED
from core.store.inbox import DeliveryFilter, Line
from dashboard.boundary import explained
from dashboard.components import filters, paging, times
from dashboard.components.verdicts import VERDICT_SIGNS
from dashboard.wording import ago, plain

__all__ = ["link_to", "show"]

_PLACE = "at"
_SHOWN_MISSING = 20


def show(console: Console) -> None:
    """Filters, numbers, the list; live while its newest page is shown."""
    _path(console)
    _missing(console)
    chosen, age, words = _filters(console)
    at = paging.place(_PLACE)

    @st.fragment(run_every=None if at else 2)
    def live() -> None:
        with explained():
            _numbers(console)
            which = replace(chosen, since=filters.since(age, console.clock()))
            found = console.deliveries.page(which, at=at)
            if words:
                st.caption(plain(f"Filters: {', '.join(words)}"))
            if found.lines:
                _table(found.lines, console.clock())
            else:
                st.info(_nothing(console, is_filtered=bool(words) or at is not None))
            paging.show(_PLACE, found)

    live()


def _path(console: Console) -> None:
    if not console.settings.public_url:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(f"LlamaParse reports to {console.settings.public_url}."))
        is_asked = st.button("Test the way", key="test-path", icon=":material/route:")
    for hop in console.path_test.run() if is_asked else ():
        color, icon = ("green", "check_circle") if hop.works else ("red", "cancel")
        step = f" :gray[{plain(hop.next_step)}]" if hop.next_step else ""
        st.markdown(f":{color}[:material/{icon}:] **{hop.name}** · {plain(hop.found)}{step}")


def _missing(console: Console) -> None:
    found = console.missing.find()
    if not found:
        return
    noun = "event that was expected" if len(found) == 1 else "events that were expected"
    with st.expander(f"{len(found)} {noun} did not come", icon=":material/notification_important:"):
        for one in found[:_SHOWN_MISSING]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link(
                    "screens/job.py", label=plain(one.document), query_params={"job": one.job_id}
                )
                state = (
                    "its result was fetched all the same" if one.is_healed else "being asked for"
                )
                st.caption(plain(f"{state}. {' '.join(one.causes)}"))


def link_to(delivery_id: str) -> str:
    """The address of a delivery's page; it carries the filters, so that the way back keeps them."""
    kept = [(n, v) for n in st.query_params for v in st.query_params.get_all(n) if n != "delivery"]
    return f"/delivery?{urlencode([('delivery', delivery_id), *kept])}"


def _filters(console: Console) -> tuple[DeliveryFilter, str | None, list[str]]:
    """What is looked for, how far back from any moment of now, and both in words."""
    anew = partial(paging.forget, _PLACE)
    with st.container(horizontal=True, key="delivery-filters"):
        verdicts = filters.signs("Verdict", VERDICT_SIGNS, "verdict", anew=anew)
        kinds = console.deliveries.event_types()
        kind = filters.named("Event", kinds, "event", anew=anew)
        age = filters.one("Time", list(filters.AGES), "time", anew=anew)
        job = filters.text("Job", "job", "job-… or the vendor's id", anew=anew)
        text = filters.text("Text in the body", "text", anew=anew)
    which = DeliveryFilter(
        verdicts=frozenset(verdicts),
        event_type=kind,
        job=job,
        text=text,
    )
    words = [VERDICT_SIGNS[verdict].word for verdict in verdicts]
    words += [part for part in (kind, age, job) if part]
    words += [f"body contains “{text}”"] if text else []
    return which, age, words


def _numbers(console: Console) -> None:
    counts = console.deliveries.counts()
    with st.container(horizontal=True, key="delivery-counts"):
        st.metric("Last 24 hours", f"{counts.total:,}", border=True)
        st.metric("Refused of these", f"{counts.refused:,}", border=True)
        st.metric("Last hour", f"{counts.last_hour:,}", border=True)
        st.metric("Last minute", f"{counts.last_minute:,}", border=True)
    most = sorted(counts.by_verdict.items(), key=lambda item: -item[1])
    with st.container(horizontal=True):
        for verdict, count in most:
            sign = VERDICT_SIGNS[verdict]
            st.badge(f"{count:,} {sign.word}", icon=sign.icon, color=sign.color)


def _table(lines: tuple[Line, ...], now: datetime) -> None:
    rows = [
        {
            "verdict": _verdict(line),
            "open": link_to(line.id),
            "event": line.event_type or "–",
            "job": line.document or line.vendor_job_id or "–",
            "when": ago(line.received_at, now),
            "ms": round(line.duration_ms, 1),
            "note": _note(line),
            "received": times.stamp(line.received_at),
        }
        for line in lines
    ]
    st.dataframe(
        pd.DataFrame(rows),
        key="deliveries",
        hide_index=True,
        placeholder="–",
        column_config={
            "open": st.column_config.LinkColumn("", display_text="open", width="small"),
            "ms": st.column_config.NumberColumn("ms", format="%.1f", width="small"),
            "job": st.column_config.TextColumn(width="medium"),
        },
    )


def _verdict(line: Line) -> str:
    sign = VERDICT_SIGNS[line.state]
    extra = " (test)" if line.scope == "test" else ""
    extra += " (replay)" if line.replay_of else ""
    return f"{sign.mark} {sign.word}{extra}"


def _note(line: Line) -> str:
    is_waiting = line.verdict == ACCEPTED and line.applied_at is None
    return what_it_waits_for(line.job_id) if is_waiting else line.outcome or line.reason


def _nothing(console: Console, *, is_filtered: bool) -> str:
    if is_filtered:
        return "No delivery fits these filters."
    if console.settings.sends_webhooks:
        return f"Nothing came in yet. LlamaParse reports to {console.settings.public_url}."
    return (
        "Nothing came in yet. Submit a document in MOCK and its events appear here, or set "
        "PARSEDECK_PUBLIC_URL and LLAMAPARSE_WEBHOOK_SECRET so that LlamaParse can call."
    )
