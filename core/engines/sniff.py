"""What a file really is, by its content; the name only helps where content cannot tell."""

import mmap
import zipfile
from pathlib import Path, PurePath

__all__ = ["LOCKED_OFFICE", "PDF", "extension_of", "media_type_of", "named_type"]

PDF = "application/pdf"
LOCKED_OFFICE = "application/x-encrypted-office"
"""Ours: an office file that only its password opens. What is inside, its container does not tell."""
_OFFICE = "application/vnd.openxmlformats-officedocument."
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"{\\rtf", "application/rtf"),
)
# The container of Office 97 to 2003, and of newer files under a password; its streams have names in
# UTF-16, as the specifications MS-CFB and MS-OFFCRYPTO say.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = {
    "EncryptedPackage": LOCKED_OFFICE,
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
}
_EXTENSIONS = {
    ".pdf": PDF,
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tiff": "image/tiff",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".csv": "text/csv",
    ".html": "text/html",
    ".htm": "text/html",
    ".txt": "text/plain",
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".pptx": f"{_OFFICE}presentationml.presentation",
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".rtf": "application/rtf",
}
_ZIP_PARTS = {
    "word/": f"{_OFFICE}wordprocessingml.document",
    "xl/": f"{_OFFICE}spreadsheetml.sheet",
    "ppt/": f"{_OFFICE}presentationml.presentation",
}
_HEAD = 4096


def named_type(name: str) -> str:
    """The media type that the file's name claims, or empty."""
    return _EXTENSIONS.get(PurePath(name.lower()).suffix, "")


def extension_of(media_type: str) -> str:
    """The usual extension with its dot, or empty."""
    return next((ext for ext, known in _EXTENSIONS.items() if known == media_type), "")


def media_type_of(path: Path, name: str) -> str:
    """The media type of the content; ``application/octet-stream`` when it is nothing we know."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if b"%PDF-" in head[:1024]:
        return PDF
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head.startswith(_OLE):
        return _ole_type(path)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"PK\x03\x04"):
        return _zip_type(path)
    return _text_type(head, name)


def _ole_type(path: Path) -> str:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for name, media_type in _OLE_STREAMS.items():
            if data.find(name.encode("utf-16-le")) >= 0:
                return media_type
    return "application/x-ole-storage"


def _zip_type(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "mimetype" in names:
                return archive.read("mimetype")[:100].decode("ascii", "replace").strip()
    except (zipfile.BadZipFile, OSError, RuntimeError):
        return "application/zip"
    for prefix, media_type in _ZIP_PARTS.items():
        if any(name.startswith(prefix) for name in names):
            return media_type
    return "application/zip"


def _text_type(head: bytes, name: str) -> str:
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in head and not is_utf16:
        return "application/octet-stream"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    named = named_type(name)
    return named if named.startswith("text/") else "text/plain"
