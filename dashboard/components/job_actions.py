"""What can be done to selected jobs, and what it would do before it is done."""

from collections.abc import Sequence
from decimal import Decimal

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor, Job, JobStatus
from dashboard.wording import money

__all__ = ["show"]

_RETRYABLE = {JobStatus.FAILED_PARSE, JobStatus.CANCELLED, JobStatus.PARTLY_PARSED, JobStatus.HELD}


def show(jobs: Sequence[Job], console: Console, actor: Actor) -> None:
    """Retry and cancel, each with its price on the button."""
    if not jobs:
        st.caption("Select rows to retry or cancel them.")
        return
    again = [job for job in jobs if job.status in _RETRYABLE]
    running = [job for job in jobs if not job.status.is_final]
    price = sum((job.estimated_usd for job in again), Decimal(0))
    with st.container(horizontal=True):
        label = f"Retry {len(again)} for about {money(price)}".replace("$", "\\$")
        if st.button(label, key="retry", disabled=not again, type="primary"):
            console.jobs.retry([job.id for job in again], actor)
            st.rerun()
        if st.button(f"Cancel {len(running)}", key="cancel", disabled=not running):
            console.jobs.cancel([job.id for job in running], actor)
            st.rerun()
