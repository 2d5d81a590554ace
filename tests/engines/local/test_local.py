"""The local engine: what it reads, and what it refuses with a sentence that helps."""

import asyncio
import io
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader, PdfWriter

from core.domain.documents import Document
from core.engines import reading
from core.engines.local import LocalEngine
from core.engines.office import declared_pages
from core.engines.reading import Purpose
from core.errors import DocumentRefused, RefusalReason
from core.samples import pdf_of_images, pdf_of_text, sample_documents, scan_of
from tests.office import docx, ole

SAMPLES = Path(__file__).parents[4] / "shared" / "samples"
TEXT = pdf_of_text(
    [f"Chapter {n}\n" + "A sentence that can be found again. " * 40 for n in (1, 2, 3)]
)


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """One engine for all, as in a process."""
    engine = LocalEngine(workers=1, max_bytes=5_000_000)
    yield engine
    engine.close_workers()


def _inspect(engine: LocalEngine, folder: Path, name: str, data: bytes) -> Document:
    path = folder / "blob"
    path.write_bytes(data)
    return engine.inspect(path, name, "0" * 64, len(data))


def _encrypted() -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(TEXT)))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _no_pages() -> bytes:
    return pdf_of_text([])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.pdf", b"", RefusalReason.EMPTY),
        ("renamed.pdf", b"just text", RefusalReason.WRONG_TYPE),
        ("picture.pdf", b"\x89PNG\r\n\x1a\n0000", RefusalReason.WRONG_TYPE),
        ("locked.pdf", _encrypted(), RefusalReason.ENCRYPTED),
        ("cut.pdf", TEXT[: len(TEXT) // 3], RefusalReason.BROKEN),
        ("none.pdf", _no_pages(), RefusalReason.NO_PAGES),
        ("huge.txt", b"x" * 5_000_001, RefusalReason.TOO_LARGE),
        ("program.bin", b"\0\1\2\3", RefusalReason.UNSUPPORTED),
        ("mail.msg", ole("__properties_version1.0"), RefusalReason.UNSUPPORTED),
        ("locked.docx", ole("EncryptedPackage"), RefusalReason.ENCRYPTED),
        ("locked.pdf", ole("EncryptedPackage"), RefusalReason.WRONG_TYPE),
        ("blank.txt", b"  \n ", RefusalReason.EMPTY),
    ],
)
def test_what_cannot_be_read_says_what_to_do(
    engine: LocalEngine, tmp_path: Path, name: str, data: bytes, reason: RefusalReason
) -> None:
    """A file that cannot be taken is refused before it costs anything, with a next step."""
    document = _inspect(engine, tmp_path, name, data)
    assert document.refusal is reason
    assert document.problem
    assert document.next_step


def test_pages_are_counted_and_scans_found(engine: LocalEngine, tmp_path: Path) -> None:
    """Pre-flight counts pages and says which need OCR."""
    text = _inspect(engine, tmp_path, "text.pdf", TEXT)
    scan = _inspect(engine, tmp_path, "scan.pdf", pdf_of_images([scan_of("INVOICE 4711")]))
    assert (text.page_count, text.pages_needing_ocr) == (3, ())
    assert (scan.page_count, scan.pages_needing_ocr) == (1, (1,))


def test_text_is_read_page_by_page(engine: LocalEngine, tmp_path: Path) -> None:
    """Each page has its own markdown; pages can be chosen."""
    path = tmp_path / "blob"
    path.write_bytes(TEXT)
    whole = asyncio.run(engine.read(path, "text.pdf"))
    assert [page.number for page in whole.pages] == [1, 2, 3]
    assert "# Chapter 2" in whole.pages[1].markdown
    some = asyncio.run(engine.read(path, "text.pdf", "2-3"))
    assert [page.number for page in some.pages] == [2, 3]


def test_a_scan_is_read_or_says_that_it_was_not(engine: LocalEngine, tmp_path: Path) -> None:
    """With OCR data a scan has words; without, the page says what is missing."""
    path = tmp_path / "blob"
    path.write_bytes(pdf_of_images([scan_of("INVOICE 4711\nTOTAL 39.50")]))
    page = asyncio.run(engine.read(path, "scan.pdf")).pages[0]
    assert "4711" in page.markdown or "This page needs OCR" in " ".join(page.notes)


