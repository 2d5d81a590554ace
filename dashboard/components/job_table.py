"""Jobs as a table; a selected row opens the job."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.domain.jobs import Job
from core.domain.routing import Mode
from dashboard.components.columns import right
from dashboard.wording import ago, money, sign_of, tier_name

__all__ = ["link_to", "show"]


def link_to(job_id: str) -> str:
    """The address of a job's page; it carries the list's filters, so that the way back keeps them."""
    kept = [(n, v) for n in st.query_params for v in st.query_params.get_all(n)]
    back = [("back", urlencode(kept))] if kept else []
    return f"/job?{urlencode([('job', job_id), *back])}"


def show(jobs: Sequence[Job], now: datetime, *, key: str, selectable: bool = False) -> list[Job]:
    """The table; returns the selected jobs."""
    rows = [
        {
            "state": _state(job),
            "document": job.name,
            "price": money(job.estimated_usd),
            "pages": job.page_count,
            "tier": tier_name(job.options.tier) + (" (simulated)" if job.mode is Mode.MOCK else ""),
            "when": ago(job.created_at, now),
            "open": link_to(job.id),
        }
        for job in jobs
    ]
    picked = st.dataframe(
        pd.DataFrame(rows),
        key=key,
        hide_index=True,
        placeholder="–",
        on_select="rerun" if selectable else "ignore",
        selection_mode="multi-row",
        column_config={
            "open": st.column_config.LinkColumn("", display_text="open", width="small"),
            "document": st.column_config.TextColumn(width="medium"),
            **right("price"),
        },
    )
    if not isinstance(picked, dict):
        return []
    return [jobs[index] for index in picked["selection"]["rows"] if index < len(jobs)]


def _state(job: Job) -> str:
    sign = sign_of(job.status, is_provisional=job.is_provisional)
    return f"{sign.mark} {sign.word}"
