"""The body of a webhook: in a bounded place however long it is, and to be taken away whole."""

import streamlit as st

__all__ = ["download", "show"]

_HEIGHT = 480
"""Pixels; a longer body is scrolled in its place."""
_LINES, _CHARACTERS = 24, 1500
"""What fits into that height in half the width of a screen."""


def show(text: str, language: str | None = None) -> None:
    """The text, wrapped."""
    is_long = text.count("\n") >= _LINES or len(text) > _CHARACTERS
    st.code(text, language=language, wrap_lines=True, height=_HEIGHT if is_long else "content")


def download(body: bytes, name: str) -> None:
    """A button that takes the bytes away as they are."""
    st.download_button(
        "Download",
        lambda: body,
        name,
        "application/octet-stream",
        key="download-body",
        icon=":material/download:",
        on_click="ignore",
    )
