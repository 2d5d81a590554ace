"""What a submit sends, and what is known when its answer is lost."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx2 as httpx
import pytest

from core.domain.money import Tier
from core.engines.llamaparse import LlamaParseEngine
from core.engines.protocol import ParseOrder, WebhookTarget
from core.errors import UpstreamError, UpstreamKind
from tests.engines.llamaparse.talk import (
    JOB,
    SINCE,
    lost,
    parts_of,
    run_engine,
    submit_answers,
)
from tests.simulator.cast import Memory, an_order


def test_what_a_submit_sends() -> None:
    """Options first, then the document, in one request whose length is known, with the key."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=JOB)

    order = an_order(
        "content",
        name='a"b\r\n.pdf',
        target_pages="1,3-4",
        disable_cache=True,
        webhook=WebhookTarget("https://x/h", "s"),
    )
    order = replace(order, screenshots=True)
    job = run_engine(lambda engine: engine.submit(order), handle)
    assert job.vendor_job_id == "pjb-1"
    assert [request.url.path for request in seen] == [
        "/api/v2/parse/versions",
        "/api/v2/parse/upload",
    ]
    upload = seen[1]
    assert upload.headers["authorization"] == "Bearer llx-key"
    assert "transfer-encoding" not in upload.headers
    assert int(upload.headers["content-length"]) == len(upload.content)
    (_, options), (head, document) = parts_of(upload)
    assert json.loads(options) == {
        "tier": "agentic",
        "version": "latest",
        "page_ranges": {"target_pages": "1,3-4"},
        "disable_cache": True,
        "output_options": {"images_to_save": ["screenshot"]},
        # the service would fail the whole job when one of ten pages fails
        "processing_control": {"job_failure_conditions": {"allowed_page_failure_ratio": 1.0}},
        "user_metadata": {"parsedeck_attempt": "att-1"},
        "webhook_configurations": [
            {
                "webhook_url": "https://x/h",
                "webhook_signing_secret": "s",
                "webhook_events": [
                    "parse.success",
                    "parse.partial_success",
                    "parse.error",
                    "parse.cancelled",
                ],
                "webhook_output_format": "json",
            }
        ],
    }
    assert 'name="file"; filename="a%22b%0D%0A.pdf"' in head
    assert document == b"content"


def test_a_link_is_created_as_json() -> None:
    """A document behind a link is ordered by its address, as JSON, in one request with the same marks."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=JOB)

    link = "https://files.example.com/a.pdf?s=1"
    order = replace(an_order(), content=None, source_url=link, max_pages=7, version="2026-10-16")
    run_engine(lambda engine: engine.submit(order), handle)
    created = seen[-1]
    assert (created.method, created.url.path) == ("POST", "/api/v2/parse")
    assert created.headers["content-type"] == "application/json"
    assert json.loads(created.content) == {
        "tier": "agentic",
        "version": "2026-10-16",
        "source_url": link,
        "page_ranges": {"max_pages": 7},
        "processing_control": {"job_failure_conditions": {"allowed_page_failure_ratio": 1.0}},
        "user_metadata": {"parsedeck_attempt": "att-1"},
    }


def test_a_submit_that_this_machine_held_up_is_not_sent() -> None:
    """Once others may be looking for the request it must not leave any more, and that is no doubt."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(200, json=JOB)

    late = replace(an_order(), send_by=SINCE)
    with pytest.raises(UpstreamError, match="not sent") as caught:
        run_engine(lambda engine: engine.submit(late), handle)
    assert (caught.value.retryable, caught.value.outcome_unknown) == (True, False)
    assert "POST" not in seen


@pytest.mark.parametrize(
    ("deadline_s", "pages", "timeouts"),
    [
        (7200.0, 24, {"base_in_seconds": 1800, "extra_time_per_page_in_seconds": 222}),
        (7200.0, 2, {"base_in_seconds": 1800, "extra_time_per_page_in_seconds": 300}),
        (7200.0, None, {"base_in_seconds": 1800}),
        (7200.0, 9000, {"base_in_seconds": 1800}),
        (600.0, 24, {"base_in_seconds": 540}),
        (30.0, 24, {"base_in_seconds": 1}),
    ],
)
def test_the_service_gives_up_before_our_deadline(
    deadline_s: float, pages: int | None, timeouts: dict[str, int]
) -> None:
    """The job's own deadline goes out in the service's terms, within what both its documents allow."""
    bodies: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(parts_of(request)[0][1] if request.method == "POST" else b"")
        return httpx.Response(200, json=JOB)

    order = replace(an_order(), deadline_s=deadline_s, page_count=pages)
    run_engine(lambda engine: engine.submit(order), handle)
    assert json.loads(bodies[-1])["processing_control"]["timeouts"] == timeouts


