"""Documents made from nothing: for newcomers to try, and for tests and benchmarks."""

import io
import zlib
from collections.abc import Sequence

__all__ = [
    "pdf_of_drawings",
    "pdf_of_images",
    "pdf_of_text",
    "sample_documents",
    "scan_of",
    "written",
]

_WIDTH, _HEIGHT = 612, 792
_LINE_CHARS = 78


def sample_documents() -> dict[str, bytes]:
    """Three small documents by name: text, a scan, a web page."""
    return {
        "welcome.pdf": pdf_of_text([_WELCOME, _TERMS]),
        "scanned-receipt.pdf": pdf_of_images([scan_of(_RECEIPT)]),
        "release-notes.html": _NOTES.encode(),
    }


def pdf_of_text(pages: Sequence[str]) -> bytes:
    """A PDF with a text layer; the first line of each page is a heading."""
    drawings = []
    for page in pages:
        head, *rest = page.strip().splitlines()
        wrapped = [part for line in rest for part in _wrapped(line)]
        lines = [written(60, 690 - 16 * n, text) for n, text in enumerate(wrapped)]
        drawings.append("\n".join([written(60, 720, head, 20), *lines]))
    return pdf_of_drawings(drawings)


def pdf_of_drawings(pages: Sequence[str]) -> bytes:
    """A PDF whose pages are drawn by these content streams; ``/F1`` is Helvetica, the unit a point."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    streams = [page.encode("latin-1", "replace") for page in pages]
    return _pdf([(stream, b"/Font << /F1 %d 0 R >>", font) for stream in streams])


def written(x: float, y: float, text: str, size: int = 11) -> str:
    """The part of a content stream that writes a line of text from this point on, from the lower left."""
    return f"BT /F1 {size} Tf {x} {y} Td ({_escaped(text)}) Tj ET"


def pdf_of_images(images: Sequence[tuple[int, int, bytes]]) -> bytes:
    """A PDF of full-page gray pictures (width, height, bytes): what a scanner makes."""
    parts = []
    for width, height, pixels in images:
        data = zlib.compress(pixels)
        picture = (
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray"
            b" /BitsPerComponent 8 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
            % (width, height, len(data), data)
        )
        draw = b"q %d 0 0 %d 0 0 cm /Im1 Do Q" % (_WIDTH, _HEIGHT)
        parts.append((draw, b"/XObject << /Im1 %d 0 R >>", picture))
    return _pdf(parts)


def scan_of(text: str) -> tuple[int, int, bytes]:
    """The text as a gray picture of a page, at 150 dots per inch."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - slow to import

    image = Image.new("L", (_WIDTH * 150 // 72, _HEIGHT * 150 // 72), 250)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=32)
    for number, line in enumerate(text.strip().splitlines()):
        draw.text((120, 140 + 52 * number), line, fill=20, font=font)
    return image.width, image.height, image.tobytes()


def _pdf(pages: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    """Pages of (content stream, resources with %d for the object, that object)."""
    count = len(pages)
    kids = b" ".join(b"%d 0 R" % (3 + 3 * n) for n in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
    ]
    for n, (stream, resources, extra) in enumerate(pages):
        first = 3 + 3 * n
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << %s >> /Contents %d 0 R >>"
            % (_WIDTH, _HEIGHT, resources % (first + 2), first + 1),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
            extra,
        ]
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(
        b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    )
    return out.getvalue()


def _wrapped(line: str) -> list[str]:
    words, lines = line.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) >= _LINE_CHARS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


_WELCOME = """Welcome to Parsedeck
This letter has two pages of plain text. Parsedeck looked at it before it was sent anywhere,
counted its pages, and told you what each tier of LlamaParse would cost.

You are reading the markdown that was made of it. In MOCK nothing was spent: the simulator took
the document over real HTTP, and announced the result with a signed webhook.

Open the timeline below to see each step, who caused it, and the event that was verified.
"""
_TERMS = """What happens next
Drop a document of your own. Files that cannot be read are named with the reason, and never
stop the others. When you have a LlamaParse key, set it and switch to REAL.

Every limit holds before money is spent, whatever is retried, and whoever presses twice.
"""
_RECEIPT = """CORNER BAKERY
12 Mill Lane

2 sourdough loaves      9.00
1 apple cake           18.50
4 coffee               12.00

Total                  39.50
Paid by card, thank you
"""
_NOTES = """<!doctype html><html><head><title>Release notes</title><style>p{color:red}</style></head>
<body><h1>Release notes</h1><p>The <b>autumn</b> release reads tables and lists.</p>
<ul><li>Faster uploads</li><li>Clear prices</li></ul>
<table><tr><th>Tier</th><th>Credits</th></tr><tr><td>fast</td><td>1</td></tr>
<tr><td>agentic</td><td>10</td></tr></table><script>alert("never")</script></body></html>
"""
