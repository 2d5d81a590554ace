"""Page pictures of documents that nothing here can draw: a sheet that says so, with the page's text."""

import io
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

__all__ = ["HEIGHT", "WIDTH", "as_jpeg", "sheet"]

WIDTH, HEIGHT = 935, 1210  # a letter page at 110 dpi
_MARGIN, _LINE = 70, 25
_COLUMNS, _ROWS = 85, 44
_LARGEST_PIXELS = 40_000_000
_TITLE = "Simulated picture: this page's text, not its looks."


def sheet(document: Path, text: str) -> bytes:
    """A JPEG: of an image the image itself, of anything else a sheet of its text. Always marked."""
    page = _image(document) or Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(20)
    pen.rectangle((0, 0, page.width, 40), fill="#EDE7F6")
    pen.text((10, 10), _TITLE if page.size == (WIDTH, HEIGHT) else "Simulated", "#4527A0", font)
    if page.size == (WIDTH, HEIGHT):
        lines = [
            part for line in text.splitlines() for part in textwrap.wrap(line, _COLUMNS) or [""]
        ]
        for row, line in enumerate(lines[:_ROWS]):
            pen.text((_MARGIN, _MARGIN + row * _LINE), line, "#1B2430", font)
    return as_jpeg(page)


def as_jpeg(image: Image.Image) -> bytes:
    """The picture as the service gives it."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=85)
    return out.getvalue()


def _image(document: Path) -> Image.Image | None:
    try:
        with Image.open(document) as found:
            if found.width * found.height > _LARGEST_PIXELS:
                return None
            return found.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
