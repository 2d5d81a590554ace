"""The limits, stored from the console."""

import streamlit as st

from core.domain.jobs import Actor
from core.services.setup import Setup

__all__ = ["show"]


def show(setup: Setup, actor: Actor) -> None:
    """What is stored here wins over the environment."""
    st.subheader("Limits", anchor=False)
    now = setup.in_force()
    with st.form("limits", border=True):
        usd = st.text_input("Dollars a day", value=str(now.daily_limit_usd))
        submits = st.text_input("Submits an hour", value=str(now.hourly_request_limit))
        if st.form_submit_button("Store"):
            setup.store("daily_limit_usd", usd or "", actor)
            setup.store("hourly_request_limit", submits or "", actor)
            st.rerun()
