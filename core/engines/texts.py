"""Formats that are text already: markdown, plain text, CSV and HTML need no engine."""

import csv
import io
from pathlib import Path

from markdownify import markdownify

from core.domain.documents import EngineName, ParsedPage

__all__ = ["TEXT_TYPES", "read_text"]

TEXT_TYPES = frozenset({"text/markdown", "text/plain", "text/csv", "text/html"})
_ROWS_PER_PAGE = 200


def read_text(path: Path, media_type: str) -> tuple[ParsedPage, ...]:
    """The file as pages of markdown; a long table becomes several pages."""
    text = _decoded(path.read_bytes())
    match media_type:
        case "text/html":
            return (_page(1, _from_html(text)),)
        case "text/csv":
            return _from_csv(text)
        case _:
            return (_page(1, text.strip()),)


def _page(number: int, markdown: str) -> ParsedPage:
    return ParsedPage(number, markdown, markdown, EngineName.LOCAL)


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # what is not UTF-8 is most often what Windows wrote; statistics on short texts guess worse
        return data.decode("cp1252", "replace")


def _from_html(text: str) -> str:
    from bs4 import BeautifulSoup  # noqa: PLC0415 - slow to import, needed for HTML only

    soup = BeautifulSoup(text, "html.parser")
    for element in soup(["script", "style", "noscript", "template"]):
        element.decompose()
    markdown: str = markdownify(str(soup.body or soup), heading_style="ATX")
    lines = [line.rstrip() for line in markdown.splitlines()]
    return "\n".join(
        line for line, before in zip(lines, ["", *lines], strict=False) if line or before
    ).strip()


def _from_csv(text: str) -> tuple[ParsedPage, ...]:
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:8192], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = [row for row in csv.reader(io.StringIO(text), dialect) if row]
    if not rows:
        return ()
    head, body = rows[0], rows[1:]
    chunks = [body[i : i + _ROWS_PER_PAGE] for i in range(0, len(body), _ROWS_PER_PAGE)] or [[]]
    return tuple(_page(n, _table(head, chunk)) for n, chunk in enumerate(chunks, start=1))


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
