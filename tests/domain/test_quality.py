"""The quality receipt: a good page is left in peace, a bad one is named with what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.documents import EngineName, ParsedDocument, ParsedPage
from core.domain.quality import found_share, with_receipt

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "the",
    "lazy",
    "dog",
    "and",
    "runs",
    "home",
    "again",
    "before",
    "it",
    "rains",
    "at",
    "all",
]
TEXT = " ".join(WORDS) + " twice over and once more for luck"


def _page(number: int, markdown: str, error: str = "") -> ParsedPage:
    return ParsedPage(number, markdown, markdown, EngineName.LLAMAPARSE, "agentic", error=error)


def _doubts(markdown: str, layer: str = "") -> tuple[str, ...]:
    found = with_receipt(ParsedDocument((_page(1, markdown),)), {1: layer} if layer else {})
    return found.pages[0].doubts


@given(st.lists(st.sampled_from(WORDS), min_size=8), st.data())
def test_the_share_is_that_of_the_words_that_were_found(
    words: list[str], data: st.DataObject
) -> None:
    """All words found is 1 in whatever order; each word lost lowers the share by its part."""
    shuffled = data.draw(st.permutations(words))
    assert found_share(_page(1, "# " + " ".join(shuffled)), " ".join(words)) == 1
    kept = shuffled[: len(words) // 2]
    share = found_share(_page(1, " ".join(kept)), " ".join(words))
    assert share == pytest.approx(len(kept) / len(words))


def test_a_layer_of_a_few_words_decides_nothing() -> None:
    """A page number alone is no text layer to measure with."""
    assert found_share(_page(1, "words"), "12") is None


@pytest.mark.parametrize(
    ("markdown", "layer", "words"),
    [
        (TEXT, TEXT, ""),
        (" ".join(WORDS[:5]), " ".join(WORDS), "missing"),
        ("  ", "", "empty"),
        (f"{TEXT} (cid:12)(cid:7)(cid:9)", "", "cannot be read"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |", "", "different lengths"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | x \\| y |", "", ""),
    ],
)
def test_what_is_wrong_stands_on_the_page(markdown: str, layer: str, words: str) -> None:
    """Each doubt is a sentence; a page without fault has none."""
    found = _doubts(markdown, layer)
    assert any(words in doubt for doubt in found) if words else found == ()


def test_a_page_that_repeats_another_is_named() -> None:
    """The same words twice are doubtful, the second time."""
    found = with_receipt(ParsedDocument((_page(1, TEXT), _page(2, "x"), _page(3, TEXT))), {})
    assert [page.doubts for page in found.pages] == [(), (), ("It repeats page 1.",)]


def test_a_failed_page_has_its_own_words() -> None:
    """What failed says so already; the receipt adds nothing."""
    found = with_receipt(ParsedDocument((_page(1, "", error="torn"),)), {})
    assert found.pages[0].doubts == ()
