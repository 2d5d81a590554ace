"""A line per job with its state, its name as a link, and why it is where it is."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.domain.jobs import Job
from core.domain.routing import Mode
from dashboard.components import decide
from dashboard.wording import MODE_SIGNS, plain, sign_of

__all__ = ["show"]


def show(jobs: Sequence[Job], *, key: str, notes: Mapping[str, str] | None = None) -> None:
    """One line per job, simulated ones marked; a note, by the job's id, says how far it is."""
    for job in jobs:
        sign = sign_of(job.status, is_provisional=job.is_provisional)
        with st.container(horizontal=True, vertical_alignment="center", key=f"{key}-{job.id}"):
            st.badge(sign.word, icon=sign.icon, color=sign.color)
            if job.mode is Mode.MOCK:
                simulated = MODE_SIGNS[Mode.MOCK]
                st.badge(simulated.word, icon=simulated.icon, color=simulated.color)
            st.page_link("screens/job.py", label=plain(job.name), query_params={"job": job.id})
            why = f"{job.reason} {job.next_step}".strip() or (notes or {}).get(job.id, "")
            if why:
                st.caption(plain(why))
            decide.button(job, key)
