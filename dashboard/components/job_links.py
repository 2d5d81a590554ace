"""A line per job with its state, its name as a link, and why it is where it is."""

from collections.abc import Sequence

import streamlit as st

from core.domain.jobs import Job
from dashboard.wording import plain, sign_of

__all__ = ["show"]


def show(jobs: Sequence[Job], *, key: str) -> None:
    """One line per job."""
    for job in jobs:
        sign = sign_of(job.status, is_provisional=job.is_provisional)
        with st.container(horizontal=True, vertical_alignment="center", key=f"{key}-{job.id}"):
            st.badge(sign.word, icon=sign.icon, color=sign.color)
            st.page_link("screens/job.py", label=plain(job.name), query_params={"job": job.id})
            if job.reason:
                st.caption(plain(f"{job.reason} {job.next_step}".strip()))
