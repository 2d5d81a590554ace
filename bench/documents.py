"""A made inbox: pages of known kinds, drawn as real documents draw them, in the shares of real documents.

Of 283 pages of real documents that were looked at, 52 % were plain, 28 % had tables, columns or dense
graphics, and 20 % needed OCR. These are the shares here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sin

from core.samples import pdf_of_drawings, pdf_of_images, scan_of, written

__all__ = ["Made", "inbox"]

_PROSE = (
    "The tenant pays the rent on the first day of each month in advance, as agreed in part {n}."
)
_SHORT = "The tenant pays the rent of month {n}."


@dataclass(frozen=True, slots=True)
class Made:
    """A document and what was put on each of its pages."""

    name: str
    data: bytes
    kinds: tuple[str, ...]


def inbox() -> tuple[Made, ...]:
    """Fifty documents of two pages: 52 plain, 16 with tables, 6 of columns, 6 figures, 20 scans."""
    plan = [("plain", _plain, 26), ("ruled table", _ruled, 4), ("table without lines", _aligned, 2)]
    plan += [("table in text", _table_in_text, 2), ("columns", _columns, 3), ("figure", _figure, 3)]
    made = [
        Made(f"{kind}-{n}.pdf", pdf_of_drawings([draw(2 * n), draw(2 * n + 1)]), (kind,) * 2)
        for kind, draw, count in plan
        for n in range(count)
    ]
    scans = [
        Made(f"scan-{n}.pdf", pdf_of_images([scan_of(_letter(n))] * 2), ("scan",) * 2)
        for n in range(10)
    ]
    return (*made, *scans)


def _letter(n: int) -> str:
    return "\n".join(_SHORT.format(n=n + line) for line in range(20))


def _page(title: str, *parts: str) -> str:
    return "\n".join([written(60, 740, title, 16), *parts])


def _lines(top: int, count: int, first: int) -> str:
    lines = [written(60, top - 14 * n, _PROSE.format(n=first + n)) for n in range(count)]
    return "\n".join(lines)


def _cells(top: int, rows: int, each: Callable[[int, int], str], step: int = 15) -> str:
    found = [
        written(63 + 98 * column, top - step * row, each(row, column), 10)
        for row in range(rows)
        for column in range(5)
    ]
    return "\n".join(found)


def _cell(row: int, column: int) -> str:
    return (
        f"item {row} of the list"
        if column == 0
        else f"{(row + 1) * (column + 3) * 7}.{column}0 USD"
    )


def _grid(top: int, rows: int) -> str:
    across = [f"60 {top - 15 * n} m 550 {top - 15 * n} l S" for n in range(rows + 1)]
    down = [f"{60 + 98 * n} {top} m {60 + 98 * n} {top - 15 * rows} l S" for n in range(6)]
    return "\n".join(["0.7 w", *across, *down])


def _plain(n: int) -> str:
    return _page(f"Lease, sheet {n}", _lines(710, 44, n))


def _ruled(n: int) -> str:
    rows = 36 + n % 5
    return _page(f"Prices, sheet {n}", _grid(725, rows), _cells(714, rows, _cell))


def _aligned(n: int) -> str:
    return _page(f"Balances, sheet {n}", _cells(714, 40 + n, _cell))


def _table_in_text(n: int) -> str:
    rows = 4 + n
    return _page(f"Report {n}", _lines(710, 30, n), _grid(280, rows), _cells(269, rows, _cell))


def _columns(n: int) -> str:
    text = [
        written(x, 710 - 13 * row, _SHORT.format(n=row)) for row in range(48) for x in (60, 320)
    ]
    return _page(f"Newsletter {n}", *text)


def _figure(n: int) -> str:
    """Prose, and below it a chart of many lines with an axis."""
    curves = [
        f"{80 + 4 * x} {180 + 60 * sin((x + curve) / (5 + n)):.1f} m "
        f"{84 + 4 * x} {180 + 60 * sin((x + 1 + curve) / (5 + n)):.1f} l S"
        for curve in range(0, 24, 3)
        for x in range(110)
    ]
    axes = "1 w 80 90 m 80 280 l S 80 90 m 530 90 l S"
    return _page(f"Results {n}", _lines(710, 28, n), axes, *curves)
