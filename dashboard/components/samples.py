"""What a newcomer sees where nothing is yet."""

import streamlit as st

__all__ = ["invite"]


def invite() -> None:
    """Says what will appear here, and how to make the first one."""
    with st.container(border=True):
        st.markdown("**No jobs yet.** Documents you parse appear here and move by themselves.")
        st.page_link(
            "screens/submit.py",
            label="Drop your own documents, or try the three samples",
            icon=":material/arrow_forward:",
        )
