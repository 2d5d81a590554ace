"""Documents, what pre-flight learned about them, and what an engine made of them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

from core.errors import RefusalReason

__all__ = [
    "Document",
    "EngineName",
    "Figure",
    "PageClass",
    "PageProfile",
    "ParsedDocument",
    "ParsedPage",
    "Thresholds",
    "is_named_spreadsheet",
    "is_spreadsheet",
    "page_class",
    "page_ranges",
    "parse_page_ranges",
    "safe_name",
]

_NAME_LIMIT = 180
_GARBLED, _PICTURES = "garbled", "embedded-images"
_FIGURE, _COLUMNS = "dense-graphics", "multi-column"


class EngineName(str):
    """Who can turn a page into markdown: the two that every installation has, or one that was added.

    Equal names are one object. Raises ``ValueError`` for what is no name: lower-case letters, digits,
    ``_`` and ``-``, up to 32 characters.
    """

    __slots__ = ()
    LLAMAPARSE: ClassVar["EngineName"]
    LOCAL: ClassVar["EngineName"]

    def __new__(cls, name: str) -> "EngineName":  # noqa: PYI034 - there are no kinds of names
        """The one object of this name."""
        return _engine_name(str(name))


@cache
def _engine_name(name: str) -> EngineName:
    if re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name) is None:
        raise ValueError(f"{name!r} is no name of an engine")
    return str.__new__(EngineName, name)


EngineName.LLAMAPARSE = EngineName("llamaparse")
EngineName.LOCAL = EngineName("local")


class PageClass(StrEnum):
    """What is on a page, as far as it decides who should read it.

    Handwriting cannot be told from print without reading it; it comes as a picture, so as a scan.
    """

    PLAIN = "plain"
    TABLE = "table"
    FIGURE = "figure"
    SCAN = "scan"
    GARBLED = "garbled"


@dataclass(frozen=True, slots=True)
class PageProfile:
    """What pre-flight learned about one page (1-based ``number``) without parsing it.

    ``columns`` and ``figure_share`` (of the page's area, 0 to 1) are None where nobody measured them.
    """

    number: int
    text_chars: int
    needs_ocr: bool
    is_complex: bool
    reasons: tuple[str, ...] = ()
    columns: int | None = None
    figure_share: float | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a page is more than plain: the fewest characters, columns, share of figures."""

    min_text_chars: int = 1
    columns: int = 2
    figure_share: float = 0.15


def page_class(page: PageProfile, at: Thresholds) -> PageClass:
    """The class of a page. What needs OCR is never plain, whatever the thresholds say."""
    if _GARBLED in page.reasons:
        return PageClass.GARBLED
    if page.needs_ocr:
        return PageClass.FIGURE if _PICTURES in page.reasons else PageClass.SCAN
    if page.text_chars < at.min_text_chars:
        return PageClass.SCAN
    share = page.figure_share
    if share >= at.figure_share if share is not None else _FIGURE in page.reasons:
        return PageClass.FIGURE
    is_set = page.columns >= at.columns if page.columns is not None else _COLUMNS in page.reasons
    # whatever else the engine notices about a layout, one day perhaps more than tables
    return PageClass.TABLE if is_set or set(page.reasons) - {_FIGURE, _COLUMNS} else PageClass.PLAIN


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture within a page: its box is x, y, width and height in points, from the upper left."""

    name: str
    page: int
    box: tuple[int, int, int, int]


_WITHOUT_SCREENSHOTS = {"application/pdf", "text/plain", "text/markdown", "text/csv"}
_SHEETS = frozenset({"csv", "numbers", "ods", "tsv", "xls", "xlsb", "xlsm", "xlsx"})
_SHEET_TYPES = ("text/csv", "spreadsheetml.sheet", "opendocument.spreadsheet", "vnd.ms-excel")


def is_spreadsheet(media_type: str) -> bool:
    """Whether the pages of a file of this type are sheets."""
    return media_type.endswith(_SHEET_TYPES)


def is_named_spreadsheet(name: str) -> bool:
    """Whether a file of this name is a spreadsheet, whose pages are sheets."""
    return name.lower().rpartition(".")[2] in _SHEETS


@dataclass(frozen=True, slots=True)
class Document:
    """A file by its content: the bytes are in the blob store under ``sha256``.

    One that is known by its address alone has ``source_url``, no bytes here, and an ``sha256`` of
    its own that stands for the address.

    ``page_count`` is None when it cannot be known before parsing; ``refusal`` says why the file
    cannot be taken, with a sentence for the operator in ``problem`` and ``next_step``.
    """

    sha256: str
    size_bytes: int
    media_type: str
    page_count: int | None
    pages: tuple[PageProfile, ...] = ()
    refusal: RefusalReason | None = None
    problem: str = ""
    next_step: str = ""
    source_url: str = field(default="", repr=False)

    @property
    def is_parsable(self) -> bool:
        """Whether a job may be made of this document."""
        return self.refusal is None

    @property
    def needs_screenshots(self) -> bool:
        """Whether its pages have looks that cannot be drawn here: PDFs can, plain text has none."""
        return self.media_type not in _WITHOUT_SCREENSHOTS

    @property
    def has_sheets(self) -> bool:
        """Whether its pages are sheets, each of which costs something on top; of a link its name tells."""
        if self.source_url:
            return is_named_spreadsheet(urlsplit(self.source_url).path)
        return is_spreadsheet(self.media_type)

    @property
    def pages_needing_ocr(self) -> tuple[int, ...]:
        """Numbers of the pages whose text cannot be read without OCR."""
        return tuple(page.number for page in self.pages if page.needs_ocr)


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """One page of a result and who made it; ``error`` is set when the page failed.

    ``items`` are the page's parts as LlamaParse names them (headings, tables, ...), empty where the
    engine or the tier makes none.
    ``is_provisional`` marks a stand-in for a page that LlamaParse should have made. The quality
    receipt is ``found_share``, the share of its text layer's words that were found (None where there
    is no sound one), and ``doubts``, what speaks against the page in words. ``picture_blob`` is the
    vendor's screenshot of the page, where one was asked for and came.
    """

    number: int
    markdown: str
    text: str
    engine: EngineName
    tier: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()
    items: tuple[Mapping[str, Any], ...] = ()
    is_provisional: bool = False
    found_share: float | None = None
    doubts: tuple[str, ...] = ()
    picture_blob: str = ""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What an engine made of a document: pages in order, credits if it said so."""

    pages: tuple[ParsedPage, ...]
    credits: int | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def markdown(self) -> str:
        """The whole document as markdown, pages joined the way LlamaParse joins them."""
        return "\n\n---\n\n".join(page.markdown for page in self.pages)

    @property
    def failed_pages(self) -> tuple[int, ...]:
        """Numbers of the pages that have no result."""
        return tuple(page.number for page in self.pages if page.error)


