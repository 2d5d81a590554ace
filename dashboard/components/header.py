"""The top of every screen: its title, the mode, and the line that marks simulated money."""

import streamlit as st

from core.domain.routing import Mode
from dashboard.wording import MODE_SIGNS, plain

__all__ = ["show"]


def show(title: str, mode: Mode, *, is_outside_text: bool = False) -> None:
    """Title and mode badge; in MOCK the violet line under it."""
    sign = MODE_SIGNS[mode]
    with st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        st.title(plain(title) if is_outside_text else title, anchor=False)
        st.badge(sign.word, icon=sign.icon, color=sign.color)
    if mode is Mode.MOCK:
        st.markdown(":violet[Simulated: no money is spent, results are made locally.]")
