"""Office files as their programs write them, in a few bytes."""

import io
import zipfile

__all__ = ["docx", "ole"]

_APP = "http://schemas.openxmlformats.org/officeDocument/2006/extended-properties"


def docx(text: str, pages: int | None = None) -> bytes:
    """A text document; ``pages`` is what its program left as its page count, None when it left none."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", f"<document><p>{text}</p></document>")
        if pages is not None:
            facts = f'<Properties xmlns="{_APP}"><Pages>{pages}</Pages></Properties>'
            archive.writestr("docProps/app.xml", facts)
    return out.getvalue()


def ole(stream: str) -> bytes:
    """A file in the container of Office 97 to 2003, as far as its kind can be told: a header and a directory."""
    entry = stream.encode("utf-16-le").ljust(128, b"\0")
    return (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0")
        + b"Root Entry".ljust(128, b"\0")
        + entry
    )
