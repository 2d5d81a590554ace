"""What a job gave besides its pages: by presigned links, in chunks, without the key, from nowhere inside."""

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import pytest
from pydantic import SecretStr

from core.blobs import Blobs
from core.engines.llamaparse import Expand, LlamaParseEngine
from core.engines.llamaparse.calls import LARGEST_ANSWER_BYTES
from core.engines.protocol import EngineStatus
from core.errors import StorageFull, UpstreamError, UpstreamKind
from core.simulator import SimulatorConfig, create_simulator
from tests.simulator.cast import an_order, read_lines
from tests.simulator.serving import Serving

T = TypeVar("T")
SERVICE = "https://service.example"
STORAGE = "https://storage.example/results/1?signature=abc"
JOB = {"id": "pjb-1", "project_id": "p", "status": "COMPLETED"}
PUBLIC = "93.184.215.14"
JPEG = b"\xff\xd8\xff\xe0picture"
Use = Callable[[LlamaParseEngine], Awaitable[T]]


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def _xlsx(engine: LlamaParseEngine) -> Awaitable[bytes | None]:
    return engine.download("pjb-1", Expand.XLSX_LINK, _read)


def _shots(engine: LlamaParseEngine, target_pages: str = "") -> Awaitable[Mapping[int, bytes]]:
    return engine.pictures("pjb-1", an_order(target_pages=target_pages), _read)


def _with(handle: Callable[[httpx.Request], httpx.Response], use: Use[T]) -> T:
    async def run() -> T:
        engine = LlamaParseEngine(
            SERVICE, SecretStr("k"), transport=httpx.MockTransport(handle), retry_pause_s=0.001
        )
        try:
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


@dataclass
class _World:
    """A service with a storage behind it: what the one links to, and what the other answers in turn."""

    link: str = STORAGE
    size_bytes: int | None = 9
    answers: list[httpx.Response | Exception] = field(default_factory=list)
    addresses: list[str] = field(default_factory=lambda: [PUBLIC])
    asked: list[httpx.Request] = field(default_factory=list)
    downloads: list[httpx.Request] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/"):
            self.asked.append(request)
            output = {"exists": True, "presigned_url": self.link, "size_bytes": self.size_bytes}
            return httpx.Response(200, json={"job": JOB, "result_content_metadata": {"x": output}})
        self.downloads.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, content=b"123456789")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def resolve(self, _host: str, _port: int) -> list[str]:
        return self.addresses

    def run(self, use: Use[T], base_url: str = SERVICE, **options: Any) -> T:
        """What ``use`` makes of an engine in this world."""

        async def run() -> T:
            engine = LlamaParseEngine(
                base_url,
                SecretStr("llx-key"),
                retry_pause_s=0.001,
                transport=httpx.MockTransport(self.handle),
                resolve=self.resolve,
                **options,
            )
            try:
                return await use(engine)
            finally:
                await engine.close()

        return asyncio.run(run())


def test_a_link_is_followed_without_the_key() -> None:
    """The storage sees the link and its own name, never the key; the connection goes where was looked."""
    world = _World()
    assert world.run(_xlsx) == b"123456789"
    (asked,), (download,) = world.asked, world.downloads
    assert asked.url.params.get_list("expand") == ["xlsx_content_metadata"]
    assert "authorization" not in download.headers
    assert "llx-key" not in str(download.headers)
    assert (download.url.host, download.headers["host"]) == (PUBLIC, "storage.example")
    assert download.extensions["sni_hostname"] == "storage.example"
    assert download.url.params["signature"] == "abc"


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_link_that_expired_is_asked_for_anew(status: int) -> None:
    """What the storage no longer honours is fetched with a fresh link."""
    world = _World(answers=[httpx.Response(status, text="Request has expired")])
    assert world.run(_xlsx) == b"123456789"
    assert (len(world.asked), len(world.downloads)) == (2, 2)


