"""Results on their way to and from the blob store, as JSON that stays readable for years."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from core.domain.documents import EngineName, ParsedDocument, ParsedPage

__all__ = ["FORMAT", "dump", "load", "merge"]

FORMAT = "parsedeck.result/1"


def dump(document: ParsedDocument) -> Iterator[bytes]:
    """The result as UTF-8 JSON, piece by piece: never more than a page of it at once."""
    yield b'{"format":%b,"pages":[' % _json(FORMAT)
    for number, page in enumerate(document.pages):
        yield (b"," if number else b"") + _json(asdict(page))
    yield b'],"credits":%b,"notes":%b}' % (_json(document.credits), _json(document.notes))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def load(data: bytes) -> ParsedDocument:
    """The result that ``dump`` wrote. Raises ``ValueError`` for anything else."""
    payload = json.loads(data)
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        msg = "this is not a result of Parsedeck"
        raise ValueError(msg)
    pages = tuple(
        ParsedPage(
            **{
                **page,
                "engine": EngineName(page["engine"]),
                "notes": tuple(page["notes"]),
                "items": tuple(page.get("items", ())),
                "doubts": tuple(page.get("doubts", ())),
            }
        )
        for page in payload["pages"]
    )
    return ParsedDocument(pages, payload["credits"], tuple(payload["notes"]))


def merge(parts: Iterable[ParsedDocument]) -> ParsedDocument:
    """Several results of one document as one, pages in order, credits summed where they are known.

    Where two have the same page, one that did not fail wins, then one that is no stand-in.
    """
    found = list(parts)
    best: dict[int, ParsedPage] = {}
    for page in (page for part in found for page in part.pages):
        if page.number not in best or _rank(page) < _rank(best[page.number]):
            best[page.number] = page
    known = [part.credits for part in found if part.credits is not None]
    return ParsedDocument(
        tuple(best[number] for number in sorted(best)),
        sum(known) if known else None,
        tuple(note for part in found for note in part.notes),
    )


def _rank(page: ParsedPage) -> tuple[bool, bool]:
    return bool(page.error), page.is_provisional
