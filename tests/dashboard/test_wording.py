"""How states, numbers and text from outside are written."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.jobs import JobStatus
from dashboard.components.hostile import harmless
from dashboard.wording import STATE_SIGNS, ago, duration, money, plain, size


def test_every_state_has_a_word_an_icon_and_a_colour() -> None:
    """No state is shown by colour alone, and none is forgotten."""
    assert set(STATE_SIGNS) == set(JobStatus)
    assert all(sign.word and sign.icon and sign.mark for sign in STATE_SIGNS.values())


def test_numbers_read_well() -> None:
    """Money, sizes and durations are written as people say them."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [money(Decimal(x)) for x in ("3.405", "0", "0.0013")] == ["$3.41", "$0.00", "$0.0013"]
    assert [size(x) for x in (10, 2048, 1_900_000)] == ["10 B", "2 KB", "1.8 MB"]
    assert [duration(timedelta(seconds=s)) for s in (1.25, 130, 7260)] == [
        "1.2 s",
        "2 min 10 s",
        "2 h 1 min",
    ]
    assert [ago(now - timedelta(minutes=m), now) for m in (0, 12, 120)] == [
        "just now",
        "12 min ago",
        "2 h ago",
    ]
    assert plain("*a*") == "\\*a\\*"


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "![x](https://evil.example/track.png)",
        "![x][ref]\n\n[ref]: https://evil.example/a.png",
        "[click](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
    ],
)
def test_markdown_from_a_document_is_harmless(hostile: str) -> None:
    """Nothing in a document's markdown runs, or loads anything."""
    shown = harmless(hostile)
    assert "<" not in shown
    assert "![" not in shown
    assert "javascript:" not in shown
    assert "evil.example" not in shown
