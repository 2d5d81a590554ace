"""Links: what is taken for one, what is not, and how much of it is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.links import (
    leads_here,
    leads_inside,
    link_name,
    linked_document,
    shown_link,
)
from core.errors import DocumentRefused

SIGNED = "https://files.example.com/a/annual%20report.pdf?X-Amz-Signature=5ec2e7#page=3"


def test_a_link_is_a_document_of_unknown_length() -> None:
    """It has a name, an identity of its own and no page count; where a page begins is no part of it."""
    document = linked_document(f"  {SIGNED} ")
    assert document.page_count is None
    assert document.source_url == SIGNED.partition("#")[0]
    assert document.sha256 == linked_document(SIGNED.partition("#")[0]).sha256
    assert link_name(document.source_url) == "annual report.pdf"


def test_what_opens_the_document_is_not_shown() -> None:
    """A signature in the query is a secret: neither the shown form nor a repr holds it."""
    document = linked_document(SIGNED)
    assert shown_link(document.source_url) == "https://files.example.com/a/annual%20report.pdf?…"
    assert "5ec2e7" not in repr(document)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "not a link"),
        ("lease.pdf", "not a link"),
        ("ftp://example.com/a.pdf", "not a link"),
        ("https:///a.pdf", "not a link"),
        ("https://example.com:port/a.pdf", "not a link"),
        ("https://[broken/a.pdf", "not a link"),
        ("https://example.com/a b.pdf", "characters"),
        ("https://example.com/\x00", "characters"),
        ("https://alice:secret@example.com/a.pdf", "password"),
        ("https://example.com/" + "a" * 2000, "longer"),
    ],
)
def test_what_is_no_link_says_why(address: str, words: str) -> None:
    """Each address that cannot be taken gets its reason and what to do, and repeats no password."""
    with pytest.raises(DocumentRefused, match=words) as caught:
        linked_document(address)
    assert caught.value.next_step
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    """Whatever is pasted is a link or a refusal, never another error."""
    for address in (text, f"https://{text}", f"http://{text}/a.pdf"):
        try:
            document = linked_document(address)
        except DocumentRefused:
            continue
        assert shown_link(document.source_url)
        assert link_name(document.source_url)


@pytest.mark.parametrize(
    ("url", "inside", "here"),
    [
        ("https://example.com/a.pdf", False, False),
        ("https://8.8.8.8/a.pdf", False, False),
        ("http://127.0.0.1:9000/a.pdf", True, True),
        ("http://localhost/a.pdf", True, True),
        ("https://localhost/a.pdf", True, False),
        ("http://[::1]/a.pdf", True, True),
        ("http://10.1.2.3/a.pdf", True, False),
        ("http://169.254.169.254/latest/meta-data", True, False),
        ("http://printer.local/a.pdf", True, False),
        ("http://intranet/a.pdf", True, False),
    ],
)
def test_where_a_link_leads(url: str, *, inside: bool, here: bool) -> None:
    """An address in a private network is known by its name alone, without asking anybody."""
    assert (leads_inside(url), leads_here(url)) == (inside, here)
