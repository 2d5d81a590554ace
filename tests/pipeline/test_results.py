"""Results as they are stored: whole, readable as JSON, and never in memory twice."""

import json

from hypothesis import given
from hypothesis import strategies as st

from core.domain.documents import EngineName, ParsedDocument, ParsedPage
from core.pipeline.results import dump, load

_WORDS = st.text(max_size=20)
_ITEMS = st.lists(
    st.dictionaries(_WORDS, st.none() | st.integers() | _WORDS, max_size=3), max_size=3
)
_PAGES = st.builds(
    ParsedPage,
    number=st.integers(1, 9999),
    markdown=_WORDS,
    text=_WORDS,
    engine=st.sampled_from([EngineName.LLAMAPARSE, EngineName.LOCAL]),
    error=_WORDS,
    notes=st.lists(_WORDS, max_size=2).map(tuple),
    items=_ITEMS.map(tuple),
    is_provisional=st.booleans(),
    found_share=st.none() | st.floats(0, 1),
    doubts=st.lists(_WORDS, max_size=2).map(tuple),
)
_DOCUMENTS = st.builds(
    ParsedDocument,
    pages=st.lists(_PAGES, max_size=4).map(tuple),
    credits=st.none() | st.integers(0),
    notes=st.lists(_WORDS, max_size=2).map(tuple),
)


@given(document=_DOCUMENTS)
def test_a_result_comes_back_as_it_was(document: ParsedDocument) -> None:
    """Whatever an engine made is the same after it was stored, and is JSON for whoever reads it without us."""
    stored = b"".join(dump(document))
    assert load(stored) == document
    assert [page["number"] for page in json.loads(stored)["pages"]] == [
        page.number for page in document.pages
    ]


def test_a_result_is_written_a_page_at_a_time() -> None:
    """A thousand pages are as many pieces, none larger than its page: what is written is not held as a whole."""
    pages = tuple(
        ParsedPage(number, "words " * 100, "", EngineName.LLAMAPARSE) for number in range(1, 1001)
    )
    sizes = [len(piece) for piece in dump(ParsedDocument(pages))]
    assert len(sizes) == len(pages) + 2
    assert max(sizes) < 1000
