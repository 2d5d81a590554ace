"""The four figures of the Overview, each with the last day behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import streamlit as st

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from core.domain.routing import Mode
from core.services.spend import HourSpend, SpendToday
from dashboard.wording import duration, money

__all__ = ["Figures", "read", "show"]

_IN_FLIGHT = (JobStatus.PARSE_QUEUED, JobStatus.PARSING, JobStatus.HANDING_OFF)
_NOT_FIXED = (JobStatus.FAILED_PARSE, JobStatus.FAILED_HANDOFF, JobStatus.PARTLY_PARSED)
_HOURS = 24
_HEIGHT = 164


@dataclass(frozen=True, slots=True)
class Figures:
    """What the four figures are made of."""

    today: SpendToday
    hours: tuple[HourSpend, ...]
    counts: Mapping[JobStatus, int]
    oldest_for: timedelta | None
    causes: int


def read(console: Console, mode: Mode) -> Figures:
    """All that is shown, asked for at once: then it is drawn at one go."""
    oldest = console.jobs.oldest_open()
    return Figures(
        console.spend.today(mode),
        console.spend.by_hour(mode, hours=_HOURS),
        console.jobs.counts(),
        None if oldest is None else console.clock() - oldest.created_at,
        len(console.jobs.causes()),
    )


def show(figures: Figures, mode: Mode) -> None:
    """Spent today, submits this hour, in flight, failed; bars are the last 24 hours."""
    today, hours, counts = figures.today, figures.hours, figures.counts
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
        _figure("In flight", f"{_sum(counts, _IN_FLIGHT):,}", _in_flight(figures))
        _figure("Failed, not fixed", f"{_sum(counts, _NOT_FIXED):,}", _why(figures.causes))


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


def _in_flight(figures: Figures) -> str:
    held = f"{figures.counts.get(JobStatus.HELD, 0):,} held"
    if figures.oldest_for is None:
        return held
    return f"oldest {duration(figures.oldest_for)}, {held}"


def _why(causes: int) -> str:
    return {0: "nothing failed", 1: "one cause"}.get(causes, f"{causes} causes")


def _sum(counts: Mapping[JobStatus, int], of: tuple[JobStatus, ...]) -> int:
    return sum(counts.get(status, 0) for status in of)