def test_a_page_with_little_text_is_not_said_to_be_unread(
    engine: LocalEngine, tmp_path: Path
) -> None:
    """A short page that was read is not told of as a scan that was not; at most it may hold more."""
    path = tmp_path / "blob"
    path.write_bytes(pdf_of_text(["A short letter."]))
    page = asyncio.run(engine.read(path, "letter.pdf")).pages[0]
    assert "A short letter." in page.markdown
    assert not any("needs OCR" in note for note in page.notes)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.html", b"<html><h1>Title</h1><script>alert(1)</script><p>words</p></html>", "# Title"),
        ("a.csv", b"a,b\n1,x|y\n", "| 1 | x\\|y |"),
        ("a.md", b"# Kept", "# Kept"),
        ("a.txt", "Größe".encode("latin-1"), "Größe"),
        ("a.txt", "\ufeffwide".encode("utf-16"), "wide"),
    ],
)
def test_text_formats_need_no_engine(
    engine: LocalEngine, tmp_path: Path, name: str, data: bytes, expected: str
) -> None:
    """Markdown, text, CSV and HTML are read as what they are."""
    path = tmp_path / "blob"
    path.write_bytes(data)
    document = asyncio.run(engine.read(path, name))
    assert expected in document.markdown
    assert "alert" not in document.markdown


def test_a_workbook_is_priced_by_its_sheets(engine: LocalEngine, tmp_path: Path) -> None:
    """An office file's pages are known from what it declares."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in (1, 2):
            archive.writestr(f"xl/worksheets/sheet{number}.xml", "<worksheet/>")
    assert _inspect(engine, tmp_path, "book.xlsx", out.getvalue()).page_count == 2


def test_a_letter_is_priced_by_the_pages_that_its_program_counted(
    engine: LocalEngine, tmp_path: Path
) -> None:
    """A text of Word says how many pages it has; one that does not is of unknown length, not of none."""
    assert _inspect(engine, tmp_path, "letter.docx", docx("Dear Sir", pages=2)).page_count == 2
    assert _inspect(engine, tmp_path, "letter.docx", docx("Dear Sir", pages=0)).page_count is None
    assert _inspect(engine, tmp_path, "letter.docx", docx("Dear Sir")).page_count is None


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("old.doc", ole("WordDocument"), "application/msword"),
        ("old.xls", ole("Workbook"), "application/vnd.ms-excel"),
        ("old.ppt", ole("PowerPoint Document"), "application/vnd.ms-powerpoint"),
        ("note.rtf", b"{\\rtf1 Dear Sir}", "application/rtf"),
    ],
)
def test_the_old_formats_of_office_are_taken(
    engine: LocalEngine, tmp_path: Path, name: str, data: bytes, media_type: str
) -> None:
    """LlamaParse reads them, so they are known by their content and not refused."""
    document = _inspect(engine, tmp_path, name, data)
    assert (document.media_type, document.refusal) == (media_type, None)
    assert document.has_sheets == (name == "old.xls")


def test_where_libreoffice_is_installed_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter without a page count is converted and priced by its pages; what cannot be, has the ceiling."""
    _a_converter(tmp_path / "bin", pdf_of_text(["one", "two", "three"]))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    engine = LocalEngine(workers=1)
    try:
        assert _inspect(engine, tmp_path, "letter.docx", docx("Dear Sir")).page_count == 3
        torn = _inspect(engine, tmp_path, "letter.docx", docx("torn"))
        assert (torn.page_count, torn.refusal) == (None, None)
    finally:
        engine.close_workers()


