"""Submission: one press of Parse, and how its documents do."""

import streamlit as st

from dashboard.boundary import explained
from dashboard.components import address, decide, header, submission_progress
from dashboard.runtime import actor, get_console

console = get_console()
submission_id = address.read("submission")
st.page_link("screens/jobs.py", label="All jobs", icon=":material/arrow_back:")
first = console.jobs.submission(submission_id)
header.show(submission_progress.title(first), first.submission.mode, is_outside_text=True)


@st.fragment(run_every=1)
def live() -> None:
    """The part that moves by itself."""
    with explained():
        view = console.jobs.submission(submission_id)
        submission_progress.show(view, console, actor())


decide.dialog(console, actor())
live()
st.page_link("screens/submit.py", label="Submit more documents", icon=":material/upload_file:")
