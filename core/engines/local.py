"""The local engine: LiteParse, the vendor's own open-source engine, and formats that are text already."""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from core.domain.documents import (
    Document,
    EngineName,
    Figure,
    PageProfile,
    ParsedDocument,
    ParsedPage,
    is_spreadsheet,
    parse_page_ranges,
)
from core.engines import reading
from core.engines.in_process import InProcess
from core.engines.office import declared_pages
from core.engines.protocol import ParseOrder
from core.engines.readers import Broken, Readers, TooSlow
from core.engines.reading import Purpose, ReadPage
from core.engines.registry import EngineCard
from core.engines.sniff import LOCKED_OFFICE, PDF, extension_of, media_type_of, named_type
from core.engines.texts import TEXT_TYPES, read_text
from core.errors import DocumentRefused, RefusalReason
from core.samples import pdf_of_text

__all__ = ["LocalEngine"]


_R = RefusalReason
_OFFICE_PREFIXES = (
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/vnd.ms-",
    "application/msword",
    "application/rtf",
)
_TAKEN = (
    "Convert it to PDF. Taken are PDF, Word, Excel and PowerPoint (new formats and old), OpenDocument, RTF, "
    "images, HTML, Markdown, text and CSV, also in a ZIP."
)
_NO_OFFICE = "Office files need LibreOffice on this machine: install it and start again."
_NO_MAGICK = "Images need ImageMagick on this machine: install it and start again."
_PICTURE_S = 30.0
_TESSDATA = ("/usr/share/tesseract-ocr", "/usr/share/tessdata", "/usr/local/share/tessdata")


