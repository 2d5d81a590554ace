"""Reading an answer with pages: large ones page by page, so that they are never taken apart as a whole."""

import re
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from core.engines.llamaparse.wire import JobAnswer, PageAnswer, Section

__all__ = ["pages_apart", "read_by_pages", "read_job"]

_JOB = TypeAdapter(JobAnswer)
_PAGE = TypeAdapter(PageAnswer)
# up to the next bracket outside of strings, with the last string before it, which may be its key
_TO_BRACKET = re.compile(rb'(?:[^]["{}]++|"([^"\\]*+(?:\\.[^"\\]*+)*+)")*+([][{}])', re.DOTALL)
# which brackets are open: of the answer, of a section, of the list of its pages
_ANSWER, _SECTION, _PAGES = b"{", b"{{", b"{{["
_SECTIONS = {b"markdown": "markdown", b"text": "text", b"items": "items"}
_PLACE = b'{"page_number":0}'
# below, looking for pages costs more time than it saves memory
_LARGE_BYTES = 1024 * 1024


def read_job(answer: bytes) -> JobAnswer:
    """The answer about a job. Raises pydantic's ``ValidationError`` for anything else."""
    return read_by_pages(answer) if len(answer) > _LARGE_BYTES else _JOB.validate_json(answer)


def read_by_pages(answer: bytes) -> JobAnswer:
    """The same as reading it at once, with one page in memory twice instead of all."""
    rest, places = pages_apart(answer)
    job = _JOB.validate_json(rest)
    sections = {
        name: Section(pages=[_PAGE.validate_json(answer[place]) for place in found])
        for name, found in places.items()
    }
    return job.model_copy(update=sections)


def pages_apart(answer: bytes) -> tuple[bytes, Mapping[str, Sequence[slice]]]:
    """The answer with an empty page in place of each, and by section where in the answer its pages are.

    Both together hold every byte, so whoever reads both as JSON has checked them all. What is not built
    as documented stays where it is.
    """
    found: dict[str, list[slice]] = {}
    pages: list[slice] | None = None
    rest, kept_until, page_from = bytearray(), 0, 0
    inside, section = b"", b""
    for token in _TO_BRACKET.finditer(answer):
        name, bracket = token.groups()
        if bracket in b"{[":
            if inside == _ANSWER:
                section = name
            elif inside == _SECTION and bracket == b"[" and name == b"pages":
                pages = [] if section in _SECTIONS else None
                if pages is not None:
                    # of two with one name the last counts, as in any JSON
                    found[_SECTIONS[section]] = pages
            elif inside == _PAGES:
                page_from = token.start(2)
            inside += bracket
        else:
            inside = inside[:-1]
            if inside == _PAGES and pages is not None:
                pages.append(slice(page_from, token.end()))
                rest += answer[kept_until:page_from] + _PLACE
                kept_until = token.end()
            elif inside == _SECTION:
                pages = None
    rest += answer[kept_until:]
    return bytes(rest), found
