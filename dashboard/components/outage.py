"""A banner while LlamaParse cannot be used: what happened, what still works, where to look."""

import streamlit as st

from core.console import Console
from core.domain.routing import Mode
from dashboard.wording import plain

__all__ = ["show"]


def show(console: Console, mode: Mode) -> None:
    """Nothing in MOCK, without a key, and while all is well."""
    if mode is Mode.MOCK or console.settings.api_key is None:
        return
    trouble = console.health.trouble()
    if not trouble:
        return
    goes_on = (
        "New documents wait and go on by themselves; nothing is lost."
        if mode is Mode.REAL
        else "The local engine stands in, provisionally."
    )
    with st.container(key="outage"):
        st.warning(plain(f"{trouble} {goes_on}"), icon=":material/cloud_off:")
        st.page_link("screens/modes.py", label="Modes and health", icon=":material/monitor_heart:")
