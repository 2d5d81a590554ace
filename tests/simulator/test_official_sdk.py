"""The unmodified newest official SDK takes the look-alike for the service, its own validation switched on."""

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2 as httpx
import pytest
from llama_cloud import (
    APIStatusError,
    AsyncLlamaCloud,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    LlamaCloud,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableEntityError,
)
from llama_cloud.types.parsing_get_response import ImagesContentMetadataImage
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.engines.local import LocalEngine
from core.simulator import SimulatorConfig, create_simulator
from core.simulator.images import Category
from core.simulator.outputs import OUTPUTS
from core.simulator.results import SECTIONS
from tests.simulator.cast import pdf_with_a_picture, read_lines
from tests.simulator.serving import Serving

Simulate = Callable[..., str]
EVERYTHING = [
    *SECTIONS,
    "text_full",
    "markdown_full",
    "job_metadata",
    "usage",
    "images_content_metadata",
    *(f"{name}_content_metadata" for name in OUTPUTS),
]
# every key that the SDK knows, to see that none is refused
OPTIONS = {
    "agentic_options": {"custom_prompt": "Be brief."},
    "crop_box": {"top": 0.1, "left": 0.0, "right": 1.0, "bottom": 0.9},
    "disable_cache": True,
    "input_options": {
        "html": {"make_all_elements_visible": True},
        "image": {"camera_photo_correction": False},
        "pdf": {},
        "presentation": {"include_hidden_slides": True, "skip_embedded_data": False},
        "spreadsheet": {"include_hidden_sheets": True},
    },
    "output_options": {
        "additional_outputs": ["stripped_md"],
        "granular_bboxes": ["word"],
        "images_to_save": ["screenshot"],
        "markdown": {"annotate_line_numbers": True, "tables": {"merge_continued_tables": True}},
        "save_output_pdf": True,
        "spatial_text": {"do_not_unroll_columns": True},
        "tables_as_spreadsheet": {"enable": True},
        "watermark_handling": "remove",
    },
    "page_ranges": {"target_pages": "1-2"},
    "processing_control": {
        "timeouts": {"base_in_seconds": 300, "extra_time_per_page_in_seconds": 30},
        "job_failure_conditions": {"allowed_page_failure_ratio": 0.5},
    },
    "processing_options": {
        "auto_mode_configuration": [{"parsing_conf": {"tier": "agentic"}, "table_in_page": True}],
        "cost_optimizer": {"enable": False},
        "forms": "default",
        "ocr_parameters": {"languages": ["en"]},
    },
}


def _draw(_path: Path, _number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 50)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A simulator that can draw pages."""
    config = SimulatorConfig(api_key="llx-test")
    app = create_simulator(config, tmp_path / "simulator", read_lines, page_image=_draw)
    with ExitStack() as stack:
        yield stack.enter_context(Serving(app)).url


def _client(url: str, api_key: str = "llx-test") -> LlamaCloud:
    return LlamaCloud(
        api_key=api_key, base_url=url, _strict_response_validation=True, max_retries=0
    )


def test_every_option_and_every_section(url: str, tmp_path: Path) -> None:
    """One parse with all options; every section passes the SDK's own validation."""
    document = tmp_path / "terms.pdf"
    document.write_bytes(b"%PDF-1\n- [x] agreed\n[link](https://a.example)")
    with _client(url) as client:
        result = client.parsing.parse(
            tier="agentic",
            version="latest",
            upload_file=document,
            expand=EVERYTHING,
            polling_interval=0.05,
            **OPTIONS,  # type: ignore[arg-type]
        )
    assert result.job.usage is not None
    assert result.job.usage.credits == 20
    assert result.items is not None
    assert result.forms is not None
    assert result.metadata is not None
    assert [page.page_number for page in result.items.pages] == [1, 2]
    assert result.images_content_metadata is not None
    assert result.images_content_metadata.total_count == 2
    assert result.result_content_metadata is not None
    assert len(result.result_content_metadata) == len(OUTPUTS)
    for link in result.result_content_metadata.values():
        assert link.presigned_url
        assert len(httpx.get(link.presigned_url).content) == link.size_bytes
    for image in result.images_content_metadata.images:
        assert httpx.get(image.presigned_url or "").content[:2] == b"\xff\xd8"


