"""The team that work is booked on."""

from collections.abc import Sequence

import streamlit as st

__all__ = ["show"]


def show(teams: Sequence[str]) -> str:
    """The chosen team; empty when there is none or none was chosen. Kept in the URL."""
    if not teams:
        return ""
    chosen = st.selectbox(
        "Team", teams, index=None, placeholder="none", key="team", bind="query-params"
    )
    return chosen if chosen is not None and chosen in teams else ""
