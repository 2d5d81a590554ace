"""The client against answers that the simulator does not give: lost, late, malformed, newer."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import httpx2 as httpx
import pytest
from pydantic import SecretStr

from core.domain.money import Tier
from core.engines.llamaparse import LlamaParseEngine
from core.engines.protocol import EngineStatus, ParseOrder, WebhookTarget
from core.errors import SettingsError, SimulatorRefused, UpstreamError, UpstreamKind
from tests.simulator.cast import Memory, an_order

T = TypeVar("T")
Handler = Callable[[httpx.Request], httpx.Response]
SINCE = datetime(2026, 11, 24, tzinfo=UTC)
SIMULATOR = {"X-Parsedeck-Simulator": "1"}
JOB = {"id": "pjb-1", "project_id": "p", "status": "COMPLETED"}


def _run(
    use: Callable[[LlamaParseEngine], Awaitable[T]],
    transport: Handler | httpx.AsyncBaseTransport,
    **options: Any,
) -> T:
    """What ``use`` makes of an engine that talks to this handler."""

    async def run() -> T:
        seam = (
            transport
            if isinstance(transport, httpx.AsyncBaseTransport)
            else httpx.MockTransport(transport)
        )
        settings: dict[str, Any] = {"retry_pause_s": 0.001, "transport": seam, **options}
        engine = LlamaParseEngine("https://service.example", SecretStr("llx-key"), **settings)
        try:
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def _submit_answers(answer: Callable[[], httpx.Response]) -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={}) if request.method == "GET" else answer()

    return handle


def _lost() -> httpx.Response:
    message = "the answer is lost"
    raise httpx.ReadError(message)


def _parts(request: httpx.Request) -> list[tuple[str, bytes]]:
    """Head and body of each part of a multipart request."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    parts = request.content.split(b"--" + boundary)[1:-1]
    heads = [part.strip(b"\r\n").partition(b"\r\n\r\n") for part in parts]
    return [(head.decode(), body) for head, _, body in heads]


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
    job = _run(lambda engine: engine.submit(order), handle)
    assert job.vendor_job_id == "pjb-1"
    assert [request.url.path for request in seen] == [
        "/api/v2/parse/versions",
        "/api/v2/parse/upload",
    ]
    upload = seen[1]
    assert upload.headers["authorization"] == "Bearer llx-key"
    assert "transfer-encoding" not in upload.headers
    assert int(upload.headers["content-length"]) == len(upload.content)
    (_, options), (head, document) = _parts(upload)
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
    _run(lambda engine: engine.submit(order), handle)
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
        _run(lambda engine: engine.submit(late), handle)
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
        bodies.append(_parts(request)[0][1] if request.method == "POST" else b"")
        return httpx.Response(200, json=JOB)

    order = replace(an_order(), deadline_s=deadline_s, page_count=pages)
    _run(lambda engine: engine.submit(order), handle)
    assert json.loads(bodies[-1])["processing_control"]["timeouts"] == timeouts


def test_latest_is_resolved_and_remembered() -> None:
    """The version behind "latest" is asked once and sent by name; where it is not said, latest stays."""
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"latest": {"agentic": "2026-10-16"}, "new": [1]})

    async def use(engine: LlamaParseEngine) -> list[str | None]:
        before = engine.known_version(Tier.AGENTIC)
        first = await engine.ask_version(Tier.AGENTIC)
        return [before, first, engine.known_version(Tier.AGENTIC), engine.known_version(Tier.FAST)]

    assert _run(use, handle) == [None, "2026-10-16", "2026-10-16", "latest"]
    assert asked == ["/api/v2/parse/versions"]


def test_usage_records_are_read_to_their_end() -> None:
    """Records come typed, of all pages of the answer, for exactly the days asked; new keys pass."""
    seen: list[httpx.QueryParams] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params)
        number = len(seen)
        record = {
            "id": f"u-{number}",
            "event_type": "pages_parsed",
            "project_id": "prj-1",
            "organization_id": "org-1",
            "value": 4,
            "day": "2026-11-24",
            "event_aggregation_key": f"pjb-{number}",
            "credits": 40.5 if number == 1 else None,
            "properties": None,
            "newer": {},
        }
        token = "more" if number == 1 else None
        return httpx.Response(200, json={"items": [record], "next_page_token": token})

    day = SINCE.date()
    records = _run(lambda engine: engine.usage_metrics("org-1", day, day), handle)
    assert [(r.key, r.value, r.credits) for r in records] == [
        ("pjb-1", 4, Decimal("40.5")),
        ("pjb-2", 4, None),
    ]
    assert [p.get("page_token") for p in seen] == [None, "more"]
    assert {(p["organization_id"], p["day_on_or_after"], p["day_on_or_before"]) for p in seen} == {
        ("org-1", "2026-11-24", "2026-11-24")
    }


