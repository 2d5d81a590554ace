"""Going through a long list: the place in it stands in the URL."""

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from core.store.paging import Cursor, Page
from dashboard.components import address

__all__ = ["forget", "place", "show"]


def place(name: str) -> Cursor | None:
    """The place in the list from the URL; the top when it is none."""
    direction, _, rest = address.read(name).partition("~")
    moment, _, key = rest.partition("~")
    try:
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None or direction not in {"newer", "older"}:
            return None
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):  # no moment, or none that UTC has
        return None
    return Cursor(at, key, is_backwards=direction == "newer")


def forget(name: str) -> None:
    """Back to the top, as a list does whose filters change."""
    st.query_params.pop(name, None)


def show(name: str, found: Page[Any]) -> None:
    """The buttons that lead to other pages; none where all is shown already."""
    is_top = place(name) is None
    if is_top and found.older is None:
        return
    with st.container(horizontal=True, key=f"{name}-pager"):
        if not is_top and st.button("Newest", key=f"{name}-newest", icon=":material/first_page:"):
            _go(name, None)
        newer = st.button(
            "Newer",
            key=f"{name}-newer",
            icon=":material/chevron_left:",
            disabled=found.newer is None,
        )
        older = st.button(
            "Older",
            key=f"{name}-older",
            icon=":material/chevron_right:",
            disabled=found.older is None,
        )
    if newer:
        _go(name, found.newer)
    if older:
        _go(name, found.older)


def _go(name: str, cursor: Cursor | None) -> None:
    if cursor is None:
        forget(name)
    else:
        direction = "newer" if cursor.is_backwards else "older"
        st.query_params[name] = f"{direction}~{cursor.at.isoformat()}~{cursor.id}"
    st.rerun()
