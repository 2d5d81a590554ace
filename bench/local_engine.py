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
    """One document at a time, and as many as the engine has workers, beside the two others."""
    with tempfile.TemporaryDirectory() as folder:
        files = _documents(Path(folder))
        other = MarkItDown()
        markitdown = _rate(files, lambda path: other.convert(str(path)))
        pypdf = _rate(files, _pypdf)
        for at_once in (1, 2):
            ours = _engine_rate(files, at_once)
            yield _figure(f"{at_once} at a time, beside markitdown", ours, markitdown, 10.0)
            yield _figure(f"{at_once} at a time, beside pypdf text extraction", ours, pypdf, 1.5)


def _figure(what: str, ours: float, theirs: float, goal: float) -> dict[str, object]:
    return {
        "figure": f"local engine, pages per second to markdown, {what}",
        "ours": round(ours, 1),
        "theirs": round(theirs, 1),
        "ratio": round(ours / theirs, 2),
        "goal": f"at least {goal}",
    }


def _engine_rate(files: list[Path], at_once: int) -> float:
    engine = LocalEngine(workers=at_once)

    async def read_all() -> float:
        places = asyncio.Semaphore(at_once)

        async def read(path: Path) -> None:
            async with places:
                await engine.read(path, path.name)

        await asyncio.gather(*(read(path) for path in files[:at_once]))
        began = time.perf_counter()
        await asyncio.gather(*(read(path) for path in files))
        return len(files) * _PAGES / (time.perf_counter() - began)

    try:
        return asyncio.run(read_all())
    finally:
        engine.close_workers()


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
