"""What a stored result is, and the sections of it that v2 gives (fact sheet 1.2)."""

import io
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import xlsxwriter

from core.domain.documents import Figure, ParsedDocument
from core.simulator.items import forms_of, items_of, tables_of
from core.simulator.records import Options, SimJob

__all__ = [
    "PAGE_HEIGHT",
    "PAGE_WIDTH",
    "SECTIONS",
    "StoredPage",
    "dump",
    "form_pages",
    "job_json",
    "joined",
    "load",
    "moment",
    "workbook",
]

PAGE_WIDTH, PAGE_HEIGHT = 612.0, 792.0  # a letter page in points; readers do not say
_SIZE = {"page_width": PAGE_WIDTH, "page_height": PAGE_HEIGHT}
_WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredPage:
    """One page of a stored result."""

    number: int
    markdown: str
    text: str
    error: str
    figures: tuple[Figure, ...] = ()


def dump(
    document: ParsedDocument,
    max_pages: int | None,
    broken: Collection[int] = (),
    figures: Sequence[Figure] = (),
) -> bytes:
    """The result as it is stored; at most so many pages, those whose place is in ``broken`` failed."""
    on_page: dict[int, list[list[object]]] = {}
    for figure in figures:
        on_page.setdefault(figure.page, []).append([figure.name, figure.box])
    pages = [
        {
            "number": page.number,
            "markdown": "" if place in broken else page.markdown,
            "text": page.text,
            "error": "fault: the page is broken" if place in broken else page.error,
            "figures": on_page.get(page.number, []),
        }
        for place, page in enumerate(document.pages[:max_pages])
    ]
    return json.dumps(pages, ensure_ascii=False).encode("utf-8", "replace")


def load(data: bytes) -> list[StoredPage]:
    """The pages that ``dump`` stored."""
    return [_stored(**page) for page in json.loads(data)]


def _stored(
    number: int,
    markdown: str,
    text: str,
    error: str,
    figures: Sequence[tuple[str, tuple[int, int, int, int]]] = (),
) -> StoredPage:
    found = tuple(Figure(name, number, (x, y, w, h)) for name, (x, y, w, h) in figures)
    return StoredPage(number, markdown, text, error, found)


def form_pages(pages: list[StoredPage]) -> int:
    """How many pages have a form on them."""
    return sum(1 for page in pages if forms_of(page.markdown))


def job_json(job: SimJob, project_id: str) -> dict[str, Any]:
    """The job object; ``usage`` is null unless it is asked for."""
    return {
        "id": job.id,
        "project_id": project_id,
        "status": job.status,
        "created_at": moment(job.created_at),
        "updated_at": moment(job.updated_at),
        "error_message": job.error_message,
        "name": job.name,
        "tier": job.tier or None,
        "usage": None,
        "user_metadata": job.user_metadata,
    }


def joined(parts: list[tuple[int, str]], separator: str, options: Options) -> str:
    """The whole document: pages joined as the service joins them, with what v1 puts around each."""
    between = separator if options.separator is None else options.separator
    around = [
        f"{_numbered(options.prefix, number)}{part}{_numbered(options.suffix, number)}"
        for number, part in parts
    ]
    return between.join(around)


def workbook(pages: list[StoredPage]) -> bytes:
    """An XLSX with one sheet per table; an empty one when there is no table."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False})
    # Written anew at each request: with the hour in it, its size could differ from the one its link told.
    book.set_properties({"created": _WRITTEN})
    sheets = [
        (f"page_{page.number}_table_{n}", rows)
        for page in pages
        for n, rows in enumerate(tables_of(page.markdown), 1)
    ]
    for name, rows in sheets or [("no_tables", [])]:
        sheet = book.add_worksheet(name[:31])
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    book.close()
    return out.getvalue()


def moment(seconds: float) -> str:
    """A moment as the service writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _numbered(text: str, number: int) -> str:
    return text.replace("{pageNumber}", str(number))


def _each(pages: list[StoredPage], made: Callable[[StoredPage], dict[str, Any]]) -> dict[str, Any]:
    """A section with ``made`` of each page that did not fail."""
    return {"pages": [{"page_number": page.number, **_or_failed(page, made)} for page in pages]}


def _or_failed(page: StoredPage, made: Callable[[StoredPage], dict[str, Any]]) -> dict[str, Any]:
    if page.error:
        return {"success": False, "error": page.error}
    return {**made(page), "success": True}


def _markdown(pages: list[StoredPage]) -> dict[str, Any]:
    return _each(pages, lambda page: {"markdown": page.markdown, "header": None, "footer": None})


def _text(pages: list[StoredPage]) -> dict[str, Any]:
    return {"pages": [{"page_number": page.number, "text": page.text} for page in pages]}


def _items(pages: list[StoredPage]) -> dict[str, Any]:
    return _each(pages, lambda page: {**_SIZE, "items": items_of(page.markdown)})


def _forms(pages: list[StoredPage]) -> dict[str, Any]:
    return _each(pages, lambda page: {**_SIZE, "forms": forms_of(page.markdown)})


def _metadata(pages: list[StoredPage]) -> dict[str, Any]:
    empty = {
        "confidence": None,
        "cost_optimized": False,
        "original_orientation_angle": 0,
        "printed_page_number": None,
        "slide_section_name": None,
        "speaker_notes": None,
        "triggered_auto_mode": False,
    }
    return {"pages": [{"page_number": page.number, **empty} for page in pages]}


SECTIONS: dict[str, Callable[[list[StoredPage]], dict[str, Any]]] = {
    "markdown": _markdown,
    "text": _text,
    "items": _items,
    "metadata": _metadata,
    "forms": _forms,
}
"""The sections that are given page by page."""
