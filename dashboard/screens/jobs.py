"""Jobs: find, select, act."""

from datetime import timedelta

import streamlit as st

from core.domain.money import Tier
from core.store.jobs import JobFilter
from dashboard.components import causes, header, job_actions, job_table
from dashboard.runtime import actor, get_console
from dashboard.wording import STATE_SIGNS, engine_name, plain, tier_name

_PAGE = 50
_AGES = {
    "last hour": timedelta(hours=1),
    "last 24 hours": timedelta(hours=24),
    "last 7 days": timedelta(days=7),
}

console = get_console()
header.show("Jobs", console.modes.current())
with st.container(horizontal=True):
    words = sorted({sign.word for sign in STATE_SIGNS.values()})
    states = st.multiselect("State", words, key="state", bind="query-params")
    tiers = st.multiselect(
        "Tier", list(Tier), format_func=tier_name, key="tiers", bind="query-params"
    )
    engine = st.selectbox(
        "Engine",
        list(console.engines.cards),
        index=None,
        placeholder="All",
        format_func=lambda name: engine_name(name, console.modes.current()),
        key="engine",
        bind="query-params",
    )
    age = st.selectbox(
        "Time", list(_AGES), index=None, placeholder="All", key="time", bind="query-params"
    )
    text = st.text_input("Name", key="text", bind="query-params", icon=":material/search:")
wanted = frozenset(status for status, sign in STATE_SIGNS.items() if sign.word in states)
which = JobFilter(
    statuses=wanted,
    tiers=frozenset(Tier(t) for t in tiers),
    text=text or "",
    engine=engine,
    since=console.clock() - _AGES[age] if age else None,
    reason=causes.chosen(),
)
causes.show(console.jobs.causes())
pages = max(1, -(-console.jobs.find(which, limit=1).total // _PAGE))
number = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
found = console.jobs.find(which, limit=_PAGE, offset=(number - 1) * _PAGE)
filters = [*states, *(tier_name(t) for t in tiers), *([f"name contains “{text}”"] if text else [])]
filters += [engine_name(engine, console.modes.current())] if engine else []
filters += [f"{age}"] if age else []
filters += [f"because: {which.reason}"] if which.reason else []
count = f"{found.total:,} job{'' if found.total == 1 else 's'}"
st.caption(plain(count + (f" · filters: {', '.join(filters)}" if filters else "")))
if found.total:
    chosen = job_table.show(found.jobs, console.clock(), key="jobs", selectable=True)
    job_actions.show(chosen, console, actor())
else:
    st.info(
        "No job fits these filters."
        if filters
        else "No jobs yet. Submit a document to make the first one."
    )
st.page_link("screens/submit.py", label="Submit documents", icon=":material/upload_file:")
