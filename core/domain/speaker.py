"""Who said it: what the simulator did is never told of LlamaParse."""

import re

__all__ = ["told_of"]

_NAMES = (
    (re.compile(r"\b([Tt])he LlamaParse (?=\w)"), r"\1he simulator's "),
    (re.compile(r"\bLlamaParse\b"), "the simulator"),
    (re.compile(r"(^|[.!?] )the simulator"), r"\1The simulator"),
)


def told_of(sentence: str, *, simulated: bool) -> str:
    """A sentence about LlamaParse, told of the simulator when that was the one that answered."""
    for name, instead in _NAMES if simulated else ():
        sentence = name.sub(instead, sentence)
    return sentence
