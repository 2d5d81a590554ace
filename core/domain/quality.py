"""The quality receipt: what can be doubted about a result, page by page, without knowing the truth."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.domain.documents import ParsedDocument, ParsedPage

__all__ = ["doubts_of", "found_share", "with_receipt"]

_ENOUGH_WORDS = 8
_SOUND_SHARE = 0.8
_REPEATED_WORDS = 20
_GARBLED_SHARE = 0.02
_WORD = re.compile(r"\w+")
_GARBLED = re.compile(r"\(cid:\d+\)|�")
_RULE = re.compile(r"\|?\s*:?-{3,}.*")


def found_share(page: ParsedPage, layer: str) -> float | None:
    """The share of a text layer's words that an engine found, 0 to 1; None where there are too few."""
    wanted = Counter(_words(layer))
    if wanted.total() < _ENOUGH_WORDS:
        return None
    made = Counter(_words(page.markdown or page.text))
    return (wanted & made).total() / wanted.total()


def doubts_of(
    page: ParsedPage, share: float | None, before: Mapping[tuple[str, ...], int]
) -> tuple[str, ...]:
    """What speaks against a page, in words; ``before`` are the words of earlier pages and their numbers."""
    if page.error:
        return ()
    text = page.markdown or page.text
    words = tuple(_words(text))
    if not words:
        return ("The page is empty.",)
    found = []
    if share is not None and share < _SOUND_SHARE:
        found.append(f"{1 - share:.0%} of the words of its text layer are missing.")
    if len(words) >= _REPEATED_WORDS and words in before:
        found.append(f"It repeats page {before[words]}.")
    garbled = _garbled_share(text)
    if garbled >= _GARBLED_SHARE:
        found.append(f"{garbled:.0%} of its characters cannot be read.")
    if _has_torn_table(text):
        found.append("A table has rows of different lengths.")
    return tuple(found)


def with_receipt(document: ParsedDocument, layers: Mapping[int, str]) -> ParsedDocument:
    """The result with its receipt on every page; ``layers`` is the text layer where there is a sound one."""
    pages, before = [], dict[tuple[str, ...], int]()
    for page in document.pages:
        share = found_share(page, layers.get(page.number, ""))
        pages.append(replace(page, found_share=share, doubts=doubts_of(page, share, before)))
        before.setdefault(tuple(_words(page.markdown or page.text)), page.number)
    return replace(document, pages=tuple(pages))


def _words(text: str) -> Sequence[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def _garbled_share(text: str) -> float:
    unreadable = sum(len(match) for match in _GARBLED.findall(text))
    unreadable += sum(unicodedata.category(c) in {"Co", "Cn", "Cs"} for c in text)
    return unreadable / len(text)


def _has_torn_table(text: str) -> bool:
    """Whether a pipe table has a row with another number of cells than its head."""
    head = 0
    lines = [line.strip() for line in text.splitlines()]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("|"):
            head = 0
        elif head == 0:
            head = _cells(line) if _RULE.fullmatch(following) else 0
        elif _cells(line) != head:
            return True
    return False


def _cells(row: str) -> int:
    return len(re.split(r"(?<!\\)\|", row.strip().strip("|")))