def test_what_is_not_asked_for_is_not_sent() -> None:
    """The service refuses nulls and unknown keys, so only what was asked for goes out."""
    bodies: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(parts_of(request)[0][1] if request.method == "POST" else b"")
        return httpx.Response(200, json=JOB)

    run_engine(lambda engine: engine.submit(an_order()), handle)
    sent = json.loads(bodies[-1])
    assert set(sent) == {"tier", "version", "user_metadata", "processing_control"}
    assert set(sent["processing_control"]) == {"job_failure_conditions"}


@pytest.mark.parametrize(
    "answer",
    [
        lost,
        lambda: httpx.Response(500),
        lambda: httpx.Response(504, html="<html>"),
        lambda: httpx.Response(200, html="<html>"),
        lambda: httpx.Response(200, content=b'{"id": "pjb-'),
        lambda: httpx.Response(200, json={"status": "PENDING"}),
    ],
)
def test_a_submit_is_made_once_and_its_lost_answer_is_unknown(
    answer: Callable[[], httpx.Response],
) -> None:
    """Whatever happens to the answer, the document is not sent a second time."""
    posts: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={})
        posts.append(request.method)
        return answer()

    with pytest.raises(UpstreamError) as caught:
        run_engine(lambda engine: engine.submit(an_order()), handle)
    assert caught.value.outcome_unknown
    assert posts == ["POST"]


def test_a_refused_submit_is_known() -> None:
    """A clear refusal is no doubt: nothing was created."""
    refused = submit_answers(
        lambda: httpx.Response(402, json={"detail": "No quota left to create a job"})
    )
    with pytest.raises(UpstreamError) as caught:
        run_engine(lambda engine: engine.submit(an_order()), refused)
    assert (caught.value.kind, caught.value.outcome_unknown) == (UpstreamKind.QUOTA, False)


def test_a_submit_that_takes_too_long_is_unknown() -> None:
    """Our own deadline covers the whole exchange and grows with the size of the document."""

    async def stall(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            await asyncio.sleep(60)
        return httpx.Response(200, json={})

    with pytest.raises(UpstreamError) as caught:
        run_engine(
            lambda engine: engine.submit(an_order()), httpx.MockTransport(stall), timeout_s=0.05
        )
    assert (caught.value.kind, caught.value.outcome_unknown) == (UpstreamKind.TIMEOUT, True)

    async def deadlines(engine: LlamaParseEngine) -> tuple[float, float]:
        return engine.submit_deadline_s(0), engine.submit_deadline_s(512 * 1024 * 1024)

    assert run_engine(deadlines, stall_free) == (30.0, 30.0 + 2048)


def stall_free(_request: httpx.Request) -> httpx.Response:
    """Answers at once."""
    return httpx.Response(200, json={})


class _Sink(httpx.AsyncBaseTransport):
    """Reads a body as a network would, chunk by chunk, and keeps nothing."""

    def __init__(self) -> None:
        self.received = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert isinstance(request.stream, httpx.AsyncByteStream)
            async for chunk in request.stream:
                self.received += len(chunk)
        return httpx.Response(200, json=JOB, request=request)


class _Endless(Memory):
    """64 MB that never exist at once."""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return 64 * 1024 * 1024

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, a new chunk at a time."""
        for number in range(self.size_bytes // self.chunk):
            yield bytes([number % 256]) * self.chunk


def test_an_upload_is_streamed() -> None:
    """A large document goes from blob to socket in chunks; memory stays flat."""
    sink = _Sink()
    order = ParseOrder("att-1", "large.pdf", "application/pdf", _Endless(b""), Tier.FAST)
    tracemalloc.start()
    try:
        run_engine(lambda engine: engine.submit(order), sink)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.received > 64 * 1024 * 1024
    assert peak < 8 * 1024 * 1024
