"""The four figures of the Overview."""

from collections.abc import Mapping
from decimal import Decimal

import streamlit as st

from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from core.domain.routing import Mode
from core.services.spend import SpendToday
from dashboard.wording import money

__all__ = ["show"]

_IN_FLIGHT = (JobStatus.PARSE_QUEUED, JobStatus.PARSING, JobStatus.HANDING_OFF)
_NOT_FIXED = (JobStatus.FAILED_PARSE, JobStatus.FAILED_HANDOFF, JobStatus.PARTLY_PARSED)


def show(today: SpendToday, counts: Mapping[JobStatus, int]) -> None:
    """Spent today, requests this hour, in flight, failed."""
    simulated = " (simulated)" if today.mode is Mode.MOCK else ""
    day, hour = today.use(Window.DAY, Unit.USD), today.use(Window.HOUR, Unit.SUBMITS)
    with st.container(horizontal=True):
        limit = Decimal(day.limit.amount) / 1_000_000 if day else Decimal(0)
        share = f"{today.total_usd / limit:.0%} of {money(limit)}" if limit else None
        st.metric(
            f"Spent today{simulated}",
            money(today.total_usd),
            share,
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        used = f"of {hour.limit.amount:,}" if hour else None
        st.metric(
            "Submits this hour",
            f"{hour.used if hour else 0:,}",
            used,
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        st.metric(
            "In flight",
            f"{_sum(counts, _IN_FLIGHT):,}",
            f"{counts.get(JobStatus.HELD, 0):,} held",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        st.metric(
            "Failed, not fixed",
            f"{_sum(counts, _NOT_FIXED):,}",
            f"{counts.get(JobStatus.COMPLETE, 0):,} complete",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )


def _sum(counts: Mapping[JobStatus, int], of: tuple[JobStatus, ...]) -> int:
    return sum(counts.get(status, 0) for status in of)
