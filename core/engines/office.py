"""How many pages an office file or a picture has, from what it says of itself; nothing is opened."""

import re
import zipfile
from pathlib import Path

from PIL import Image

__all__ = ["declared_pages"]

_SHEET = re.compile(r"xl/worksheets/sheet\d+\.xml")
_SLIDE = re.compile(r"ppt/slides/slide\d+\.xml")
_COUNTED = {
    # where the program that wrote the file left what it counted: Office, OpenDocument
    "docProps/app.xml": re.compile(rb"<(?:\w+:)?Pages>(\d{1,6})</"),
    "meta.xml": re.compile(rb"""page-count=["'](\d{1,6})["']"""),
}
_LIMIT = 1_000_000


def declared_pages(path: Path, media_type: str) -> int | None:
    """Sheets, slides or pages; the pictures in a TIFF, else 1 for a picture; None when the file does not say."""
    if media_type.startswith("image/"):
        return _pictures(path) if media_type == "image/tiff" else 1
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for pattern in (_SHEET, _SLIDE):
                count = sum(bool(pattern.fullmatch(name)) for name in names)
                if count:
                    return count
            where = next((name for name in _COUNTED if name in names), None)
            if where is None:
                return None
            with archive.open(where) as facts:
                match = _COUNTED[where].search(facts.read(_LIMIT))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return None
    return int(match[1]) or None if match else None


def _pictures(path: Path) -> int | None:
    try:
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
