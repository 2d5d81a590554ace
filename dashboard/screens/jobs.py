"""Jobs: find, select, act."""

import streamlit as st

from core.domain.counts import counted
from core.domain.money import Tier
from core.store.jobs import JobFilter
from dashboard.components import causes, filters, header, job_actions, job_table, outage
from dashboard.runtime import actor, get_console
from dashboard.wording import STATE_SIGNS, engine_name, plain, tier_name

_PAGE = 50
console = get_console()
mode = console.modes.current()
header.show("Jobs", mode)
outage.show(console, mode)
with st.container(horizontal=True):
    words = sorted({sign.word for sign in STATE_SIGNS.values()})
    states = st.multiselect("State", words, placeholder="All", key="state", bind="query-params")
    tiers = st.multiselect(
        "Tier",
        list(Tier),
        format_func=tier_name,
        placeholder="All",
        key="tiers",
        bind="query-params",
    )
    engine = filters.one(
        "Engine",
        list(console.engines.cards),
        "engine",
        words=lambda name: engine_name(name, mode),
    )
    age = filters.one("Time", list(filters.AGES), "time")
    text = filters.text("Name", "text")
wanted = frozenset(status for status, sign in STATE_SIGNS.items() if sign.word in states)
which = JobFilter(
    statuses=wanted,
    tiers=frozenset(Tier(t) for t in tiers),
    text=text,
    engine=engine,
    since=filters.since(age, console.clock()),
    reason=causes.chosen(),
)
causes.show(console.jobs.causes())
pages = max(1, -(-console.jobs.find(which, limit=1).total // _PAGE))
number = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
found = console.jobs.find(which, limit=_PAGE, offset=(number - 1) * _PAGE)
chosen_by = [
    *states,
    *(tier_name(t) for t in tiers),
    *([f"name contains “{text}”"] if text else []),
]
chosen_by += [engine_name(engine, mode)] if engine else []
chosen_by += [f"{age}"] if age else []
chosen_by += [f"because: {which.reason}"] if which.reason else []
count = counted(found.total, "job")
st.caption(plain(count + (f" · filters: {', '.join(chosen_by)}" if chosen_by else "")))
if found.total:
    chosen = job_table.show(found.jobs, console.clock(), key="jobs", selectable=True)
    job_actions.show(chosen, console, actor())
else:
    st.info(
        "No job fits these filters."
        if chosen_by
        else "No jobs yet. Submit a document to make the first one."
    )
st.page_link("screens/submit.py", label="Submit documents", icon=":material/upload_file:")
