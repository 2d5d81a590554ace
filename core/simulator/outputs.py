"""Everything a completed job can be asked for, as bytes: what a presigned link or a v1 raw route gives."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.simulator.config import Figures, PageImage
from core.simulator.images import Album
from core.simulator.records import SimJob
from core.simulator.results import SECTIONS, StoredPage, joined, load, workbook
from core.simulator.state import State

__all__ = ["OUTPUTS", "Archive", "Finished", "Output"]

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class Finished:
    """A completed job with its result and its document."""

    job: SimJob
    pages: list[StoredPage]
    document: Path
    separator: str
    page_image: PageImage | None = None
    figures: Figures | None = None

    @property
    def markdown(self) -> str:
        """The whole document as markdown."""
        return self._joined([(page.number, page.markdown) for page in self.pages])

    @property
    def text(self) -> str:
        """The whole document as text."""
        return self._joined([(page.number, page.text) for page in self.pages])

    @property
    def album(self) -> Album:
        """Its images."""
        return Album(self.job.options, self.pages, self.document, self.page_image, self.figures)

    @property
    def pdf(self) -> bytes | None:
        """The document as PDF, when that was asked for and it is one."""
        return self.document.read_bytes() if self.job.options.pdf and self._is_pdf else None

    @property
    def _is_pdf(self) -> bool:
        with self.document.open("rb") as file:
            return file.read(5) == b"%PDF-"

    def _joined(self, parts: list[tuple[int, str]]) -> str:
        return joined(parts, self.separator, self.job.options)


@dataclass(frozen=True, slots=True)
class Archive:
    """Where completed jobs are found again."""

    state: State
    separator: str
    page_image: PageImage | None = None
    figures: Figures | None = None

    def finished(self, job: SimJob) -> Finished | None:
        """The job with its result; None when it has none, or not any more."""
        data = self.state.result(job.id)
        if data is None:
            return None
        document = self.state.document_path(job.sha256, job.name)
        return Finished(job, load(data), document, self.separator, self.page_image, self.figures)


@dataclass(frozen=True, slots=True)
class Output:
    """One thing to download: the key it has in the answer, its media type, its bytes if it exists."""

    key: str
    media_type: str
    data: Callable[[Finished], bytes | None]


def _section(name: str) -> Callable[[Finished], bytes]:
    return lambda finished: json.dumps(SECTIONS[name](finished.pages), ensure_ascii=False).encode()


def _words(finished: Finished) -> bytes:
    words = [{"page": page.number, "words": page.text.split()} for page in finished.pages]
    return json.dumps(words, ensure_ascii=False).encode()


def _stripped(finished: Finished) -> bytes:
    pages = [
        {"page_number": page.number, "stripped_markdown": page.text} for page in finished.pages
    ]
    return json.dumps({"pages": pages}, ensure_ascii=False).encode()


def _xlsx(finished: Finished) -> bytes | None:
    return workbook(finished.pages) if finished.job.options.xlsx else None


_JSON, _TEXT, _MARKDOWN = "application/json", "text/plain", "text/markdown"

# The documented keys are md, fullText, json, xlsx, outputPDF and grounded_items; which expand value
# fills which is said for outputPDF only, and the others have no documented key at all.
OUTPUTS = {
    "text": Output("text", _JSON, _section("text")),
    "markdown": Output("markdown", _JSON, _section("markdown")),
    "items": Output("json", _JSON, _section("items")),
    "metadata": Output("metadata", _JSON, _section("metadata")),
    "forms": Output("forms", _JSON, _section("forms")),
    "text_full": Output("fullText", _TEXT, lambda finished: finished.text.encode()),
    "markdown_full": Output("md", _MARKDOWN, lambda finished: finished.markdown.encode()),
    "raw_words": Output("raw_words", _JSON, _words),
    "xlsx": Output("xlsx", _XLSX, _xlsx),
    "output_pdf": Output("outputPDF", "application/pdf", lambda finished: finished.pdf),
    "stripped_markdown": Output("stripped_markdown", _JSON, _stripped),
    "concatenated_stripped_markdown": Output(
        "concatenated_stripped_markdown", _TEXT, lambda finished: finished.text.encode()
    ),
}
"""What ``NAME_content_metadata`` gives a link to."""
