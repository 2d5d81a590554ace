"""What a finished v2 job gives: sections, items, links, images, all as the fact sheet shapes them."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.errors import DocumentRefused, RefusalReason
from core.simulator import SimulatorConfig, create_simulator
from core.simulator.items import forms_of, items_of
from core.simulator.outputs import OUTPUTS
from core.simulator.sheets import sheet
from tests.simulator.calls import JOBS, done, get
from tests.simulator.cast import read_lines
from tests.simulator.serving import Serving

Simulate = Callable[..., str]
PAGE = """# Terms

Read **this** and [that](https://example.com/that).

| Item | Price |
| --- | --- |
| Tea, green | 3 |

- one
  - deeper
- two

1. first

```python
print("hi")
```

![A cat](cat.png)
"""


def test_the_items_of_a_page_follow_from_its_markdown() -> None:
    """Every kind of block becomes an item with its value and its markdown, in order."""
    items = items_of(PAGE)
    kinds = ["heading", "text", "link", "table", "list", "list", "code", "image"]
    assert [item["type"] for item in items] == kinds
    heading, text, link, table, bullets, numbers, code, image = items
    assert (heading["level"], heading["value"], heading["md"]) == (1, "Terms", "# Terms")
    assert text["value"] == "Read this and that."
    assert (link["url"], link["text"]) == ("https://example.com/that", "that")
    assert table["rows"] == [["Item", "Price"], ["Tea, green", "3"]]
    assert table["csv"] == 'Item,Price\n"Tea, green",3\n'
    assert table["html"].startswith("<table>")
    assert table["md"].startswith("| Item |")
    assert [entry["type"] for entry in bullets["items"]] == ["text", "list", "text"]
    assert (bullets["ordered"], numbers["ordered"]) == (False, True)
    assert (code["value"], code["language"]) == ('print("hi")', "python")
    assert (image["url"], image["caption"]) == ("cat.png", "A cat")


def test_boxes_to_tick_are_a_form() -> None:
    """A list of boxes is a form; a plain list is none."""
    assert forms_of("- one\n- two") == []
    form = forms_of("- [x] I agree\n- [ ] Call me")[0]
    assert [(field["label"], field["value"]) for field in form["json"]] == [
        ("I agree", True),
        ("Call me", False),
    ]
    assert form["list"]["ordered"] is False


@given(st.text() | st.text(alphabet="#-*|`[]()!>1. \n\tax"))
def test_any_text_has_items(markdown: str) -> None:
    """Whatever a reader made of a page, its items can be told, and as JSON."""
    json.dumps([items_of(markdown), forms_of(markdown)])


def test_failed_pages_fail_in_every_section(simulate: Simulate) -> None:
    """A failed page says so in each section that can, and its text is kept."""
    url = simulate(failure_ratio=1)
    expand = "markdown,items,forms,text,metadata"
    answer = get(url, f"{JOBS}/{done(url, b'one' + bytes([10]) + b'fail')}", expand=expand).json()
    for section in ("markdown", "items", "forms"):
        assert answer[section]["pages"][1] == {
            "page_number": 2,
            "success": False,
            "error": "the page is broken",
        }
    assert answer["items"]["pages"][0]["items"][0]["value"] == "one"
    assert [page["page_number"] for page in answer["metadata"]["pages"]] == [1, 2]


def test_every_output_has_a_link(simulate: Simulate) -> None:
    """Each link needs no key and gives as many bytes as were said; what was not asked for is not there."""
    url = simulate(api_key="llx-test")
    job_id = done(url, output_options={"tables_as_spreadsheet": {"enable": True}})
    expand = [f"{name}_content_metadata" for name in OUTPUTS]
    answer = get(url, f"{JOBS}/{job_id}", expand=expand).json()
    links = answer["result_content_metadata"]
    assert {"md", "fullText", "json", "xlsx", "outputPDF"} <= set(links)
    assert links["outputPDF"] == {"size_bytes": 0, "exists": False, "presigned_url": None}
    for name, link in links.items():
        if name != "outputPDF":
            assert len(httpx.get(link["presigned_url"]).content) == link["size_bytes"]
    assert httpx.get(links["md"]["presigned_url"]).text == "# one\n\n---\n\n# two"
    assert zipfile.is_zipfile(io.BytesIO(httpx.get(links["xlsx"]["presigned_url"]).content))
    forged = links["md"]["presigned_url"].replace("markdown_full", "text_full")
    assert httpx.get(forged).status_code == 403


class Studio:
    """Draws pages in one colour; the last page cannot be drawn."""

    def draw(self, _path: Path, number: int) -> bytes:
        """A page as PNG."""
        if number == 2:
            raise DocumentRefused(RefusalReason.NO_PAGES, "There is no page 2.", "")
        out = io.BytesIO()
        Image.new("RGBA", (85, 110), (10, 120, 200, 255)).save(out, "PNG")
        return out.getvalue()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[str]:
    """A simulator whose reader gives page images."""
    with ExitStack() as stack:
        app = create_simulator(SimulatorConfig(), tmp_path, read_lines, page_image=Studio().draw)
        yield stack.enter_context(Serving(app)).url


def _images(url: str, job_id: str, **params: str) -> dict[str, Any]:
    answer = get(url, f"{JOBS}/{job_id}", expand="images_content_metadata", **params).json()
    images: dict[str, Any] = answer["images_content_metadata"]
    return images


def test_page_screenshots_come_when_they_are_asked_for(studio: str) -> None:
    """One JPEG for each page of a PDF, behind a link; none unasked."""
    asked = {"output_options": {"images_to_save": ["screenshot"]}}
    job_id = done(studio, b"%PDF-1\ntwo", **asked)
    images = _images(studio, job_id)
    assert images["total_count"] == 2
    assert [image["filename"] for image in images["images"]] == ["page_1.jpg", "page_2.jpg"]
    assert {image["category"] for image in images["images"]} == {"screenshot"}
    drawn = httpx.get(images["images"][0]["presigned_url"])
    assert drawn.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(drawn.content)).size == (85, 110)
    assert httpx.get(images["images"][1]["presigned_url"]).status_code == 404
    chosen = _images(studio, job_id, image_filenames="page_2.jpg")
    assert [image["index"] for image in chosen["images"]] == [1]
    assert _images(studio, done(studio, b"%PDF-1\nplain"))["images"] == []


def test_screenshots_of_what_cannot_be_drawn_say_that_they_are_simulated(
    studio: str, tmp_path: Path
) -> None:
    """What is no PDF has a sheet with its text for each page, an image has itself, both marked."""
    asked = {"output_options": {"images_to_save": ["screenshot"]}}
    images = _images(studio, done(studio, b"no pdf\ntwo", **asked))["images"]
    first, second = (httpx.get(image["presigned_url"]).content for image in images)
    assert Image.open(io.BytesIO(first)).size == (935, 1210)
    assert first != second
    photo = tmp_path / "photo"
    Image.new("RGB", (300, 200), "white").save(photo, "PNG")
    itself = Image.open(io.BytesIO(sheet(photo, "")))
    assert itself.size == (300, 200)
    assert itself.getpixel((290, 5)) != (255, 255, 255)
    assert itself.getpixel((290, 190)) == (255, 255, 255)


def test_the_document_itself_is_the_pdf(studio: str) -> None:
    """A PDF that was asked to be saved comes back; another document has none."""
    asked = {"output_options": {"save_output_pdf": True}}
    job_id = done(studio, b"%PDF-1\ntwo", **asked)
    expand = {"expand": "output_pdf_content_metadata"}
    answer = get(studio, f"{JOBS}/{job_id}", **expand).json()
    link = answer["result_content_metadata"]["outputPDF"]
    assert httpx.get(link["presigned_url"]).content == b"%PDF-1\ntwo"
    assert get(studio, f"/api/parsing/job/{job_id}/result/pdf").content == b"%PDF-1\ntwo"
    other = done(studio, b"no pdf", **asked)
    assert get(studio, f"/api/parsing/job/{other}/result/pdf").status_code == 404


def test_a_workbook_has_the_same_bytes_a_second_later(simulate: Simulate) -> None:
    """What a link said of its size is true whenever it is followed."""
    url = simulate()
    job_id = done(url, output_options={"tables_as_spreadsheet": {"enable": True}})
    answer = get(url, f"{JOBS}/{job_id}", expand="xlsx_content_metadata").json()
    link = answer["result_content_metadata"]["xlsx"]["presigned_url"]
    first = httpx.get(link).content
    time.sleep(1.1)
    assert httpx.get(link).content == first