def test_organizations_and_projects_are_found() -> None:
    """What a key is billed to can be asked with the key alone."""
    answers = {
        "/api/v1/organizations": [{"id": "org-1", "name": "Acme", "feature_flags": None}],
        "/api/v1/projects": [{"id": "prj-1", "name": "Default", "organization_id": "org-1"}],
    }

    async def use(engine: LlamaParseEngine) -> tuple[str, str]:
        (organization,), (project,) = await engine.organizations(), await engine.projects()
        return organization.name, project.organization_id

    said = _run(use, lambda request: httpx.Response(200, json=answers[request.url.path]))
    assert said == ("Acme", "org-1")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, ["organizations", "projects", "usage-metrics org-1 -"]),
        ({"organization_id": "org-9", "project_id": "prj-9"}, ["usage-metrics org-9 prj-9"]),
    ],
)
def test_whose_usage_is_read_is_set_or_discovered(
    options: dict[str, str], asked: list[str]
) -> None:
    """What is set is asked for alone; else the key's organizations, or those of its projects."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        route, given = request.url.path.rpartition("/")[2], request.url.params
        whose = f" {given['organization_id']} {given.get('project_id', '-')}" if given else ""
        seen.append(f"{route}{whose}")
        if route == "organizations":
            return httpx.Response(403, json={"detail": "no"})
        if route == "projects":
            return httpx.Response(200, json=[{"id": "prj-1", "organization_id": "org-1"}])
        record = {"id": "u", "event_type": "x", "day": "2026-11-24", "credits": 4.5}
        found = {"items": [{**record, "event_aggregation_key": "pjb-1"}]}
        return httpx.Response(200, json=found)

    assert _run(lambda engine: engine.billed("pjb-1"), handle, **options) == 5
    assert seen == asked


def test_an_ended_job_can_be_deleted_once() -> None:
    """The service is asked to forget a job in one call; that it is unknown there is an error."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(200 if len(seen) == 1 else 404, json={"id": "pjb-1"})

    _run(lambda engine: engine.delete("pjb-1"), handle)
    with pytest.raises(UpstreamError):
        _run(lambda engine: engine.delete("pjb-1"), handle)
    assert seen == ["DELETE /api/v2/parse/pjb-1"] * 2


def test_items_stay_with_their_page() -> None:
    """The parts of a page, as the service names them, are part of the result; odd ones are passed over."""
    heading = {"type": "heading", "level": 1, "value": "Terms", "md": "# Terms"}
    answer = {
        "job": JOB,
        "markdown": {"pages": [{"page_number": n, "markdown": "x"} for n in (1, 2)]},
        "items": {"pages": [{"page_number": 2, "items": [heading, 7]}, {"page_number": 1}]},
    }
    document = _run(
        lambda engine: engine.fetch("pjb-1", an_order()),
        lambda _r: httpx.Response(200, json=answer),
    )
    assert [page.items for page in document.pages] == [(), (heading,)]


def test_a_document_that_was_cut_at_its_ceiling_says_so() -> None:
    """Where as many pages came as were ordered, the last one says that there may be more."""
    pages = [{"page_number": n, "markdown": "x"} for n in (1, 2)]
    answer = {"job": JOB, "markdown": {"pages": pages}}
    order = replace(an_order(), max_pages=2)
    document = _run(
        lambda engine: engine.fetch("pjb-1", order), lambda _r: httpx.Response(200, json=answer)
    )
    assert document.pages[0].notes == ()
    assert "At most 2 pages were ordered" in document.pages[1].notes[0]


def test_what_is_not_asked_for_is_not_sent() -> None:
    """The service refuses nulls and unknown keys, so only what was asked for goes out."""
    bodies: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(_parts(request)[0][1] if request.method == "POST" else b"")
        return httpx.Response(200, json=JOB)

    _run(lambda engine: engine.submit(an_order()), handle)
    sent = json.loads(bodies[-1])
    assert set(sent) == {"tier", "version", "user_metadata", "processing_control"}
    assert set(sent["processing_control"]) == {"job_failure_conditions"}


