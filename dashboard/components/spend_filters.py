"""What the Spend screen shows: a range, a division, and what it is narrowed to; all in the URL."""

from dataclasses import dataclass, field

import streamlit as st

from core.domain.routing import Mode
from core.services.reports import RANGES, Reports
from dashboard.wording import tier_name

__all__ = ["Chosen", "show"]

_BY = {"tier": "tier", "engine": "engine", "team": "team", "person": "actor", "outcome": "outcome"}
_NARROW = {"team": "Team", "actor": "Person", "tier": "Tier"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filters in force."""

    days: int
    by: str
    only: dict[str, str] = field(default_factory=dict)


def show(reports: Reports, mode: Mode) -> Chosen:
    """The filters; unknown values in the URL become the default."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        span = st.segmented_control(
            "Range",
            list(RANGES),
            default="30 days",
            required=True,
            key="range",
            bind="query-params",
        )
        by = st.segmented_control(
            "By", list(_BY), default="tier", required=True, key="by", bind="query-params"
        )
    days = RANGES.get(span or "", 30)
    only = {}
    with st.container(horizontal=True):
        for dimension, label in _NARROW.items():
            values = reports.choices(mode, days, dimension)
            picked = st.selectbox(
                label,
                values,
                index=None,
                placeholder="all",
                format_func=tier_name,
                key=f"spend-{dimension}",
                bind="query-params",
            )
            if picked is not None and picked in values:
                only[dimension] = picked
    return Chosen(days, _BY.get(by or "", "tier"), only)
