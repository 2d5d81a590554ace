"""A page of the document beside what was made of it."""

import pandas as pd
import streamlit as st

from core.console import Console
from core.domain.documents import ParsedPage
from core.domain.jobs import Actor
from core.domain.links import shown_link
from core.domain.routing import Mode
from core.domain.speaker import told_of
from core.errors import ConsoleError
from core.services.jobs import JobView, file_stem
from dashboard.components import page_strip, quality
from dashboard.components.hostile import harmless
from dashboard.components.tables import tables_of
from dashboard.wording import engine_name, plain, tier_name

__all__ = ["show"]


def show(view: JobView, console: Console, actor: Actor) -> None:
    """Page picture left, tabs right, in step."""
    result = console.jobs.result(view.job)
    if not result.pages:
        st.info("The result has no pages.")
        return
    quality.show(view.job, result, console, actor)
    page = page_strip.chosen(result.pages, view.job.mode)
    left, right = st.columns(2)
    with left:
        _picture(view, console, page)
    with right:
        made_by = engine_name(page.engine, view.job.mode)
        tier = tier_name(page.tier) or "no tier"
        stands_in = ", provisional" if page.is_provisional else ""
        st.caption(f"Page {page.number} · made by {made_by}, {tier}{stands_in}")
        if page.error:
            st.warning(plain(f"This page failed: {page.error}"))
        for note in page.notes:
            st.info(plain(note))
        quality.show_page(page)
        found = tables_of(page.markdown)
        rendered, text, raw, tables = st.tabs(
            ["Markdown", "Text", "JSON", f"Tables ({len(found)})" if found else "Tables"]
        )
        with rendered.container(key="rendered", border=True):
            st.markdown(harmless(page.markdown) or "*This page is empty.*")
        text.code(page.text or page.markdown, language=None, wrap_lines=True)
        raw.json(
            {
                "page": page.number,
                "markdown": page.markdown,
                "text": page.text,
                "items": [dict(item) for item in page.items],
            }
        )
        with tables:
            _tables(view, page.number, found)


def _tables(view: JobView, number: int, found: list[pd.DataFrame]) -> None:
    if not found:
        st.caption("There is no table on this page.")
    stem = file_stem(view.job, set())
    for count, table in enumerate(found, start=1):
        st.dataframe(table, hide_index=True, key=f"table-{number}-{count}")
        st.download_button(
            f"Table {count} as CSV",
            table.to_csv(index=False).encode(),
            f"{stem}-page-{number}-table-{count}.csv",
            "text/csv",
            key=f"csv-{number}-{count}",
            icon=":material/download:",
            on_click="ignore",
        )


def _picture(view: JobView, console: Console, page: ParsedPage) -> None:
    if page.picture_blob:
        _vendor_s_picture(view, console, page)
        return
    if view.document is not None and view.document.source_url:
        where = "LlamaParse fetched this document from its link; there is no copy here to show."
        st.caption(told_of(where, simulated=view.job.mode is Mode.MOCK))
        st.code(shown_link(view.document.source_url), language=None, wrap_lines=True)
        return
    if view.document is None or view.document.media_type != "application/pdf":
        st.caption("There is no picture for this type of document.")
        return
    try:
        with st.container(border=True):
            st.image(_render(console, view.document.sha256, view.document.size_bytes, page.number))
    except ConsoleError as error:
        st.caption(f"The page cannot be shown. {error.what}")


def _vendor_s_picture(view: JobView, console: Console, page: ParsedPage) -> None:
    try:
        with st.container(border=True):
            st.image(console.blobs.get(page.picture_blob))
    except ConsoleError as error:
        st.caption(f"The page cannot be shown. {error.what}")
        return
    except OSError:  # what was stored begins like a picture, and is none
        st.caption("The page cannot be shown: its picture is damaged.")
        return
    made_by = "Page picture made by LlamaParse"
    st.caption(told_of(made_by, simulated=view.job.mode is Mode.MOCK))


@st.cache_data(ttl=600, max_entries=200, show_spinner=False)
def _render(_console: Console, sha256: str, size_bytes: int, number: int) -> bytes:
    with _console.blobs.content(sha256, size_bytes).as_file() as path:
        return _console.local.page_image(path, number)
