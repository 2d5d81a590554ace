"""What can be parsed: by LlamaParse, and by the local engine on this machine."""

from collections.abc import Sequence

import streamlit as st

from dashboard.wording import plain

__all__ = ["show"]


def show(local: Sequence[tuple[bool, str, str]]) -> None:
    """Which formats each engine can take here, and what would mend the rest."""
    with st.expander("What can I drop here?", icon=":material/help:"):
        st.markdown(
            "**LlamaParse** takes PDF, Word, Excel and PowerPoint (also .doc, .xls, .ppt), OpenDocument, RTF, images, "
            "HTML, Markdown, text and CSV, each also in a ZIP."
        )
        st.markdown("**On this machine** (MOCK, and pages that need no service):")
        for works, what, step in local:
            icon = (
                ":green[:material/check_circle:]"
                if works
                else ":gray[:material/do_not_disturb_on:]"
            )
            st.markdown(
                f"{icon} {plain(what)} :gray[{plain(step)}]" if step else f"{icon} {plain(what)}"
            )
