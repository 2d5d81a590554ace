"""How many pages an office file or a picture has, from what it says of itself; nothing is opened."""

import re
import zipfile
from pathlib import Path

__all__ = ["declared_pages"]

_SHEET = re.compile(r"xl/worksheets/sheet\d+\.xml")
_SLIDE = re.compile(r"ppt/slides/slide\d+\.xml")
_PAGES = re.compile(rb"<(?:\w+:)?Pages>(\d{1,6})</")
_LIMIT = 1_000_000


def declared_pages(path: Path, media_type: str) -> int | None:
    """Sheets, slides or pages; 1 for a picture; None when the file does not say."""
    if media_type.startswith("image/"):
        return 1
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            for pattern in (_SHEET, _SLIDE):
                count = sum(bool(pattern.fullmatch(name)) for name in names)
                if count:
                    return count
            if "docProps/app.xml" not in names:
                return None
            with archive.open("docProps/app.xml") as facts:
                match = _PAGES.search(facts.read(_LIMIT))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return None
    return int(match[1]) or None if match else None