class LocalEngine(InProcess):
    """Parses on this machine, for free. Thread-safe; starts its workers when first needed."""

    name = EngineName.LOCAL
    credits = 0

    def __init__(
        self, *, workers: int = 2, deadline_s: float = 120, max_bytes: int = 512 * 1024 * 1024
    ) -> None:
        self._max_bytes = max_bytes
        # apart, so that neither a look at a new document nor a picture waits behind a long parse
        self._lookers = Readers(workers, deadline_s)
        self._readers = Readers(workers, deadline_s)
        self._painters = Readers(1, _PICTURE_S)

    # -- pre-flight -------------------------------------------------------------------------------

    def inspect(self, path: Path, name: str, sha256: str, size_bytes: int) -> Document:
        """What the file is and what is on its pages, or why it cannot be taken; raises nothing."""
        media_type = media_type_of(path, name)
        document = Document(sha256, size_bytes, media_type, None)
        try:
            self._refuse(name, media_type, size_bytes)
            pages = self._profile(path, media_type)
        except DocumentRefused as refusal:
            return replace(
                document, refusal=refusal.reason, problem=refusal.what, next_step=refusal.next_step
            )
        count = len(pages) or declared_pages(path, media_type) or self._counted(path, media_type)
        return replace(document, pages=pages, page_count=count)

    def _refuse(self, name: str, media_type: str, size_bytes: int) -> None:
        if size_bytes == 0:
            raise DocumentRefused(_R.EMPTY, "The file is empty.", "Upload it again.")
        if size_bytes > self._max_bytes:
            what = f"The file is larger than {self._max_bytes // 1024 // 1024} MB."
            raise DocumentRefused(_R.TOO_LARGE, what, "Split it into parts.")
        if named_type(name) == PDF and media_type != PDF:
            what = f"The file is named .pdf, but it is {_words(media_type)}."
            raise DocumentRefused(
                _R.WRONG_TYPE, what, "Upload the real PDF, or give it its right name."
            )
        if media_type == LOCKED_OFFICE:
            what = "The office file is protected by a password."
            raise DocumentRefused(_R.ENCRYPTED, what, "Remove the password, then upload it again.")
        if media_type in {
            "application/octet-stream",
            "application/zip",
            "application/x-ole-storage",
        }:
            what = "This type of file cannot be parsed."
            raise DocumentRefused(_R.UNSUPPORTED, what, _TAKEN)

    def _profile(self, path: Path, media_type: str) -> tuple[PageProfile, ...]:
        if media_type in TEXT_TYPES:
            pages = read_text(path, media_type)
            if not any(page.text.strip() for page in pages):
                raise DocumentRefused(
                    _R.EMPTY, "There is no text in the file.", "Check that it is the right file."
                )
            return tuple(
                PageProfile(p.number, len(p.text), needs_ocr=False, is_complex=False) for p in pages
            )
        if media_type != PDF:
            return ()
        found = self._pages(self._lookers, path, media_type, Purpose("text"))
        if not found:
            raise DocumentRefused(
                _R.NO_PAGES, "The PDF has no pages.", "Check that it is the right file."
            )
        return tuple(_page_profile(page) for page in found)

    def _counted(self, path: Path, media_type: str) -> int | None:
        """The pages of an office file that does not say how many it has, where it can be converted here.

        None for one that cannot: LlamaParse may still take it.
        """
        if not media_type.startswith(_OFFICE_PREFIXES) or not self._has_office:
            return None
        try:
            return len(self._pages(self._lookers, path, media_type, Purpose("text"))) or None
        except DocumentRefused:
            return None

    def text_layer(self, path: Path) -> dict[int, str]:
        """The text of each page of a PDF that has a sound text layer; raises ``DocumentRefused``."""
        media_type = media_type_of(path, path.name)
        if media_type != PDF:
            return {}
        found = self._pages(self._lookers, path, media_type, Purpose("text"))
        return {p.page_num: p.text for p in found if not (p.complexity and p.complexity.needs_ocr)}

    # -- reading ----------------------------------------------------------------------------------

    async def read(self, path: Path, name: str, target_pages: str = "") -> ParsedDocument:
        """The document as markdown. Raises ``DocumentRefused``."""
        return await asyncio.to_thread(self._read, path, name, target_pages)

    def _read(self, path: Path, name: str, target_pages: str) -> ParsedDocument:
        media_type = media_type_of(path, name)
        self._refuse(name, media_type, path.stat().st_size)
        if media_type in TEXT_TYPES:
            pages = read_text(path, media_type)
        else:
            self._need_converter(media_type)
            purpose = Purpose("markdown", self._tessdata)
            found = self._pages(self._readers, path, media_type, purpose)
            if is_spreadsheet(media_type):
                found = [_unprinted(page) for page in found]
            pages = tuple(self._page(page) for page in found)
        if not pages:
            raise DocumentRefused(
                _R.NO_PAGES, "There are no pages in the document.", "Check the file."
            )
        wanted = set(parse_page_ranges(target_pages)) if target_pages else None
        return ParsedDocument(tuple(p for p in pages if wanted is None or p.number in wanted), 0)

    def _page(self, page: ReadPage) -> ParsedPage:
        notes: tuple[str, ...] = ()
        if self._tessdata is None and page.complexity is not None and page.complexity.needs_ocr:
            # little text is taken for a sign of pictures; what is there was read all the same
            what = "may hold more that only OCR reads" if page.text.strip() else "needs OCR"
            notes = (f"This page {what}, and there is no OCR data on this machine.",)
        return ParsedPage(
            page.page_num, page.markdown.strip(), page.text, EngineName.LOCAL, notes=notes
        )

    def page_image(self, path: Path, number: int, *, dpi: int = 110) -> bytes:
        """A page as PNG. Raises ``DocumentRefused``."""
        with _named(path, PDF) as named, _explained(self._painters):
            picture = self._painters.ask(reading.picture, str(named), number, dpi)
        if picture is None:
            raise DocumentRefused(_R.NO_PAGES, f"There is no page {number}.", "")
        return picture

    def figures(self, path: Path, pages: Sequence[int]) -> Sequence[Figure]:
        """The pictures within these pages; none of what is no PDF. Raises ``DocumentRefused``."""
        if media_type_of(path, path.name) != PDF:
            return ()
        with _named(path, PDF) as named, _explained(self._painters):
            return self._painters.ask(reading.figures, str(named), pages)

    def figure(self, path: Path, wanted: Figure) -> bytes:
        """One of them as JPEG or PNG. Raises ``DocumentRefused``."""
        with _named(path, PDF) as named, _explained(self._painters):
            found = self._painters.ask(reading.figure, str(named), wanted)
        if found is None:
            raise DocumentRefused(_R.NO_PAGES, f"There is no picture {wanted.name}.", "")
        return found

    # -- ParseEngine ------------------------------------------------------------------------------

    async def fetch(self, vendor_job_id: str, order: ParseOrder) -> ParsedDocument:
        """Parse now. Raises ``DocumentRefused``."""
        del vendor_job_id
        if order.content is None:
            raise DocumentRefused(
                _R.BAD_LINK,
                "The local engine reads stored documents only, and this one is behind a link.",
                "Upload the document, or wait for LlamaParse.",
            )
        with order.content.as_file() as path:
            return await self.read(path, order.name, order.target_pages)

    def close_workers(self) -> None:
        """End the workers. Must be called before the interpreter exits."""
        for readers in (self._lookers, self._readers, self._painters):
            readers.close()

    async def close(self) -> None:
        """The workers are shared with the rest of the process, which ends them."""

    # -- what it says of itself -------------------------------------------------------------------

    def card(self) -> EngineCard:
        """Its card: free, one way to read, and what this machine has converters for."""
        return EngineCard(
            name=self.name,
            title="Local engine",
            lacks=self.lacks,
            tiers=(),
            page_ranges=True,
            languages="any in a text layer; English by OCR"
            if self._tessdata
            else "any in a text layer",
            credits=lambda _price, _tier, _pages: 0,
            probe=self.probe,
        )

    def lacks(self, media_type: str) -> str:
        """What is missing to read documents of this type on this machine; empty when nothing is."""
        if media_type == PDF or media_type in TEXT_TYPES:
            return ""
        if media_type.startswith(_OFFICE_PREFIXES):
            return "" if self._has_office else _NO_OFFICE
        if media_type.startswith("image/"):
            return "" if self._has_magick else _NO_MAGICK
        return "Files of this type can be read by LlamaParse only."

    async def probe(self) -> float:
        """Seconds that a page of text takes. Raises ``DocumentRefused``."""
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="parsedeck-") as folder:
            path = Path(folder) / "probe.pdf"
            path.write_bytes(pdf_of_text(["Probe"]))
            await self.read(path, path.name)
        return time.perf_counter() - began

    # -- this machine -----------------------------------------------------------------------------

    def facts(self) -> list[tuple[bool, str, str]]:
        """What the engine can take here: works or not, in words, and what would mend it."""
        office, images = self._has_office, self._has_magick
        return [
            (True, "PDF, HTML, Markdown, text and CSV are read on this machine.", ""),
            (
                self._tessdata is not None,
                "OCR data for English is installed."
                if self._tessdata
                else "No OCR data: scanned pages stay empty in local results.",
                "" if self._tessdata else "Install tesseract-ocr-eng.",
            ),
            (
                office,
                "Office files are read through LibreOffice."
                if office
                else "Office files go to LlamaParse only.",
                "" if office else "Install LibreOffice to read them here too.",
            ),
            (
                images,
                "Images are read through ImageMagick."
                if images
                else "Images go to LlamaParse only.",
                "" if images else "Install ImageMagick to read them here too.",
            ),
        ]

    @cached_property
    def _has_office(self) -> bool:
        return bool(shutil.which("soffice") or shutil.which("libreoffice"))

    @cached_property
    def _has_magick(self) -> bool:
        command = shutil.which("magick") or shutil.which("convert")
        if command is None:
            return False
        # another program may have that name
        answer = subprocess.run([command, "-version"], capture_output=True, timeout=10, check=False)  # noqa: S603 - found on the PATH
        return b"ImageMagick" in answer.stdout

    @cached_property
    def _tessdata(self) -> str | None:
        for folder in _TESSDATA:
            for found in sorted(Path(folder).glob("**/eng.traineddata")):
                return str(found.parent)
        return None

    def _need_converter(self, media_type: str) -> None:
        lacks = self.lacks(media_type)
        if lacks:
            step = "Converted to PDF it can be read here; LlamaParse takes it as it is."
            raise DocumentRefused(_R.UNSUPPORTED, lacks, step)

    @staticmethod
    def _pages(readers: Readers, path: Path, media_type: str, purpose: Purpose) -> list[ReadPage]:
        with _named(path, media_type) as named, _explained(readers):
            return readers.ask(reading.pages, str(named), purpose)