def page_ranges(numbers: Iterable[int]) -> str:
    """Page numbers as LlamaParse's 1-based ``target_pages``: ``1,3,5-8``."""
    ordered = sorted(set(numbers))
    spans: list[list[int]] = []
    for number in ordered:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def parse_page_ranges(text: str) -> tuple[int, ...]:
    """The numbers that ``1,3,5-8`` names, in order.

    Raises ``ValueError`` for anything else, for pages below 1 and for duplicates.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,7})(?:\s*-\s*(\d{1,7}))?\s*", part)
        if match is None:
            msg = f"{part!r} is not a page or a range of pages"
            raise ValueError(msg)
        first, last = int(match[1]), int(match[2] or match[1])
        if first < 1 or last < first:
            msg = f"{part!r} is not a range of pages that counts from 1 upwards"
            raise ValueError(msg)
        numbers.extend(range(first, last + 1))
    if len(set(numbers)) != len(numbers):
        msg = f"{text!r} names a page twice"
        raise ValueError(msg)
    return tuple(sorted(numbers))


def safe_name(name: str) -> str:
    """A file name that can be shown and written anywhere.

    Keeps the last path component, drops control, format (right-to-left marks) and reserved
    characters, and shortens to 180 characters with the extension kept. Never empty.
    """
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    visible = "".join(
        c for c in base if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    )
    cleaned = re.sub(r'[<>:"|?*]', "_", visible).strip(" .")
    if not cleaned:
        return "document"
    if len(cleaned) <= _NAME_LIMIT:
        return cleaned
    stem, dot, extension = cleaned.rpartition(".")
    if not dot or len(extension) > 10:  # noqa: PLR2004 - no real extension is longer
        return cleaned[:_NAME_LIMIT]
    return f"{stem[: _NAME_LIMIT - len(extension) - 2]}….{extension}"
