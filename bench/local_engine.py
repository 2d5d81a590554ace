"""Pages per second to markdown: our local engine beside markitdown and pypdf on the same files."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from markitdown import MarkItDown
from pypdf import PdfReader

from core.engines.local import LocalEngine
from core.samples import pdf_of_text

__all__ = ["run"]

_PAGES, _FILES = 50, 4
_SENTENCE = "The quick brown fox number {n} jumps over the lazy dog and counts its steps again.\n"


def run() -> Iterator[dict[str, object]]:
    """The two ratios with their goals."""
    with tempfile.TemporaryDirectory() as folder:
        files = _documents(Path(folder))
        engine = LocalEngine()
        try:
            asyncio.run(engine.read(files[0], "warm-up.pdf"))
            ours = _rate(files, lambda path: asyncio.run(engine.read(path, path.name)))
        finally:
            engine.close_workers()
        other = MarkItDown()
        others = {
            "markitdown": (_rate(files, lambda path: other.convert(str(path))), 10.0),
            "pypdf text": (_rate(files, _pypdf), 1.5),
        }
    for name, (theirs, goal) in others.items():
        yield {
            "figure": f"local engine, pages per second to markdown, beside {name}",
            "ours": round(ours, 1),
            "theirs": round(theirs, 1),
            "ratio": round(ours / theirs, 2),
            "goal": f"at least {goal}",
        }


def _documents(folder: Path) -> list[Path]:
    page = "A heading\n" + "".join(_SENTENCE.format(n=n) for n in range(36))
    paths = [folder / f"text-{number}.pdf" for number in range(_FILES)]
    for path in paths:
        path.write_bytes(pdf_of_text([page] * _PAGES))
    return paths


def _pypdf(path: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def _rate(files: list[Path], read: Callable[[Path], object]) -> float:
    began = time.perf_counter()
    for path in files:
        read(path)
    return len(files) * _PAGES / (time.perf_counter() - began)
