"""Job: page beside markdown, and everything that happened."""

from urllib.parse import parse_qsl

import streamlit as st

from dashboard.boundary import explained
from dashboard.components import address, decide, header, job_facts, page_reader, receipt, timeline
from dashboard.runtime import actor, get_console

console = get_console()
job_id = address.read("job")
st.page_link(
    "screens/jobs.py",
    label="All jobs",
    icon=":material/arrow_back:",
    query_params=parse_qsl(address.read("back")),
)
view = console.jobs.view(job_id)
header.show(view.job.name, view.job.mode, is_outside_text=True)


@st.fragment(run_every=None if view.job.status.is_final else 1)
def live() -> None:
    """The facts, moving while the job is under way."""
    with explained():
        fresh = console.jobs.view(job_id)
        job_facts.show(fresh, console, actor())
        if fresh.job.status is not view.job.status and fresh.job.status.is_final:
            st.rerun()


decide.dialog(console, actor())
live()
if view.job.result_blob:
    page_reader.show(view, console, actor())
receipt.show(console.receipts.of_job(job_id))
timeline.show(view.timeline, view.deliveries)