@contextmanager
def _named(path: Path, media_type: str) -> Iterator[Path]:
    """The same file under a name with its extension: LiteParse goes by that, blobs have none."""
    with tempfile.TemporaryDirectory(prefix="parsedeck-") as folder:
        link = Path(folder) / f"document{extension_of(media_type)}"
        link.symlink_to(path.absolute())
        yield link


@contextmanager
def _explained(readers: Readers) -> Iterator[None]:
    """A reading whose failures say what to do."""
    try:
        yield
    except TooSlow as error:
        what = f"It took longer than {readers.deadline_s:.0f} s to read."
        raise DocumentRefused(_R.TIMED_OUT, what, "Split it into parts.") from error
    except Broken as error:
        message = str(error).lower()
        if "password" in message or "encrypt" in message:
            what = "The PDF is protected by a password."
            raise DocumentRefused(
                _R.ENCRYPTED, what, "Remove the password, then upload it again."
            ) from error
        what = "The file is damaged or cut off and cannot be opened."
        step = "Open and save it in its own program, then upload it again."
        raise DocumentRefused(_R.BROKEN, what, step) from error


def _unprinted(page: ReadPage) -> ReadPage:
    """A page of a spreadsheet without the foot that LibreOffice prints under it: the sheet has no such words."""
    foot = re.compile(rf"(\A|\n)\s*Page {page.page_num}\s*\Z")
    return replace(page, markdown=foot.sub("", page.markdown), text=foot.sub("", page.text))


def _page_profile(page: ReadPage) -> PageProfile:
    facts = page.complexity
    layout = tuple(facts.layout.reasons) if facts and facts.layout else ()
    return PageProfile(
        number=page.page_num,
        text_chars=facts.text_length if facts else len(page.text),
        needs_ocr=bool(facts and facts.needs_ocr),
        is_complex=bool(layout),
        reasons=(*(tuple(facts.reasons) if facts else ()), *layout),
        columns=facts.layout.column_count if facts and facts.layout else None,
        figure_share=round(facts.layout.figure_coverage, 3) if facts and facts.layout else None,
    )


def _words(media_type: str) -> str:
    known = {
        "text/plain": "plain text",
        "text/html": "a web page",
        "application/octet-stream": "something else",
        LOCKED_OFFICE: "an office file",
    }
    return known.get(media_type, media_type)