def test_a_link_that_stays_refused_is_told_and_not_asked_for_ever() -> None:
    """After as many fresh links as a call has tries, the failure says so, without the link in it."""
    world = _World(answers=[httpx.Response(403) for _ in range(9)])
    with pytest.raises(UpstreamError, match="refused a link") as caught:
        world.run(_xlsx, max_retries=2)
    assert len(world.downloads) == 3
    assert "signature" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    "broken",
    [
        httpx.Response(200, content=b"12345"),
        httpx.Response(200, content=b"1234567890"),
        httpx.Response(503),
        httpx.ReadError("reset"),
        httpx.ConnectTimeout("slow"),
    ],
    ids=["short", "long", "503", "reset", "slow"],
)
def test_a_download_that_broke_off_is_repeated(broken: httpx.Response | Exception) -> None:
    """Fewer or more bytes than were told, and what passes, never count as a result."""
    world = _World(answers=[broken])
    assert world.run(_xlsx) == b"123456789"
    assert len(world.downloads) == 2


@pytest.mark.parametrize(
    ("link", "addresses"),
    [
        ("http://storage.example/1", [PUBLIC]),
        ("file:///etc/passwd", [PUBLIC]),
        ("https://user:pw@storage.example/1", [PUBLIC]),
        ("https://127.0.0.1/1", ["127.0.0.1"]),
        ("https://[::1]/1", ["::1"]),
        ("https://169.254.169.254/latest/meta-data", ["169.254.169.254"]),
        ("https://storage.internal/1", [PUBLIC]),
        ("https://storage.example/1", ["10.0.0.7"]),
        ("https://storage.example/1", [PUBLIC, "::ffff:127.0.0.1"]),
        ("https://storage.example/1", []),
        ("https://service.example:8443/1", ["192.168.0.1"]),
        ("https://storage.example:notaport/1", [PUBLIC]),
        ("no link at all", [PUBLIC]),
    ],
)
def test_a_hostile_answer_leads_nowhere_inside(link: str, addresses: list[str]) -> None:
    """A link to anything but https at a public address is refused before a connection is made."""
    world = _World(link=link, addresses=addresses)
    with pytest.raises(UpstreamError, match="not followed") as caught:
        world.run(_xlsx)
    assert world.downloads == []
    assert (caught.value.kind, len(world.asked)) == (UpstreamKind.INVALID, 1)


def test_links_of_mock_never_leave_the_simulator() -> None:
    """In MOCK nothing but the simulator's own address is followed, however public another is."""

    def handle(request: httpx.Request) -> httpx.Response:
        answer = _World().handle(request)
        answer.headers["X-Parsedeck-Simulator"] = "1"
        return answer

    async def run() -> None:
        engine = LlamaParseEngine(
            "http://127.0.0.1:9700",
            SecretStr("k"),
            simulated=True,
            transport=httpx.MockTransport(handle),
        )
        with pytest.raises(UpstreamError, match="leads away from the simulator"):
            await _xlsx(engine)
        await engine.close()

    asyncio.run(run())


def test_the_account_s_own_place_is_followed_whatever_it_is() -> None:
    """A service in a private network, which a person configured, may link to itself."""
    world = _World(link="http://10.0.0.5:8080/files/1", addresses=[])
    assert world.run(_xlsx, base_url="http://10.0.0.5:8080") == b"123456789"
    assert "authorization" not in world.downloads[0].headers


def test_a_redirect_of_a_link_is_not_followed() -> None:
    """A redirect would lead to where nobody looked."""
    moved = httpx.Response(302, headers={"location": "http://169.254.169.254/"})
    world = _World(answers=[moved])
    with pytest.raises(UpstreamError, match="302"):
        world.run(_xlsx)
    assert len(world.downloads) == 1


def test_what_a_job_does_not_have_is_none() -> None:
    """An output that does not exist is no failure."""
    world = _World(link="")
    assert world.run(_xlsx) is None
    assert world.downloads == []


@pytest.mark.parametrize("value", list(Expand))
def test_every_value_of_expand_is_one_of_the_service_s(value: Expand) -> None:
    """The closed set is the sheet's: each is sent as it is, and its answer is read."""
    world = _World()
    answer = world.run(lambda engine: engine.get("pjb-1", value))
    assert world.asked[0].url.params.get_list("expand") == [value.value]
    assert answer.job.id == "pjb-1"


