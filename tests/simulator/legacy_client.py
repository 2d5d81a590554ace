"""Runs the older official client, in its own environment: ``python legacy_client.py ADDRESS FOLDER SOURCE``.

Prints one JSON object: what each way of using it gave.
"""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llama_cloud_services import LlamaParse


class Ways:
    """Each way of using LlamaParse; a parser of its own each time, since one belongs to one event loop."""

    def __init__(self, url: str, folder: Path, source: str) -> None:
        self._url = url
        self._folder = folder
        self._source = source
        self._pdf = self._written("terms.pdf", "one\ntwo\nthree\nfour\nfive")

    def load_data(self) -> Any:
        """The whole document."""
        return self._texts(self._pdf, result_type="markdown", split_by_page=False)

    def load_text(self) -> Any:
        """The first two pages as text."""
        return self._texts(self._pdf, result_type="text", max_pages=2, split_by_page=False)

    def split_by_page(self) -> Any:
        """A document for each page."""
        return [t.strip() for t in self._texts(self._pdf, result_type="markdown")]

    def parse(self) -> Any:
        """Two pages, by their numbers from 0."""
        found = self._parser(target_pages="0,2").parse(self._pdf)
        pages = [[page.page, page.md] for page in found.pages]
        return {"pages": pages, "metadata": found.job_metadata.model_dump(), "error": found.error}

    def get_json_result(self) -> Any:
        """The pages as JSON."""
        return self._parser().get_json_result(self._pdf)

    def images_and_workbooks(self) -> Any:
        """The first bytes of every file that can be downloaded, and the images' names."""
        return asyncio.run(self._downloads())

    async def _downloads(self) -> Any:
        parser, drawn = (
            self._parser(take_screenshot=True),
            self._written("drawn.pdf", "%PDF-1\ntwo"),
        )
        found = await parser.aget_json(drawn)
        images = await parser.aget_images(found, str(self._folder / "images"))
        books = await parser.aget_xlsx(found, str(self._folder / "books"))
        result = await parser.aget_result(found[0]["job_id"])
        starts = [self._start(entry["path"]) for entry in (*images, *books)]
        image = await result.aget_image_data("page_1.jpg")
        book = await result.aget_xlsx_data()
        again = [data[:2].hex() for data in (image, book)]
        return {"starts": starts, "names": result.get_image_names(), "again": again}

    def embedded_images(self) -> Any:
        """Name, box and first bytes of the picture within a page, which are kept unless one says otherwise."""
        return asyncio.run(self._embedded())

    async def _embedded(self) -> Any:
        parser = self._parser()
        found = await parser.aget_json(str(self._folder / "pictured.pdf"))
        (image,) = await parser.aget_images(found, str(self._folder / "embedded"))
        result = await parser.aget_result(found[0]["job_id"])
        box = [image[side] for side in ("x", "y", "width", "height")]
        data = await result.aget_image_data(image["name"])
        starts = [data[:2].hex(), self._start(image["path"])]
        return {"name": image["name"], "box": box, "starts": starts}

    def _start(self, path: str) -> str:
        return Path(path).read_bytes()[:2].hex()

    def partitioned(self) -> Any:
        """The whole document, two pages a job."""
        return self._texts(
            self._pdf, result_type="markdown", partition_pages=2, split_by_page=False
        )

    def several(self) -> Any:
        """Three documents at once."""
        files = [self._written(f"{n}.pdf", f"document {n}") for n in range(3)]
        return self._texts(files, result_type="markdown")

    def by_address(self) -> Any:
        """A document that the service fetches."""
        return self._texts(f"{self._source}/page.pdf", result_type="markdown")

    def broken(self) -> Any:
        """What is raised for a document that cannot be read."""
        path = self._written("broken.pdf", "refuse:encrypted")
        try:
            return self._texts(path, result_type="markdown")
        except Exception as error:  # whatever it is: what it says is what is tested
            return str(error)

    def _parser(self, **options: Any) -> Any:
        return LlamaParse(
            api_key="llx-test", base_url=self._url, verbose=False, ignore_errors=False, **options
        )

    def _texts(self, what: Any, **options: Any) -> list[str]:
        return [document.text for document in self._parser(**options).load_data(what)]

    def _written(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text)
        return str(path)


def run(url: str, folder: Path, source: str) -> dict[str, Any]:
    """All ways at the same time, since each waits a second before it asks."""
    ways = Ways(url, folder, source)
    names = [name for name in vars(Ways) if not name.startswith("_")]
    with ThreadPoolExecutor(len(names)) as pool:
        running = {name: pool.submit(getattr(ways, name)) for name in names}
        return {name: future.result() for name, future in running.items()}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))  # noqa: T201
