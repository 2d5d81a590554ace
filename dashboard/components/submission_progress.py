"""Progress of one submission: a bar, a line per document, and what can be done about it."""

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor, JobStatus
from core.domain.routing import Mode
from core.services.jobs import SubmissionView
from dashboard.components import job_links
from dashboard.wording import money

__all__ = ["show"]


def show(view: SubmissionView, console: Console, actor: Actor) -> None:
    """Everything about the submission."""
    done = sum(job.status.is_final for job in view.jobs)
    failed = [j for j in view.jobs if j.status in {JobStatus.FAILED_PARSE, JobStatus.CANCELLED}]
    words = f"{done} of {len(view.jobs)} finished" + (f", {len(failed)} failed" if failed else "")
    st.progress(done / max(1, len(view.jobs)), text=words)
    simulated = " simulated" if view.submission.mode is Mode.MOCK else ""
    price = money(view.submission.estimated_usd).replace("$", "\\$")
    st.caption(f"Quoted {price}{simulated} · by {view.submission.actor}")
    job_links.show(view.jobs, key="submission")
    with st.container(horizontal=True):
        _actions(view, console, actor)


def _actions(view: SubmissionView, console: Console, actor: Actor) -> None:
    open_ids = [job.id for job in view.jobs if not job.status.is_final]
    failed = [j.id for j in view.jobs if j.status in {JobStatus.FAILED_PARSE, JobStatus.CANCELLED}]
    if failed and st.button(f"Retry {len(failed)} failed", key="retry-failed"):
        console.jobs.retry(failed, actor)
        st.rerun()
    if open_ids and st.button(f"Cancel {len(open_ids)} unfinished", key="cancel-open"):
        console.jobs.cancel(open_ids, actor)
        st.rerun()
    if any(job.status.has_result for job in view.jobs):
        name = (
            f"{view.submission.id}{'.simulated' if view.submission.mode is Mode.MOCK else ''}.zip"
        )
        st.download_button(
            "Download all results",
            data=lambda: console.jobs.zip_of(view.submission.id),
            file_name=name,
            mime="application/zip",
            on_click="ignore",
            key="zip",
        )