def test_what_a_newer_service_says_of_links_breaks_nothing() -> None:
    """Unknown shapes around links are read as no links."""

    def handle(_request: httpx.Request) -> httpx.Response:
        odd = {"images": [7, {"index": "x", "filename": None}], "total_count": "many"}
        outputs = {"x": {"size_bytes": "9", "exists": None, "presigned_url": 3}}
        body = {"job": JOB, "images_content_metadata": odd, "result_content_metadata": outputs}
        return httpx.Response(200, json=body)

    assert _with(handle, _xlsx) is None
    assert _with(handle, _shots) == {}


def _pictures(names: list[str], *, target_pages: str = "") -> dict[int, bytes]:
    """The page pictures of a job whose screenshots have these names, by page."""

    def handle(request: httpx.Request) -> httpx.Response:
        if not request.url.path.startswith("/api/"):
            return httpx.Response(200, content=JPEG + request.url.path.encode())
        shots = [
            {
                "index": n,
                "filename": name,
                "category": "screenshot",
                "presigned_url": SERVICE + f"/{n}",
            }
            for n, name in enumerate(names)
        ]
        other = {"index": 9, "filename": "img_p0.png", "category": "embedded", "presigned_url": "x"}
        images = {"total_count": len(names), "images": [other, *shots]}
        return httpx.Response(200, json={"job": JOB, "images_content_metadata": images})

    return dict(_with(handle, lambda engine: _shots(engine, target_pages)))


@pytest.mark.parametrize(
    ("names", "target_pages", "pages"),
    [
        (["page_1.jpg", "page_2.jpg"], "", {1: 0, 2: 1}),
        (["page_10.jpg", "page_2.jpg"], "", {10: 0, 2: 1}),
        (["page-0.png", "page-1.png"], "", {1: 0, 2: 1}),
        (["first.jpg", "second.jpg"], "", {1: 0, 2: 1}),
        (["page_1.jpg", "page_2.jpg"], "4,7", {4: 0, 7: 1}),
        (["page_4.jpg", "page_7.jpg"], "4,7", {4: 0, 7: 1}),
    ],
)
def test_pictures_belong_to_the_document_s_pages(
    names: list[str], target_pages: str, pages: dict[int, int]
) -> None:
    """Screenshots, and no other image, are assigned by their numbers, counted from 0 or 1, or by order."""
    found = _pictures(names, target_pages=target_pages)
    assert found == {page: JPEG + f"/{n}".encode() for page, n in pages.items()}


def test_what_is_no_picture_is_not_kept() -> None:
    """Bytes that a browser would take for something else are not stored as a page's picture."""

    def handle(request: httpx.Request) -> httpx.Response:
        if not request.url.path.startswith("/api/"):
            return httpx.Response(200, content=b"<svg onload='alert(1)'/>")
        shot = {"filename": "page_1.jpg", "category": "screenshot", "presigned_url": SERVICE + "/1"}
        return httpx.Response(200, json={"job": JOB, "images_content_metadata": {"images": [shot]}})

    assert _with(handle, _shots) == {}


def test_a_result_comes_from_the_simulator_s_link_into_the_blob_store(tmp_path: Path) -> None:
    """Over real HTTP: the whole markdown by its link, stored under the hash of what came."""
    blobs, order = Blobs.open(None, tmp_path), an_order("one\ntwo")

    async def run(url: str) -> tuple[str | None, str]:
        engine = LlamaParseEngine(url, SecretStr("llx-test"), simulated=True)
        job = await engine.submit(order)
        while job.status is not EngineStatus.COMPLETED:
            await asyncio.sleep(0.02)
            job = await engine.status(job.vendor_job_id)
        answer = await engine.get(job.vendor_job_id, Expand.MARKDOWN_FULL)
        stored = await engine.download(
            job.vendor_job_id, Expand.MARKDOWN_FULL_LINK, blobs.put_stream
        )
        await engine.close()
        return stored, answer.markdown_full

    with Serving(create_simulator(SimulatorConfig(), tmp_path / "s", read_lines)) as simulator:
        stored, markdown = asyncio.run(run(simulator.url))
    assert stored == hashlib.sha256(markdown.encode()).hexdigest()
    assert blobs.get(stored) == b"# one\n\n---\n\n# two"