def test_a_sheet_is_read_without_the_foot_of_its_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LibreOffice prints "Page 1" under each page of a workbook; those words are not in the document."""
    printed = pdf_of_text([f"Costs\nRent 1200\n\n\nPage {number}" for number in (1, 2)])
    _a_converter(tmp_path / "bin", printed)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    engine = LocalEngine(workers=1)
    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    try:
        pages = asyncio.run(engine.read(path, "book.xlsx")).pages
    finally:
        engine.close_workers()
    assert len(pages) == 2
    for page in pages:
        assert "Rent 1200" in page.markdown
        assert "Page" not in page.markdown + page.text


def _a_converter(folder: Path, pdf: bytes) -> None:
    """A soffice that makes this PDF of every file in which nothing is torn."""
    folder.mkdir()
    (folder / "made.pdf").write_bytes(pdf)
    script = folder / "soffice"
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, shutil, sys, zipfile\n"
        "words = sys.argv[1:]\n"
        "source = pathlib.Path(words[-1])\n"
        "target = pathlib.Path(words[words.index('--outdir') + 1]) / source.with_suffix('.pdf').name\n"
        "archive = zipfile.ZipFile(source)\n"
        "if any(b'torn' in archive.read(name) for name in archive.namelist()):\n"
        "    sys.exit(1)\n"
        f"shutil.copy({str(folder / 'made.pdf')!r}, target)\n"
    )
    script.chmod(0o755)


def test_an_open_document_is_priced_by_the_pages_it_counts(
    engine: LocalEngine, tmp_path: Path
) -> None:
    """A text of LibreOffice says how many pages it has, so it is not priced at the most it could have."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", "<x/>")
        archive.writestr("meta.xml", '<meta:document-statistic meta:page-count="3"/>')
    assert _inspect(engine, tmp_path, "letter.odt", out.getvalue()).page_count == 3


def test_every_page_of_a_fax_is_counted_and_read(engine: LocalEngine, tmp_path: Path) -> None:
    """A TIFF has as many pages as pictures, of whatever kind each is; none is left out."""
    pictures = [Image.new(kind, (200, 100)) for kind in ("RGB", "1", "L", "RGBA")]
    path = tmp_path / "fax.tif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    assert _inspect(engine, tmp_path, "fax.tif", path.read_bytes()).page_count == 4
    assert [page.page_num for page in reading.pages(str(path), Purpose("text"))] == [1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_tiff_that_is_none_is_a_file_that_does_not_say(tmp_path: Path) -> None:
    """A broken picture raises nothing while its pages are counted."""
    path = tmp_path / "torn.tif"
    path.write_bytes(b"II*\0\xff\xff\xff\xff")
    assert declared_pages(path, "image/tiff") is None


def test_a_page_has_a_picture(engine: LocalEngine, tmp_path: Path) -> None:
    """A page can be shown beside its markdown."""
    path = tmp_path / "blob"
    path.write_bytes(TEXT)
    assert engine.page_image(path, 2).startswith(b"\x89PNG")
    with pytest.raises(DocumentRefused):
        engine.page_image(path, 99)


def test_a_document_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """A deadline ends the worker, not the process; the next document is read."""
    impatient = LocalEngine(workers=1, deadline_s=0.001)
    path = tmp_path / "blob"
    path.write_bytes(pdf_of_text(["Page\n" + "words " * 300] * 200))
    try:
        document = impatient.inspect(path, "long.pdf", "0" * 64, 1)
        assert document.refusal is RefusalReason.TIMED_OUT
    finally:
        impatient.close_workers()


@pytest.mark.parametrize("name", sorted(sample_documents()))
def test_the_sample_documents_can_be_read(engine: LocalEngine, tmp_path: Path, name: str) -> None:
    """What newcomers are offered works."""
    assert _inspect(engine, tmp_path, name, sample_documents()[name]).is_parsable


if SAMPLES.is_dir():  # users do not have that folder

    @pytest.mark.parametrize("path", sorted(SAMPLES.glob("*")), ids=lambda p: p.name)
    def test_real_documents_are_taken_or_refused_with_a_reason(
        engine: LocalEngine, path: Path
    ) -> None:
        """Real documents are profiled; the broken one is refused."""
        document = engine.inspect(path, path.name, "0" * 64, path.stat().st_size)
        assert document.is_parsable == ("broken" not in path.name)