def test_images_of_every_category(tmp_path: Path) -> None:
    """Screenshot, embedded and layout images come with their places, those that were asked for and no others."""
    local = LocalEngine()
    app = create_simulator(
        SimulatorConfig(),
        tmp_path / "simulator",
        local.read,
        page_image=local.page_image,
        figures=local,
    )

    def found(client: LlamaCloud, *kinds: Category) -> list[ImagesContentMetadataImage]:
        result = client.parsing.parse(
            tier="agentic",
            version="latest",
            upload_file=("pictured.pdf", pdf_with_a_picture()),
            output_options={"images_to_save": [kind.value for kind in kinds]},
            expand=["images_content_metadata"],
            polling_interval=0.05,
        )
        assert result.images_content_metadata is not None
        return result.images_content_metadata.images

    with Serving(app) as served, _client(served.url) as client:
        images = found(client, *Category)
        (alone,) = found(client, Category.EMBEDDED)
        data = [httpx.get(image.presigned_url or "").content for image in images]
    local.close_workers()
    assert [(image.index, image.category, image.filename) for image in images] == [
        (0, "screenshot", "page_1.jpg"),
        (1, "embedded", "img_p0_1.jpg"),
        (2, "layout", "page_1_figure_1.jpg"),
        (3, "screenshot", "page_2.jpg"),
    ]
    assert (alone.category, alone.bbox) == ("embedded", images[1].bbox)
    assert alone.bbox is not None
    assert alone.bbox.model_dump() == {"x": 100, "y": 392, "w": 200, "h": 100}
    sizes = [Image.open(io.BytesIO(each)).size for each in data]
    assert sizes[1] == (200, 100)
    # the layout image is the same place cut out of the screenshot, at 110 dots per inch
    assert sizes[2] == (306, 153)


def test_files_from_creation_to_deletion(url: str) -> None:
    """Every method on files, and a job that is made from one."""
    with _client(url) as client:
        made = client.files.create(
            file=("a.pdf", b"one\ntwo"), purpose="parse", external_file_id="x"
        )
        client.files.create(file=("b.pdf", b"two"), purpose="parse")
        assert client.files.retrieve(made.id, expand=["download_url"]).download_url is not None
        assert [file.id for file in client.files.list(external_file_id="x", page_size=1)] == [
            made.id
        ]
        assert len(list(client.files.list(page_size=1))) == 2
        assert httpx.get(client.files.content(made.id).url).content == b"one\ntwo"
        with pytest.warns(DeprecationWarning, match="GET /files"):
            found = client.files.query(filter={"file_name": "b.pdf"})
        assert [file.name for file in found.items] == ["b.pdf"]
        result = client.parsing.parse(
            tier="fast",
            version="latest",
            file_id=made.id,
            expand=["text_full"],
            polling_interval=0.05,
        )
        assert result.text_full == "one\n\n---\n\ntwo"
        client.files.delete(made.id)
        with pytest.raises(NotFoundError):
            client.files.retrieve(made.id)


def test_jobs_are_listed_cancelled_and_deleted(simulate: Simulate) -> None:
    """Paging yields each job once, filters hold, a cancel with an empty JSON body is understood."""
    url = simulate(pending_s=3600)
    with _client(url) as client:
        ids = [
            client.parsing.create(
                tier="fast",
                version="latest",
                upload_file=("a.pdf", b"%d" % n),
                user_metadata={"n": "1"},
            ).id
            for n in range(3)
        ]
        assert [job.id for job in client.parsing.list(page_size=2)] == ids[::-1]
        assert client.parsing.cancel(ids[0]).status == "CANCELLED"
        assert [job.id for job in client.parsing.list(status="CANCELLED")] == ids[:1]
        assert [job.id for job in client.parsing.list(job_ids=ids[:2])] == ids[1::-1]
        assert client.parsing.delete(ids[0]).id == ids[0]
        with pytest.raises(ConflictError):
            client.parsing.delete(ids[1])
        assert client.parsing.list_versions().latest.fast == "2026-06-15"


