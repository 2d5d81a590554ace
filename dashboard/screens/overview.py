"""Overview answers: is all well, and what waits for me."""

import streamlit as st

from core.domain.jobs import JobStatus
from core.store.jobs import JobFilter
from dashboard.boundary import explained
from dashboard.components import (
    decide,
    header,
    job_links,
    job_table,
    lead_inbox,
    outage,
    overview_figures,
    samples,
    since,
)
from dashboard.runtime import actor, get_console

_WAITS_FOR_A_PERSON = frozenset(
    {JobStatus.HELD, JobStatus.FAILED_PARSE, JobStatus.PARTLY_PARSED, JobStatus.FAILED_HANDOFF}
)

console = get_console()


def submit() -> None:
    """The way to the main job."""
    if st.button("Submit documents", type="primary", icon=":material/upload_file:", key="submit"):
        st.switch_page("screens/submit.py")


header.show("Overview", console.modes.current(), action=submit)


@st.fragment(run_every=2)
def live() -> None:
    """The part that moves by itself."""
    with explained():
        mode = console.modes.current()
        # asked for first, then drawn at one go; what else there is comes after the numbers
        figures, away = overview_figures.read(console, mode), since.read(console, actor())
        outage.show(console, mode)
        if away is not None:
            since.show(away, mode)
        overview_figures.show(figures, mode)
        waiting = console.jobs.find(JobFilter(statuses=_WAITS_FOR_A_PERSON), limit=5)
        latest = console.jobs.find(JobFilter(), limit=10)
        st.subheader("Needs a person", anchor=False)
        lead_inbox.link(console.holds.asked())
        job_links.show(waiting.jobs, key="needs")
        if not waiting.total:
            st.caption("Nothing waits for you.")
        elif waiting.total > len(waiting.jobs):
            st.caption(f"{waiting.total - len(waiting.jobs):,} more under Jobs.")
        st.subheader("Latest jobs", anchor=False)
        if latest.total:
            job_table.show(latest.jobs, console.clock(), key="latest")
        else:
            samples.invite()
        since.note(console, actor())


decide.dialog(console, actor())
live()