@pytest.mark.parametrize(
    "answer",
    [
        _lost,
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
        _run(lambda engine: engine.submit(an_order()), handle)
    assert caught.value.outcome_unknown
    assert posts == ["POST"]


def test_a_refused_submit_is_known() -> None:
    """A clear refusal is no doubt: nothing was created."""
    refused = _submit_answers(
        lambda: httpx.Response(402, json={"detail": "No quota left to create a job"})
    )
    with pytest.raises(UpstreamError) as caught:
        _run(lambda engine: engine.submit(an_order()), refused)
    assert (caught.value.kind, caught.value.outcome_unknown) == (UpstreamKind.QUOTA, False)


def test_a_submit_that_takes_too_long_is_unknown() -> None:
    """Our own deadline covers the whole exchange and grows with the size of the document."""

    async def stall(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            await asyncio.sleep(60)
        return httpx.Response(200, json={})

    with pytest.raises(UpstreamError) as caught:
        _run(lambda engine: engine.submit(an_order()), httpx.MockTransport(stall), timeout_s=0.05)
    assert (caught.value.kind, caught.value.outcome_unknown) == (UpstreamKind.TIMEOUT, True)

    async def deadlines(engine: LlamaParseEngine) -> tuple[float, float]:
        return engine.submit_deadline_s(0), engine.submit_deadline_s(512 * 1024 * 1024)

    assert _run(deadlines, stall_free) == (30.0, 30.0 + 2048)


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
        _run(lambda engine: engine.submit(order), sink)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.received > 64 * 1024 * 1024
    assert peak < 8 * 1024 * 1024


def test_safe_calls_are_repeated_and_then_given_up() -> None:
    """A status is asked again while that can help, as often as configured and no more."""
    calls: list[str] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        return httpx.Response(200, json={"job": JOB}) if len(calls) == 3 else httpx.Response(503)

    def down(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        return httpx.Response(503)

    assert _run(lambda engine: engine.status("pjb-1"), flaky).status is EngineStatus.COMPLETED
    calls.clear()
    with pytest.raises(UpstreamError):
        _run(lambda engine: engine.status("pjb-1"), down)
    assert len(calls) == 4


def test_what_cannot_help_is_not_repeated() -> None:
    """A refused key stays refused; asking again only looks like an attack."""
    calls: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(401, json={"detail": "Invalid API Key llx-key"})

    with pytest.raises(UpstreamError) as caught:
        _run(lambda engine: engine.status("pjb-1"), refuse)
    assert (len(calls), caught.value.kind) == (1, UpstreamKind.UNAUTHORIZED)
    assert "llx-key" not in f"{caught.value} {caught.value.vendor_message}"


def test_a_wait_that_was_asked_for_is_honoured() -> None:
    """The service's own wait wins over ours; one that is too long is left to the caller."""
    moments: list[float] = []

    def busy(wait: str) -> Handler:
        def handle(_request: httpx.Request) -> httpx.Response:
            moments.append(asyncio.get_running_loop().time())
            return httpx.Response(429, headers={"retry-after-ms": wait})

        return handle

    with pytest.raises(UpstreamError):
        _run(lambda engine: engine.status("pjb-1"), busy("200"), max_retries=1)
    assert moments[1] - moments[0] >= 0.2
    moments.clear()
    with pytest.raises(UpstreamError) as caught:
        _run(lambda engine: engine.status("pjb-1"), busy("600000"))
    assert (len(moments), caught.value.retry_after_s) == (1, 600.0)


@pytest.mark.parametrize(
    ("section", "pages"),
    [
        ({"status": "SOMETHING_NEW"}, EngineStatus.RUNNING),
        ({"status": None}, EngineStatus.RUNNING),
        (
            {"status": "CANCELLED", "user_metadata": 7, "usage": 3, "created_at": "long ago"},
            EngineStatus.CANCELLED,
        ),
        (
            {"status": "PENDING", "usage": {"credits": "many"}, "new": {"deep": []}},
            EngineStatus.PENDING,
        ),
    ],
)
def test_unknown_values_never_crash_a_job(section: dict[str, Any], pages: EngineStatus) -> None:
    """Keys and values of a newer service are passed over; an unknown status is no end."""
    answer = {"job": {"id": "pjb-1", **section}}
    job = _run(lambda engine: engine.status("pjb-1"), lambda _r: httpx.Response(200, json=answer))
    assert (job.status, job.credits, job.created_at) == (pages, None, None)


def test_credits_are_never_shown_too_low() -> None:
    """Fractions of a credit are rounded up."""
    answer = {"job": {**JOB, "usage": {"credits": 2.1}}}
    job = _run(lambda engine: engine.status("pjb-1"), lambda _r: httpx.Response(200, json=answer))
    assert job.credits == 3


def test_a_failed_job_says_what_to_do() -> None:
    """The vendor's code becomes a sentence, and its own words stay beside it."""
    answer = {**JOB, "status": "FAILED", "error_message": "PDF_IS_PROTECTED: encrypted"}
    job = _run(lambda engine: engine.status("pjb-1"), lambda _r: httpx.Response(200, json=answer))
    assert job.error_code == "PDF_IS_PROTECTED"
    assert "Remove the password" in job.next_step
    assert "encrypted" in job.error_message


def test_a_result_that_is_late_is_asked_for_again() -> None:
    """Completed without a result is known of this service; a later answer has it."""
    answers: list[httpx.Response] = [
        httpx.Response(404, json={"detail": "Result not found. Check job status."}),
        httpx.Response(200, json={"job": JOB, "markdown": None, "text": {"pages": []}}),
        httpx.Response(
            200, json={"job": JOB, "markdown": {"pages": [{"page_number": 1, "markdown": "# hi"}]}}
        ),
    ]
    document = _run(lambda engine: engine.fetch("pjb-1", an_order()), lambda _r: answers.pop(0))
    assert document.markdown == "# hi"


def test_a_result_that_never_comes_is_reported() -> None:
    """After asking again the operator learns that the service has no result; nothing empty is shown."""
    with pytest.raises(UpstreamError, match="has no result") as caught:
        _run(
            lambda engine: engine.fetch("pjb-1", an_order()),
            lambda _r: httpx.Response(200, json={"job": JOB}),
        )
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "kind"), [("FAILED", UpstreamKind.DOCUMENT), ("RUNNING", UpstreamKind.CONFLICT)]
)
def test_an_unfinished_job_has_no_result(status: str, kind: UpstreamKind) -> None:
    """Asking for the result of a job that failed or still runs says which of the two it is."""
    answer = {"job": {**JOB, "status": status, "error_message": "PDF_IS_BROKEN"}}
    with pytest.raises(UpstreamError) as caught:
        _run(
            lambda engine: engine.fetch("pjb-1", an_order()),
            lambda _r: httpx.Response(200, json=answer),
        )
    assert caught.value.kind is kind


def test_a_tier_without_markdown_gives_its_text() -> None:
    """Refused markdown is not a failure: the text stands in for it."""

    def handle(request: httpx.Request) -> httpx.Response:
        if "markdown" in request.url.params.get_list("expand"):
            return httpx.Response(
                400, json={"detail": "Markdown expansion is not available for FAST tier jobs."}
            )
        return httpx.Response(
            200, json={"job": JOB, "text": {"pages": [{"page_number": 1, "text": "words"}]}}
        )

    document = _run(lambda engine: engine.fetch("pjb-1", an_order()), handle)
    assert (document.pages[0].markdown, document.pages[0].text) == ("words", "words")


@pytest.mark.parametrize(
    ("target", "answered", "numbers"),
    [
        ("", [2, 1], (1, 2)),
        ("2,5", [2, 5], (2, 5)),
        ("2,5", [1, 2], (2, 5)),
        ("3-4", [4], (4,)),
    ],
)
def test_pages_are_numbered_as_in_the_document(
    target: str, answered: list[int], numbers: tuple[int, ...]
) -> None:
    """Whether the service counts chosen pages from one is not documented; both are understood."""
    pages = [{"page_number": number, "markdown": "x"} for number in answered]
    answer = {"job": JOB, "markdown": {"pages": pages}}
    order = an_order(target_pages=target)
    document = _run(
        lambda engine: engine.fetch("pjb-1", order), lambda _r: httpx.Response(200, json=answer)
    )
    assert tuple(page.number for page in document.pages) == numbers


def test_find_reads_the_listing_to_its_end() -> None:
    """None is only said after the last page, and every page asks for the same time span."""
    seen: list[httpx.QueryParams] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params)
        token = request.url.params.get("page_token")
        items = [
            {**JOB, "id": f"pjb-{token}", "user_metadata": {"parsedeck_attempt": f"att-{token}"}}
        ]
        following = {None: "1", "1": "2", "2": None}[token]
        return httpx.Response(200, json={"items": items, "next_page_token": following})

    assert _run(lambda engine: engine.find("att-9", SINCE), handle) is None
    assert len(seen) == 3
    assert {params["created_at_on_or_after"] for params in seen} == {"2026-11-23T00:00:00+00:00"}
    found = _run(lambda engine: engine.find("att-1", SINCE), handle)
    assert found is not None
    assert found.vendor_job_id == "pjb-1"


@pytest.mark.parametrize(
    "answer",
    [{"items": [], "next_page_token": "again"}, {"items": [{}]}, {"items": None}, [], {}],
)
def test_find_never_takes_a_broken_listing_for_an_empty_one(answer: object) -> None:
    """A listing that cannot be read is an error: "none" would lead to paying twice."""
    with pytest.raises(UpstreamError) as caught:
        _run(
            lambda engine: engine.find("att-1", SINCE), lambda _r: httpx.Response(200, json=answer)
        )
    assert caught.value.kind is UpstreamKind.MALFORMED


@pytest.mark.parametrize("status", [400, 409])
def test_cancelling_an_ended_job_says_how_it_ended(status: int) -> None:
    """A job that was faster than the cancel is no error; its state is the answer."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(status, json={"detail": "terminal"})
        return httpx.Response(200, json={"job": JOB})

    assert _run(lambda engine: engine.cancel("pjb-1"), handle).status is EngineStatus.COMPLETED


def test_real_refuses_the_simulator_before_a_document_is_sent() -> None:
    """REAL at the simulator's address stops at a question; no document leaves."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(200, json=JOB, headers=SIMULATOR)

    with pytest.raises(SimulatorRefused):
        _run(lambda engine: engine.submit(an_order()), handle)
    assert seen == ["GET"]
    for call in (
        lambda e: e.status("x"),
        lambda e: e.probe(),
        lambda e: e.find("a", SINCE),
        lambda e: e.cancel("x"),
    ):
        with pytest.raises(SimulatorRefused):
            _run(call, handle)


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_mock_refuses_everything_but_the_simulator(status: int) -> None:
    """MOCK can never spend real money: it stops at a question to whatever is not the simulator."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(status, json=JOB)

    with pytest.raises(UpstreamError) as caught:
        _run(lambda engine: engine.submit(an_order()), handle, simulated=True)
    assert caught.value.kind is UpstreamKind.SIMULATOR
    assert not caught.value.outcome_unknown
    assert seen == ["GET"]


def test_the_check_is_made_once() -> None:
    """The second submit of an engine asks no question first; a failed check is made again."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(403) if len(seen) == 1 else httpx.Response(200, json=JOB)

    async def three(engine: LlamaParseEngine) -> None:
        with pytest.raises(UpstreamError):
            await engine.submit(an_order())
        await engine.submit(an_order())
        await engine.submit(an_order())

    _run(three, handle)
    assert seen == ["GET", "GET", "POST", "POST"]


def test_a_redirect_is_not_followed() -> None:
    """The key is not carried to another address."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(301, headers={"location": "https://elsewhere.example/"})

    with pytest.raises(UpstreamError, match="redirects"):
        _run(lambda engine: engine.probe(), handle)
    assert len(seen) == 1


@pytest.mark.parametrize("key", ["", "  ", "llx-é", "llx-a\nb"])
def test_a_key_that_cannot_be_one_stops_the_start(key: str) -> None:
    """A bad key is found when the engine is made, and the message does not repeat it."""
    with pytest.raises(SettingsError) as caught:
        LlamaParseEngine("https://service.example", SecretStr(key))
    assert caught.value.variable == "LLAMAPARSE_API_KEY"
    assert not key.strip() or key not in str(caught.value)


def test_an_address_without_scheme_is_explained() -> None:
    """The host-only form printed in the vendor's documentation gets a clear message."""

    async def run() -> None:
        engine = LlamaParseEngine("api.cloud.example", SecretStr("k"))
        try:
            with pytest.raises(UpstreamError, match="https://"):
                await engine.probe()
        finally:
            await engine.close()

    asyncio.run(run())


def test_every_call_is_reported() -> None:
    """Metrics hear the operation, the outcome and the time of each call, repeated ones too."""
    heard: list[tuple[str, str]] = []
    answers = [httpx.Response(503), httpx.Response(200, json={"job": JOB})]
    _run(
        lambda engine: engine.status("pjb-1"),
        lambda _r: answers.pop(0),
        on_call=lambda operation, outcome, seconds: (
            heard.append((operation, outcome)) if seconds >= 0 else None
        ),
    )
    assert heard == [("status", "server"), ("status", "ok")]


def test_an_id_cannot_leave_its_path() -> None:
    """A vendor id is data: whatever it holds, it stays one segment of the path."""
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={"job": JOB})

    _run(lambda engine: engine.status("../x?y=1"), handle)
    assert seen[0].startswith(b"/api/v2/parse/..%2Fx%3Fy%3D1?")
