"""Answers are read one page at a time, and that gives what reading them as a whole gives."""

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from core.domain.money import Tier
from core.engines.llamaparse.answers import parsed_document_of
from core.engines.llamaparse.reading import pages_apart, read_by_pages, read_job
from core.engines.llamaparse.wire import JobAnswer
from core.engines.protocol import ParseOrder
from core.pipeline.results import dump

_AS_A_WHOLE = TypeAdapter(JobAnswer)
_WORDS = st.text(alphabet='ab"\\{}[],:\né😀', max_size=8)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)
_PAGE = st.fixed_dictionaries(
    {"page_number": st.integers(0, 9)},
    optional={
        "markdown": _WORDS,
        "text": _WORDS,
        "items": st.lists(_ANY, max_size=3),
        "success": st.booleans(),
        "error": _WORDS,
        "new": _ANY,
    },
)
_SECTION = st.fixed_dictionaries({"pages": st.lists(_PAGE | _ANY, max_size=3)}) | _ANY
_ANSWERS = st.fixed_dictionaries(
    {"job": st.just({"id": "pjb-1", "status": "COMPLETED"})},
    optional={
        "markdown": _SECTION,
        "text": _SECTION,
        "items": _SECTION,
        "metadata": _SECTION,
        "markdown_full": _WORDS,
        "pages": _ANY,
        "new": _SECTION,
    },
)


def _read(read: Any, answer: bytes) -> JobAnswer | None:
    """None for what it refuses."""
    with suppress(ValidationError):
        job: JobAnswer = read(answer)
        return job
    return None


@given(answer=_ANSWERS, is_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
@example(answer={"job": {"id": "a"}, "markdown": {"pages": [[1]]}}, is_ascii=True, indent=None)
@example(answer={"job": {"id": "a"}, "text": {"pages": ["}", 1]}}, is_ascii=True, indent=None)
def test_page_by_page_gives_what_the_whole_gives(
    answer: dict[str, Any], *, is_ascii: bool, indent: int | None
) -> None:
    """Whatever the service answers is read, or refused, as if it were read at once."""
    body = json.dumps(answer, ensure_ascii=is_ascii, indent=indent).encode()
    assert _read(read_by_pages, body) == _read(_AS_A_WHOLE.validate_json, body)


@given(
    answer=_ANSWERS,
    cut=st.integers(0),
    put=st.sampled_from([b"", b"}", b"]", b"{", b'"', b"\\", b"1"]),
)
def test_a_broken_answer_is_refused_either_way(
    answer: dict[str, Any], cut: int, put: bytes
) -> None:
    """A byte that is missing or too many is never read over because the pages are looked at apart."""
    body = json.dumps(answer).encode()
    at = cut % len(body)
    broken = body[:at] + put + body[at + 1 :]
    assert _read(read_by_pages, broken) == _read(_AS_A_WHOLE.validate_json, broken)


@pytest.mark.parametrize("cut", range(1, 90, 7))
def test_an_answer_that_was_cut_is_refused(cut: int) -> None:
    """Half an answer is none."""
    body = (
        b'{"job": {"id": "a"}, "markdown": {"pages": [{"page_number": 1, "markdown": "# one {"}]}}'
    )
    assert _read(read_by_pages, body) is not None
    assert _read(read_by_pages, body[:-cut]) is None


def test_pages_are_taken_out_of_their_sections_only() -> None:
    """Each page lies where it is said to, and nothing else is taken out."""
    page, other = b'{"page_number": 1, "items": [{"md": "]}"}]}', b'{"pages": [{"page_number": 1}]}'
    body = b'{"job": {"id": "a"}, "metadata": %b, "items": {"pages": [%b , %b]}}' % (
        other,
        page,
        page,
    )
    rest, found = pages_apart(body)
    assert [body[place] for place in found["items"]] == [page, page]
    assert set(found) == {"items"}
    assert len(json.loads(rest)["items"]["pages"]) == 2
    assert json.loads(rest)["metadata"] == json.loads(other)


def test_pages_are_not_taken_apart_as_a_whole() -> None:
    """What is held of a large answer while it becomes a stored result is a small multiple of its size."""
    item = {"type": "text", "value": "word " * 30, "bbox": [{"x": 1.5, "y": 2.5, "w": 3, "h": 4}]}
    pages = [{"page_number": n, "success": True, "items": [item] * 12} for n in range(1, 1001)]
    texts = [{"page_number": n, "text": "word " * 300} for n in range(1, 1001)]
    sections = {"items": {"pages": pages}, "text": {"pages": texts}}
    body = json.dumps({"job": {"id": "pjb-1", "status": "COMPLETED"}, **sections}).encode()
    order = ParseOrder("att-1", "a.pdf", "application/pdf", None, Tier.AGENTIC)
    tracemalloc.start()
    try:
        document = parsed_document_of(read_job(body), order)
        assert document is not None
        stored = sum(len(piece) for piece in dump(document))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stored > 0.9 * len(body)
    assert peak < 4 * len(body)
