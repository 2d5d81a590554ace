"""The tables in a page's markdown, as tables."""

from itertools import pairwise

import pandas as pd
from markdown_it import MarkdownIt

__all__ = ["tables_of"]

_PARSER = MarkdownIt("commonmark").enable("table")


def tables_of(markdown: str) -> list[pd.DataFrame]:
    """Every pipe table, in order; cells are text, columns named by the head row."""
    found: list[pd.DataFrame] = []
    rows: list[list[str]] = []
    for before, token in pairwise(_PARSER.parse(markdown)):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and before.type in {"th_open", "td_open"}:
            rows[-1].append(token.content)
        elif token.type == "table_close":
            found.append(pd.DataFrame(rows[1:], columns=_distinct(rows[0])))
    return found


def _distinct(names: list[str]) -> list[str]:
    """A table's head may repeat a name or leave it out; columns need one each."""
    taken: dict[str, int] = {}
    distinct = []
    for position, name in enumerate(names, start=1):
        shown = name or f"column {position}"
        taken[shown] = taken.get(shown, 0) + 1
        distinct.append(shown if taken[shown] == 1 else f"{shown} ({taken[shown]})")
    return distinct
