"""The structured view of a page: headings, texts, tables, lists, code, images and links of its markdown.

The service finds them on the page itself; here they follow from the markdown, without boxes.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

__all__ = ["forms_of", "items_of", "parsed_items", "tables_of"]

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
# a fence goes on past empty lines, and what a link refers to may stand anywhere
_REACHES_FAR = re.compile(r"```|~~~|\]:")
_PARAGRAPH = re.compile(r"[^\n].*?(?=\n[ \t]*\n|\n*\Z)", re.DOTALL)
# no marker at the start of a line, no white space at its end, nothing that markdown gives a meaning
_LINE = r"(?!\d+[.)](?:\s|$))[^\W_](?:[^*_`\[<\\&\n\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]*[^\s*_`\[<\\&\x00-\x1f\x7f-\x9f])?"
_PROSE = re.compile(rf"{_LINE}(?:\n{_LINE})*", re.MULTILINE)
_BOXES = {"[ ]": False, "[x]": True, "[X]": True}

Item = dict[str, Any]


def items_of(markdown: str) -> list[Item]:
    """The items of a page in order, in the shapes of fact sheet 1.2."""
    return [item for part in _parts(markdown) for item in part]


def parsed_items(markdown: str) -> list[Item]:
    """The same, all of it through the parser."""
    # only these end a line for the parser
    lines = re.split(r"\r\n|\r|\n", markdown)
    tree = SyntaxTreeNode(_MARKDOWN.parse(markdown))
    return [item for node in tree.children for item in _items(node, lines)]


def _parts(markdown: str) -> Iterator[list[Item]]:
    """The items of runs of paragraphs; plain prose, most of most pages, is its own item.

    The parser looks at each line of a paragraph in many ways, which was nearly all that a result cost.
    """
    if _REACHES_FAR.search(markdown):
        yield parsed_items(markdown)
        return
    spans = [match.span() for match in _PARAGRAPH.finditer(markdown)]
    for is_prose, run in groupby(spans, lambda span: bool(_PROSE.fullmatch(markdown, *span))):
        found = list(run)
        if is_prose:
            texts = (markdown[start:end] for start, end in found)
            yield [{"type": "text", "value": text, "md": text} for text in texts]
        else:
            yield parsed_items(markdown[found[0][0] : found[-1][1]])


def tables_of(markdown: str) -> list[list[list[str]]]:
    """The rows of each table of a page."""
    return [item["rows"] for item in items_of(markdown) if item["type"] == "table"]


def forms_of(markdown: str) -> list[dict[str, Any]]:
    """The forms of a page: each list of boxes to tick is one."""
    found = []
    for item in items_of(markdown):
        fields = [] if item["type"] != "list" else [_box(entry) for entry in item["items"]]
        ticked = [field for field in fields if field is not None]
        if ticked:
            found.append({"json": ticked, "list": _form_list(item)})
    return found


def _items(node: SyntaxTreeNode, lines: Sequence[str]) -> Iterator[Item]:
    md = _source(node, lines)
    match node.type:
        case "heading":
            yield {"type": "heading", "level": int(node.tag[1:]), "value": _plain(node), "md": md}
        case "table":
            yield _table(node, md)
        case "bullet_list" | "ordered_list":
            yield _list(node, lines)
        case "fence" | "code_block":
            language = node.info.strip().split(" ")[0] if node.type == "fence" else ""
            code = {"type": "code", "value": node.content.rstrip("\n"), "md": md}
            yield {**code, "language": language or None}
        case "paragraph":
            yield from _paragraph(node, md)
        case "hr":
            return
        case _:
            yield {"type": "text", "value": _plain(node), "md": md}


def _paragraph(node: SyntaxTreeNode, md: str) -> Iterator[Item]:
    """A text and the links in it; an image or a link that stands alone is no text."""
    parts = list(node.walk())
    images = [part for part in parts if part.type == "image"]
    links = [part for part in parts if part.type == "link"]
    linked = "".join(_plain(part) for part in (*images, *links)).strip()
    if _plain(node).strip() != linked or not (images or links):
        yield {"type": "text", "value": _plain(node), "md": md}
    for image in images:
        url = str(image.attrs.get("src", ""))
        caption = image.content
        yield {"type": "image", "url": url, "caption": caption, "md": f"![{caption}]({url})"}
    for link in links:
        url, text = str(link.attrs.get("href", "")), _plain(link)
        yield {"type": "link", "url": url, "text": text, "md": f"[{text}]({url})"}


def _list(node: SyntaxTreeNode, lines: Sequence[str]) -> Item:
    entries: list[Item] = []
    for entry in node.children:
        for part in entry.children:
            if part.type in {"bullet_list", "ordered_list"}:
                entries.append(_list(part, lines))
            else:
                entries.append(
                    {"type": "text", "value": _plain(part), "md": _source(part, lines).lstrip()}
                )
    is_ordered = node.type == "ordered_list"
    return {"type": "list", "items": entries, "ordered": is_ordered, "md": _source(node, lines)}


def _table(node: SyntaxTreeNode, md: str) -> Item:
    rows = [[_plain(cell) for cell in row.children] for row in node.walk() if row.type == "tr"]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    html = _MARKDOWN.renderer.render(node.to_tokens(), _MARKDOWN.options, {}).strip()
    return {"type": "table", "rows": rows, "csv": out.getvalue(), "html": html, "md": md}


def _plain(node: SyntaxTreeNode) -> str:
    return "".join(_texts(node.to_tokens()))


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in {"softbreak", "hardbreak"}:
            yield "\n"
        elif token.children:
            yield from _texts(token.children)
        elif token.type in {"text", "code_inline", "code_block", "fence"}:
            yield token.content


def _source(node: SyntaxTreeNode, lines: Sequence[str]) -> str:
    if node.map is None:
        return _plain(node)
    first, end = node.map
    return "\n".join(lines[first:end]).rstrip()


def _box(entry: Item) -> dict[str, Any] | None:
    if entry["type"] != "text" or entry["value"][:3] not in _BOXES:
        return None
    label = entry["value"][3:].strip()
    is_ticked = _BOXES[entry["value"][:3]]
    return {"type": "field", "field": "checkbox", "label": label, "value": is_ticked}


def _form_list(item: Item) -> dict[str, Any]:
    """The list again, as plain nested texts."""
    items = [
        _form_list(entry)
        if entry["type"] == "list"
        else {"type": "text", "value": entry["value"], "md": entry["md"]}
        for entry in item["items"]
    ]
    return {"type": "list", "items": items, "ordered": item["ordered"], "md": item["md"]}
