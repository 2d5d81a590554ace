"""The facts of Setup and doctor as lines."""

from collections.abc import Sequence

import streamlit as st

from core.services.setup import Fact, Grade
from dashboard.wording import plain

__all__ = ["show"]

_SIGNS = {
    Grade.OK: ("fine", ":material/check_circle:", "green"),
    Grade.INFO: ("note", ":material/info:", "blue"),
    Grade.WARNING: ("look", ":material/warning:", "orange"),
    Grade.PROBLEM: ("broken", ":material/cancel:", "red"),
}


def show(facts: Sequence[Fact]) -> None:
    """One line per fact."""
    with st.container(border=True, key="facts"):
        for fact in facts:
            word, icon, color = _SIGNS[fact.grade]
            step = f" :gray[{plain(fact.next_step)}]" if fact.next_step else ""
            st.markdown(f":{color}[{icon} {word}] **{fact.topic}** · {plain(fact.what)}{step}")
