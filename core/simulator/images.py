"""The images of a completed job: page screenshots, pictures within pages, and crops of them."""

import io
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

from PIL import Image

from core.domain.documents import Figure
from core.errors import DocumentRefused
from core.simulator.config import Figures, PageImage
from core.simulator.records import Options
from core.simulator.results import StoredPage
from core.simulator.sheets import HEIGHT, WIDTH, as_jpeg, sheet

__all__ = ["Album", "Category", "JobImage"]

_JPEG = "image/jpeg"
_PIXELS_PER_POINT = 110 / 72


class Category(StrEnum):
    """What an image shows (the service's ``images_to_save``)."""

    SCREENSHOT = "screenshot"
    EMBEDDED = "embedded"
    LAYOUT = "layout"


@dataclass(frozen=True, slots=True)
class JobImage:
    """An image as it is listed; its box is x, y, width and height on its page."""

    index: int
    filename: str
    category: Category
    page: int
    box: tuple[int, int, int, int]
    figure: Figure | None = None

    @property
    def content_type(self) -> str:
        """Its media type."""
        return "image/png" if self.filename.endswith(".png") else _JPEG


@dataclass(frozen=True, slots=True)
class Album:
    """Lists a job's images, and makes each when it is downloaded."""

    options: Options
    pages: list[StoredPage]
    document: Path
    page_image: PageImage | None
    figures: Figures | None

    def images(self) -> list[JobImage]:
        """What was asked for and can be made; screenshots of PDFs only where their pages can be drawn.

        What stands here is told before anything is drawn.
        """
        can_draw = self.page_image is not None or not self._is_pdf
        number = count()
        found: list[JobImage] = []
        for page in self.pages:
            if self.options.screenshots and can_draw:
                name, box = f"page_{page.number}.jpg", (0, 0, WIDTH, HEIGHT)
                found.append(JobImage(next(number), name, Category.SCREENSHOT, page.number, box))
            for place, figure in enumerate(page.figures, 1):
                if self.options.embedded:
                    found.append(_of(figure, next(number), figure.name, Category.EMBEDDED))
                if self.options.layout and self.page_image is not None:
                    name = f"page_{page.number}_figure_{place}.jpg"
                    found.append(_of(figure, next(number), name, Category.LAYOUT))
        return found

    def data(self, filename: str) -> tuple[str, bytes] | None:
        """Media type and bytes of the image of that name; None when there is none."""
        image = next((image for image in self.images() if image.filename == filename), None)
        try:
            made = self._made(image) if image is not None else None
        except DocumentRefused:
            return None
        return None if image is None or made is None else (image.content_type, made)

    def _made(self, image: JobImage) -> bytes | None:
        if image.category is Category.EMBEDDED and image.figure is not None:
            return self.figures.figure(self.document, image.figure) if self.figures else None
        if self.page_image is None or not self._is_pdf:
            return sheet(self.document, next(p.text for p in self.pages if p.number == image.page))
        drawn = Image.open(io.BytesIO(self.page_image(self.document, image.page)))
        if image.category is Category.LAYOUT:
            x, y, width, height = (round(side * _PIXELS_PER_POINT) for side in image.box)
            part = (
                max(0, x),
                max(0, y),
                min(x + width, drawn.width),
                min(y + height, drawn.height),
            )
            return as_jpeg(drawn.crop(part)) if part[0] < part[2] and part[1] < part[3] else None
        return as_jpeg(drawn)

    @property
    def _is_pdf(self) -> bool:
        with self.document.open("rb") as file:
            return file.read(5) == b"%PDF-"


def _of(figure: Figure, index: int, name: str, category: Category) -> JobImage:
    return JobImage(index, name, category, figure.page, figure.box, figure)
