"""The unmodified ``llama-cloud-services`` (LlamaParse) takes the look-alike for the service."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.domain.documents import ParsedDocument
from core.engines.local import LocalEngine
from core.simulator import SimulatorConfig, create_simulator
from tests.simulator.cast import pdf_with_a_picture, read_lines
from tests.simulator.serving import Serving

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "legacy" / "bin" / "python"
JOINED = "\n\n---\n\n"


def _draw(_path: Path, number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 50 + number)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each way of using LlamaParse gave, and the look-alike's ledger afterwards."""
    assert PYTHON.exists(), "The older client has an environment of its own: run `make legacy`."
    folder = tmp_path_factory.mktemp("legacy")
    local = LocalEngine()

    async def read(path: Path, name: str, pages: str) -> ParsedDocument:
        return await (local.read if name == "pictured.pdf" else read_lines)(path, name, pages)

    app = create_simulator(
        SimulatorConfig(api_key="llx-test"),
        folder / "simulator",
        read,
        page_image=_draw,
        figures=local,
    )
    page = Route("/page.pdf", lambda _request: PlainTextResponse("from afar"))
    (folder / "documents").mkdir()
    (folder / "documents" / "pictured.pdf").write_bytes(pdf_with_a_picture())
    with Serving(app) as simulator, Serving(Starlette(routes=[page])) as source:
        script = Path(__file__).with_name("legacy_client.py")
        done = subprocess.run(
            [PYTHON, "-W", "ignore", script, simulator.url, folder / "documents", source.url],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        ledger = httpx.get(f"{simulator.url}/__simulator/ledger").json()
    local.close_workers()
    return {**json.loads(done.stdout.splitlines()[-1]), "ledger": ledger}


def test_load_data(told: dict[str, Any]) -> None:
    """Markdown and text arrive whole, and split by page as the client splits them."""
    lines = ["one", "two", "three", "four", "five"]
    assert told["load_data"] == [JOINED.join(f"# {line}" for line in lines)]
    assert told["load_text"] == [JOINED.join(lines[:2])]
    assert told["split_by_page"] == [f"# {line}" for line in lines]


def test_parse(told: dict[str, Any]) -> None:
    """The chosen pages, counted from 0 in the request, arrive as pages with the job's metadata."""
    assert told["parse"]["pages"] == [[1, "# one"], [3, "# three"]]
    assert told["parse"]["metadata"]["job_pages"] == 2
    assert told["parse"]["error"] is None


def test_get_json_result(told: dict[str, Any]) -> None:
    """Pages with their items arrive under the job's id."""
    (result,) = told["get_json_result"]
    assert [page["md"] for page in result["pages"]][:2] == ["# one", "# two"]
    assert result["pages"][0]["items"][0]["type"] == "heading"
    assert result["job_id"] in {job["id"] for job in told["ledger"]["jobs"]}


def test_images_and_workbooks(told: dict[str, Any]) -> None:
    """Page screenshots arrive as JPEG and tables as XLSX, through both prefixes."""
    assert told["images_and_workbooks"]["names"] == ["page_1.jpg", "page_2.jpg"]
    assert told["images_and_workbooks"]["starts"] == ["ffd8", "ffd8", "504b"]
    assert told["images_and_workbooks"]["again"] == ["ffd8", "504b"]


def test_embedded_images(told: dict[str, Any]) -> None:
    """A picture within a page arrives with its place, both ways that the client fetches it."""
    assert told["embedded_images"] == {
        "name": "img_p0_1.jpg",
        "box": [100, 392, 200, 100],
        "starts": ["ffd8", "ffd8"],
    }


def test_partitioned_pages(told: dict[str, Any]) -> None:
    """Windows of two pages until the document ends give every page once, and are billed once."""
    text = told["partitioned"][0]
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        f"# {line}" for line in ("one", "two", "three", "four", "five")
    ]


def test_several_files_and_an_address(told: dict[str, Any]) -> None:
    """A list of files is parsed file by file, an address is fetched by the look-alike."""
    assert told["several"] == [f"# document {number}" for number in range(3)]
    assert told["by_address"] == ["# from afar"]


def test_a_failed_job_raises_with_its_code(told: dict[str, Any]) -> None:
    """The failure code reaches the caller."""
    assert "PDF_IS_PROTECTED" in told["broken"]
