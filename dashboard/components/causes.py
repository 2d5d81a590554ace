"""What failed and was not mended: one line per cause, above everything else."""

from collections.abc import Sequence

import streamlit as st

from core.store.jobs import Cause
from dashboard.components import address
from dashboard.wording import FAILED, plain

__all__ = ["chosen", "show"]

_CAUSE = "cause"


def chosen() -> str:
    """The cause that the list is narrowed to; empty for all."""
    return address.read(_CAUSE)


def show(causes: Sequence[Cause]) -> None:
    """A line per cause, with a button that narrows the list to it."""
    for number, cause in enumerate(causes):
        noun = "document" if cause.count == 1 else "documents"
        with st.container(horizontal=True, vertical_alignment="center", key=f"cause-{number}"):
            st.badge(f"{cause.count:,} {noun}", icon=FAILED.icon, color=FAILED.color)
            st.markdown(plain(f"{cause.reason} {cause.next_step}".strip()))
            is_chosen = cause.reason == chosen()
            label = "Show all" if is_chosen else "Show these"
            if st.button(label, key=f"cause-{number}-show", type="tertiary"):
                if is_chosen:
                    del st.query_params[_CAUSE]
                else:
                    st.query_params[_CAUSE] = cause.reason
                st.rerun()
