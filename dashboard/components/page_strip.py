"""The pages of a document in a row, each with a mark that says who made it and how it went."""

from collections.abc import Sequence

import streamlit as st

from core.domain.documents import EngineName, ParsedPage
from core.domain.routing import Mode
from dashboard.wording import engine_name

__all__ = ["chosen", "mark"]

_STRIP_LIMIT = 40


def mark(page: ParsedPage) -> str:
    """``✕`` failed, ``!`` doubtful or with a note, ``◐`` a stand-in, ``⌂`` made here; nothing for the rest."""
    if page.error:
        return " ✕"
    if page.doubts or page.notes or not (page.markdown.strip() or page.text.strip()):
        return " !"
    if page.is_provisional:
        return " ◐"
    return " ⌂" if page.engine is EngineName.LOCAL else ""


def chosen(pages: Sequence[ParsedPage], mode: Mode) -> ParsedPage:
    """The page to read: a strip while it fits, a pager for long documents."""
    if len(pages) == 1:
        return pages[0]
    marks = {page.number: mark(page) for page in pages}
    if len(pages) > _STRIP_LIMIT:
        shown = pages[st.pagination(len(pages), key="page", bind="query-params") - 1]
    else:
        number = st.segmented_control(
            "Page",
            list(marks),
            default=pages[0].number,
            required=True,
            format_func=lambda n: f"{n}{marks[n]}",
            key="page",
            bind="query-params",
            label_visibility="collapsed",
            wrap=True,
        )
        shown = next((page for page in pages if page.number == number), pages[0])
    _legend(pages, mode)
    return shown


def _legend(pages: Sequence[ParsedPage], mode: Mode) -> None:
    signs = {mark(page).strip() for page in pages} - {""}
    words = {
        "✕": "failed",
        "!": "doubtful, or with a note",
        "◐": f"provisional: the {engine_name(EngineName.LOCAL, mode)} stands in for LlamaParse",
        "⌂": f"made by the {engine_name(EngineName.LOCAL, mode)}, as planned",
    }
    if signs:
        st.caption(" · ".join(f"{sign} {words[sign]}" for sign in words if sign in signs))
