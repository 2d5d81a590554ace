"""What pre-flight takes a page for decides who reads it: pages of known kinds are told apart."""

from collections import defaultdict
from pathlib import Path

from bench.documents import inbox
from core.domain.documents import PageClass, Thresholds, page_class
from core.engines.local import LocalEngine

EXPECTED = {
    "plain": {PageClass.PLAIN},
    "ruled table": {PageClass.TABLE},
    "table without lines": {PageClass.TABLE},
    "table in text": {PageClass.TABLE},
    "columns": {PageClass.TABLE},
    "figure": {PageClass.FIGURE},
    "scan": {PageClass.SCAN},
}


def test_pages_of_every_kind_are_told_apart(tmp_path: Path) -> None:
    """Tables with and without lines, columns, charts and scans are never taken for plain text, nor the reverse."""
    local, found = LocalEngine(workers=1), defaultdict[str, set[PageClass]](set)
    try:
        for number, made in enumerate(inbox()):
            path = tmp_path / f"{number}.pdf"
            path.write_bytes(made.data)
            document = local.inspect(path, made.name, str(number), len(made.data))
            for page, kind in zip(document.pages, made.kinds, strict=True):
                found[kind].add(page_class(page, Thresholds()))
    finally:
        local.close_workers()
    assert found == EXPECTED
