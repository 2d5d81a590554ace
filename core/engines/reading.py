"""What a reader process does: LiteParse reads one file after the other, and only what is used goes back."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import liteparse
from PIL import Image, ImageSequence

from core.domain.documents import Figure, page_ranges

__all__ = ["Purpose", "ReadPage", "figure", "figures", "pages", "picture", "serve"]


_DPI = 150.0
"""What a scan is taken for that does not say how fine it is, or says a number that no scanner has."""
_COARSE_DPI = 50.0


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a file is read for: ``output`` is ``text`` or ``markdown``; OCR is on where there is data for it."""

    output: str
    tessdata: str | None = None


@dataclass(frozen=True, slots=True)
class ReadPage:
    """One page (1-based ``page_num``) as LiteParse read it."""

    page_num: int
    markdown: str
    text: str
    complexity: liteparse.PageComplexityStats | None


def serve(handle: int) -> None:
    """Answer ``(function, arguments)`` with ``(answer, problem)`` until the other side is gone."""
    # whatever a library prints must not be mistaken for an answer
    sys.stdout = sys.stderr
    with Connection(handle) as connection:
        while True:
            try:
                work, arguments = connection.recv()
            except EOFError:
                return
            connection.send(_answer(work, arguments))


def _answer(work: Callable[..., object], arguments: tuple[object, ...]) -> tuple[object, str]:
    try:
        return work(*arguments), ""
    except Exception as error:  # the process goes on with the next file, whatever this one was
        return None, f"{type(error).__name__}: {error}"


def pages(path: str, purpose: Purpose) -> list[ReadPage]:
    """All pages of the file; its name must end as its type wants."""
    found = _parser(purpose).parse(_with_all_pages(path))
    return [ReadPage(p.page_num, p.markdown or "", p.text, p.complexity) for p in found.pages]


def _with_all_pages(path: str) -> str:
    """The file itself; a TIFF as a PDF beside it, because LiteParse reads only the first of its pages."""
    if not path.endswith((".tif", ".tiff")):
        return path
    target = Path(path).with_suffix(".pdf")
    with Image.open(path) as image:
        said = float(image.info.get("dpi", (0.0, 0.0))[0])
        resolution = said if said >= _COARSE_DPI else _DPI
        first, *more = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
        first.save(target, save_all=True, append_images=more, resolution=resolution)
    return str(target)


def picture(path: str, number: int, dpi: int) -> bytes | None:
    """A page of a PDF as PNG; None when there is no such page."""
    parser = liteparse.LiteParse(
        ocr_enabled=False, extract_screenshots=True, target_pages=str(number), dpi=dpi, quiet=True
    )
    found = parser.parse(path)
    return bytes(found.screenshots[0].image_bytes) if found.screenshots else None


def figures(path: str, numbers: Sequence[int]) -> list[Figure]:
    """The pictures within these pages of a PDF, in order; a scan that fills its page is none."""
    return [_as_figure(image) for image in _images(path, page_ranges(numbers))]


def figure(path: str, wanted: Figure) -> bytes | None:
    """One of them as JPEG or PNG; None when there is no such picture."""
    for image in _images(path, str(wanted.page)):
        if _as_figure(image) == wanted:
            return bytes(image.bytes)
    return None


def _images(path: str, target_pages: str) -> list[liteparse.ExtractedImage]:
    parser = liteparse.LiteParse(
        ocr_enabled=False,
        image_mode="off",
        extract_images=True,
        target_pages=target_pages,
        quiet=True,
        num_workers=1,
    )
    found: list[liteparse.ExtractedImage] = parser.parse(path).images
    return found


def _as_figure(image: liteparse.ExtractedImage) -> Figure:
    box = image.bbox
    # the service counts pages from 0 in these names
    name = re.sub(r"(?<=p)\d+", lambda page: str(int(page[0]) - 1), image.name, count=1)
    sides = (box.x, box.y, box.width, box.height)
    x, y, width, height = (round(side) for side in sides)
    return Figure(name, image.page, (x, y, width, height))


@cache
def _parser(purpose: Purpose) -> liteparse.LiteParse:
    return liteparse.LiteParse(
        output_format=purpose.output,
        image_mode="off",
        include_complexity=True,
        continue_on_page_error=True,
        # left to itself LiteParse takes repeated headings for running heads and drops them
        keep_headers_footers=True,
        ocr_enabled=purpose.tessdata is not None,
        tessdata_path=purpose.tessdata,
        ocr_failure_fatal=False,
        quiet=True,
        num_workers=1,
    )
