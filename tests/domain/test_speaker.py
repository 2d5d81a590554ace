"""Sentences about LlamaParse, told of the simulator where that is what answered."""

import pytest

from core.domain.speaker import told_of


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("LlamaParse refused the key (401).", "The simulator refused the key (401)."),
        ("The LlamaParse plan has no credits.", "The simulator's plan has no credits."),
        ("Waits in LlamaParse's queue.", "Waits in the simulator's queue."),
        ("No. LlamaParse said: X.", "No. The simulator said: X."),
        ("Check LLAMAPARSE_API_KEY.", "Check LLAMAPARSE_API_KEY."),
        ("", ""),
    ],
)
def test_the_simulator_speaks_for_itself(sentence: str, told: str) -> None:
    """What the simulator did never carries LlamaParse's name; what LlamaParse did keeps it."""
    assert told_of(sentence, simulated=True) == told
    assert told_of(sentence, simulated=False) == sentence
