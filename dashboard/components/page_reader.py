"""A page of the document beside what was made of it."""

import streamlit as st

from core.console import Console
from core.errors import ConsoleError
from core.services.jobs import JobView
from dashboard.components.hostile import harmless
from dashboard.wording import engine_name, plain, tier_name

__all__ = ["show"]


def show(view: JobView, console: Console) -> None:
    """Page picture left, tabs right, in step."""
    result = console.jobs.result(view.job)
    if not result.pages:
        st.info("The result has no pages.")
        return
    index = (
        st.pagination(len(result.pages), key="page", bind="query-params")
        if len(result.pages) > 1
        else 1
    )
    page = result.pages[index - 1]
    left, right = st.columns(2)
    with left:
        _picture(view, console, page.number)
    with right:
        made_by = engine_name(page.engine, view.job.mode)
        st.caption(f"Page {page.number} · made by {made_by}, {tier_name(page.tier) or 'no tier'}")
        if page.error:
            st.warning(plain(f"This page failed: {page.error}"))
        for note in page.notes:
            st.info(plain(note))
        rendered, text, raw = st.tabs(["Markdown", "Text", "JSON"])
        with rendered.container(key="rendered", border=True):
            st.markdown(harmless(page.markdown) or "*This page is empty.*")
        text.code(page.text or page.markdown, language=None, wrap_lines=True)
        raw.json({"page": page.number, "markdown": page.markdown, "text": page.text})


def _picture(view: JobView, console: Console, number: int) -> None:
    if view.document is None or view.document.media_type != "application/pdf":
        st.caption("There is no picture for this type of document.")
        return
    try:
        with st.container(border=True):
            st.image(_render(console, view.document.sha256, view.document.size_bytes, number))
    except ConsoleError as error:
        st.caption(f"The page cannot be shown. {error.what}")


@st.cache_data(ttl=600, max_entries=200, show_spinner=False)
def _render(_console: Console, sha256: str, size_bytes: int, number: int) -> bytes:
    with _console.blobs.content(sha256, size_bytes).as_file() as path:
        return _console.local.page_image(path, number)