def test_an_expired_link_of_the_simulator_is_renewed(tmp_path: Path) -> None:
    """Against links that are dead when they are made, the client gives up; nothing half is stored."""
    blobs, order = Blobs.open(None, tmp_path), an_order("one")

    async def run(url: str) -> None:
        engine = LlamaParseEngine(
            url, SecretStr("llx-test"), simulated=True, max_retries=1, retry_pause_s=0.001
        )
        job = await engine.submit(order)
        while job.status is not EngineStatus.COMPLETED:
            await asyncio.sleep(0.02)
            job = await engine.status(job.vendor_job_id)
        with pytest.raises(UpstreamError, match="The simulator's storage refused"):
            await engine.download(job.vendor_job_id, Expand.TEXT_FULL_LINK, blobs.put_stream)
        await engine.close()

    config = SimulatorConfig(link_s=-1)
    with Serving(create_simulator(config, tmp_path / "s", read_lines)) as simulator:
        asyncio.run(run(simulator.url))
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Half a download is no blob, and no part of it stays behind."""
    blobs = Blobs.open(None, tmp_path)

    async def half() -> AsyncIterator[bytes]:
        yield os.urandom(100_000)
        raise UpstreamError(UpstreamKind.CONNECTION, "gone")

    with pytest.raises(UpstreamError, match="gone"):
        asyncio.run(blobs.put_stream(half()))
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


class _Large(httpx.AsyncByteStream):
    """64 MB that never exist at once."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number in range(1024):
            yield bytes([number % 256]) * 65_536


def test_a_download_is_streamed(tmp_path: Path) -> None:
    """A large output goes from the socket to the blob store in chunks; memory stays flat."""
    size = 64 * 1024 * 1024
    blobs = Blobs.open(None, tmp_path)
    world = _World(size_bytes=size, answers=[httpx.Response(200, stream=_Large())])
    tracemalloc.start()
    try:
        sha256 = world.run(lambda e: e.download("pjb-1", Expand.XLSX_LINK, blobs.put_stream))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sha256 is not None
    with blobs.as_file(sha256) as path:
        assert path.stat().st_size == size
    assert peak < 8 * 1024 * 1024


class _Endless(httpx.AsyncByteStream):
    """A JSON answer without end."""

    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"job":{"id":"pjb-1","status":"COMPLETED"},"markdown":{"pages":["'
        while self.sent < 4 * LARGEST_ANSWER_BYTES:
            self.sent += 1024 * 1024
            yield b"x" * (1024 * 1024)


def test_a_result_that_does_not_fit_is_taken_without_what_is_large() -> None:
    """An answer past the bound is not read to its end; the same is asked for with fewer parts, and told."""
    streams: list[_Endless] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if "items" in request.url.params.get_list("expand"):
            streams.append(_Endless())
            return httpx.Response(200, stream=streams[0])
        page = {"page_number": 1, "markdown": "# one", "text": "one"}
        section = {"pages": [page]}
        return httpx.Response(200, json={"job": JOB, "markdown": section, "text": section})

    result = _with(handle, lambda engine: engine.fetch("pjb-1", an_order()))
    assert streams[0].sent <= LARGEST_ANSWER_BYTES + 1024 * 1024
    assert result.pages[0].markdown == "# one"
    assert result.pages[0].notes == ("The result is very large, so its items were left out.",)


def test_a_result_whose_markdown_does_not_fit_is_told_with_what_to_do() -> None:
    """What can never be read into memory fails as such, and is not asked for again and again."""
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, stream=_Endless())

    with pytest.raises(UpstreamError, match="page ranges") as caught:
        _with(handle, lambda engine: engine.fetch("pjb-1", an_order()))
    assert (caught.value.kind, caught.value.retryable) == (UpstreamKind.TOO_LARGE, False)
    assert len(asked) == 3


def test_a_full_disk_is_not_taken_for_a_bad_link() -> None:
    """What fails on this side while a result is stored keeps its own words, and is not repeated."""
    world = _World()

    async def full(_chunks: AsyncIterator[bytes]) -> bytes:
        raise StorageFull("There is no room left.", "Free some space.")

    with pytest.raises(StorageFull):
        world.run(lambda engine: engine.download("pjb-1", Expand.XLSX_LINK, full))
    assert len(world.downloads) == 1
