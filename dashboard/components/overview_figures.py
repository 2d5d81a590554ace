"""The four figures of the Overview, each with the last day behind it."""

from collections.abc import Mapping
from decimal import Decimal

import streamlit as st

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from core.domain.routing import Mode
from dashboard.wording import duration, money

__all__ = ["show"]

_IN_FLIGHT = (JobStatus.PARSE_QUEUED, JobStatus.PARSING, JobStatus.HANDING_OFF)
_NOT_FIXED = (JobStatus.FAILED_PARSE, JobStatus.FAILED_HANDOFF, JobStatus.PARTLY_PARSED)
_HOURS = 24
_HEIGHT = 164


def show(console: Console, mode: Mode) -> None:
    """Spent today, submits this hour, in flight, failed; bars are the last 24 hours."""
    today, counts = console.spend.today(mode), console.jobs.counts()
    hours = console.spend.by_hour(mode, hours=_HOURS)
    simulated = ", simulated" if mode is Mode.MOCK else ""
    day, hour = today.use(Window.DAY, Unit.USD), today.use(Window.HOUR, Unit.SUBMITS)
    limit = Decimal(day.limit.amount) / 1_000_000 if day else Decimal(0)
    with st.container(horizontal=True, key="figures"):
        _figure(
            f"Spent{simulated}" if simulated else "Spent today",
            money(today.total_usd),
            f"{today.total_usd / limit:.0%} of {money(limit)}" if limit else "no limit",
            [float(h.usd) for h in hours],
        )
        _figure(
            "Submits this hour",
            f"{hour.used if hour else 0:,}",
            f"of {hour.limit.amount:,}" if hour else "no limit",
            [h.submits for h in hours],
        )
        _figure("In flight", f"{_sum(counts, _IN_FLIGHT):,}", _in_flight(console, counts))
        _figure("Failed, not fixed", f"{_sum(counts, _NOT_FIXED):,}", _why(console))


def _figure(
    label: str, value: str, beside: str, bars: list[float] | list[int] | None = None
) -> None:
    st.metric(
        label,
        value,
        beside,
        delta_color="off",
        delta_arrow="off",
        border=True,
        width="stretch",
        height=_HEIGHT,
        # an empty day has no shape to show
        chart_data=bars if bars and any(bars) else None,
        chart_type="bar",
    )


def _in_flight(console: Console, counts: Mapping[JobStatus, int]) -> str:
    held = f"{counts.get(JobStatus.HELD, 0):,} held"
    oldest = console.jobs.oldest_open()
    if oldest is None:
        return held
    return f"oldest {duration(console.clock() - oldest.created_at)}, {held}"


def _why(console: Console) -> str:
    causes = len(console.jobs.causes())
    return {0: "nothing failed", 1: "one cause"}.get(causes, f"{causes} causes")


def _sum(counts: Mapping[JobStatus, int], of: tuple[JobStatus, ...]) -> int:
    return sum(counts.get(status, 0) for status in of)
