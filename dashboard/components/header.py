"""The top of every screen: its title, the mode, and the line that marks simulated money."""

from collections.abc import Callable

import streamlit as st

from core.domain.routing import Mode
from dashboard.wording import MODE_SIGNS, plain

__all__ = ["show"]


def show(
    title: str,
    mode: Mode,
    *,
    is_outside_text: bool = False,
    action: Callable[[], object] | None = None,
) -> None:
    """Title, mode badge and the screen's one main ``action``; in MOCK the violet line under them."""
    sign = MODE_SIGNS[mode]
    with st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        st.title(plain(title) if is_outside_text else title, anchor=False)
        with st.container(
            horizontal=True, vertical_alignment="center", width="content", key="header-right"
        ):
            st.badge(sign.word, icon=sign.icon, color=sign.color)
            if action is not None:
                action()
    if mode is Mode.MOCK:
        st.markdown(":violet[Simulated: no money is spent, results are made locally.]")