def test_a_job_from_an_address(url: str) -> None:
    """``source_url`` goes through the JSON route, where user metadata arrives."""
    page = Route("/page.pdf", lambda _request: PlainTextResponse("one"))
    with Serving(Starlette(routes=[page])) as source, _client(url) as client:
        job = client.parsing.create(
            tier="fast",
            version="latest",
            source_url=f"{source.url}/page.pdf",
            user_metadata={"team": "blue"},
        )
    assert (job.name, job.user_metadata) == ("page.pdf", {"team": "blue"})


def test_saved_receivers(url: str) -> None:
    """Every method on saved webhook configurations."""
    with _client(url) as client:
        hooks = client.webhook_configs
        made = hooks.create(webhook_url="https://a.example/", webhook_signing_secret="whsec_x")
        assert made.has_secret
        changed = hooks.update(made.id, webhook_events=["parse.success"])
        assert changed.webhook_events == ["parse.success"]
        assert hooks.retrieve(made.id) == changed
        assert [hook.id for hook in hooks.list_paginated(page_size=1)] == [made.id]
        hooks.delete(made.id)
        with pytest.raises(NotFoundError):
            hooks.retrieve(made.id)


def test_each_refusal_is_the_sdks_own_error(url: str) -> None:
    """The documented statuses arrive as the error types that scripts catch."""
    other = "11111111-1111-4111-8111-111111111111"
    document = {"tier": "fast", "version": "latest", "upload_file": ("a.pdf", b"one")}
    with _client(url) as client, _client(url, "llx-wrong") as stranger:
        with pytest.raises(AuthenticationError):
            list(stranger.parsing.list())
        with pytest.raises(NotFoundError):
            client.parsing.get("pjb-none")
        with pytest.raises(PermissionDeniedError):
            client.parsing.create(**document, project_id=other)  # type: ignore[arg-type]
        with pytest.raises(UnprocessableEntityError):
            client.parsing.create(**{**document, "tier": "platinum"})  # type: ignore[arg-type]
        with pytest.raises(BadRequestError):
            client.parsing.create(**{**document, "upload_file": ("a.pdf", b"")})  # type: ignore[arg-type]
        httpx.put(f"{url}/__simulator/faults", json={"faults": ["quota_out=1"]})
        with pytest.raises(APIStatusError) as raised:
            client.parsing.create(**document)  # type: ignore[arg-type]
    assert raised.value.status_code == 402


def test_the_async_client(simulate: Simulate) -> None:
    """The async client parses, lists, cancels and keeps files in the same way."""

    async def run(url: str) -> None:
        async with AsyncLlamaCloud(
            api_key="llx-test", base_url=url, _strict_response_validation=True
        ) as client:
            file = await client.files.create(file=("c.pdf", b"one\nfail"), purpose="parse")
            parsed = await client.parsing.parse(
                tier="agentic",
                version="latest",
                file_id=file.id,
                expand=EVERYTHING,
                polling_interval=0.05,
            )
            assert parsed.markdown is not None
            assert [page.success for page in parsed.markdown.pages] == [True, False]
            waiting = await client.parsing.create(
                tier="fast", version="latest", upload_file=("b.pdf", b"1")
            )
            assert (await client.parsing.cancel(waiting.id)).status == "CANCELLED"
            listed = [job.id async for job in client.parsing.list(page_size=1)]
            assert listed == [waiting.id, parsed.job.id]
            assert (await client.parsing.delete(parsed.job.id)).id == parsed.job.id
            await client.files.delete(file.id)
            assert [f async for f in client.files.list()] == []
            assert (await client.parsing.list_versions()).latest.agentic == "2026-10-16"

    asyncio.run(run(simulate(pending_s=0.8, failure_ratio=1)))
