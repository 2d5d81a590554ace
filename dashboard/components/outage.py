"""A banner while LlamaParse cannot be used: what happened, what still works, where to look."""

import streamlit as st

from core.console import Console
from core.domain.routing import Mode
from dashboard.components import breaker_words
from dashboard.wording import plain

__all__ = ["show"]


def show(console: Console, mode: Mode) -> None:
    """Nothing in MOCK, without a key, and while all is well."""
    if mode is Mode.MOCK or console.settings.api_key is None:
        return
    known = console.health.look()
    trouble = console.watch.words(known)
    if not trouble:
        return
    steps = breaker_words.step(known)
    waits = "wait" if steps else "wait and go on by themselves"
    goes_on = (
        f"New documents {waits}; nothing is lost."
        if mode is Mode.REAL
        else "The local engine stands in, provisionally."
    )
    with st.container(key="outage"):
        st.warning(plain(" ".join([trouble, goes_on, *steps])), icon=":material/cloud_off:")
        st.page_link("screens/modes.py", label="Modes and health", icon=":material/monitor_heart:")
