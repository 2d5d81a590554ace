"""Switching the mode, with a reason."""

import streamlit as st

from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.services.modes import Modes

__all__ = ["show"]


def show(modes: Modes, actor: Actor, *, has_key: bool) -> None:
    """A form; without a key REAL is not offered."""
    st.subheader("Mode", anchor=False)
    current = modes.current()
    if has_key and current is Mode.MOCK:
        st.info(
            "A LlamaParse key is configured, but the mode is MOCK. Switch to REAL to use it.",
            icon=":material/key:",
        )
    options = [mode for mode in Mode if mode is not current and (has_key or mode is not Mode.REAL)]
    with st.form("mode", clear_on_submit=True, border=True):
        mode = st.selectbox("Switch to", options, format_func=lambda m: m.value.upper())
        reason = st.text_input("Why", placeholder="so that others understand it later")
        if st.form_submit_button("Switch") and mode is not None:
            modes.switch(mode, actor, reason)
            st.rerun()
    for change in modes.history()[:3]:
        st.caption(
            f"{change.at:%d %b %H:%M} · {change.mode.upper()} · {change.actor} · {change.reason}"
        )
