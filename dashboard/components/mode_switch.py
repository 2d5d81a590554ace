"""Setup's link to the modes, and the offer to use a key that was just added."""

import streamlit as st

from core.domain.routing import Mode

__all__ = ["show"]


def show(current: Mode, *, has_key: bool) -> None:
    """Where the mode is switched, and whether a key waits for it."""
    if has_key and current is Mode.MOCK:
        st.info(
            "A LlamaParse key is configured, but the mode is MOCK. Switch to REAL to use it.",
            icon=":material/key:",
        )
    st.page_link("screens/modes.py", label="Modes and health", icon=":material/monitor_heart:")
