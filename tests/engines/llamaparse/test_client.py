"""Calls of the client against answers that the simulator does not give: lost, late, malformed, foreign."""

import asyncio

import httpx2 as httpx
import pytest
from pydantic import SecretStr
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from core.engines.llamaparse import LlamaParseEngine
from core.engines.protocol import EngineStatus
from core.errors import SettingsError, SimulatorRefused, UpstreamError, UpstreamKind
from tests.engines.llamaparse.talk import (
    JOB,
    SIMULATOR,
    SINCE,
    Handler,
    run_engine,
)
from tests.simulator.cast import an_order


def test_an_ended_job_can_be_deleted_once() -> None:
    """The service is asked to forget a job in one call; that it is unknown there is an error."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(200 if len(seen) == 1 else 404, json={"id": "pjb-1"})

    run_engine(lambda engine: engine.delete("pjb-1"), handle)
    with pytest.raises(UpstreamError):
        run_engine(lambda engine: engine.delete("pjb-1"), handle)
    assert seen == ["DELETE /api/v2/parse/pjb-1"] * 2


def test_safe_calls_are_repeated_and_then_given_up() -> None:
    """A status is asked again while that can help, as often as configured and no more."""
    calls: list[str] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        return httpx.Response(200, json={"job": JOB}) if len(calls) == 3 else httpx.Response(503)

    def down(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        return httpx.Response(503)

    assert run_engine(lambda engine: engine.status("pjb-1"), flaky).status is EngineStatus.COMPLETED
    calls.clear()
    with pytest.raises(UpstreamError):
        run_engine(lambda engine: engine.status("pjb-1"), down)
    assert len(calls) == 4


def _fails(answer: int | type[httpx.TransportError], calls: list[str]) -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if isinstance(answer, int):
            return httpx.Response(answer)
        raise answer("broken", request=request)

    return handle


_HELPS: list[int | type[httpx.TransportError]] = [408, 429, 500, 502, 503, 504]
_HELPS += [httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ReadError]
_HELPS += [httpx.RemoteProtocolError]


@pytest.mark.parametrize("answer", _HELPS)
def test_what_can_pass_is_tried_three_times_more(
    answer: int | type[httpx.TransportError],
) -> None:
    """Lost connections, timeouts, 408, 429 and 5xx of a safe call are repeated three times unless set otherwise."""
    calls: list[str] = []
    with pytest.raises(UpstreamError):
        run_engine(lambda engine: engine.status("pjb-1"), _fails(answer, calls))
    assert len(calls) == 4


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422])
def test_what_stays_refused_is_asked_once(status: int) -> None:
    """Whatever asking again cannot change is not asked again."""
    calls: list[str] = []
    with pytest.raises(UpstreamError):
        run_engine(lambda engine: engine.status("pjb-1"), _fails(status, calls))
    assert len(calls) == 1


def test_waits_between_tries_double_and_differ() -> None:
    """Each wait is twice the one before, plus a share by chance, so that not all clients come back at once."""
    waits: list[list[float]] = []

    def note(details: RetryDetails) -> None:
        waits[-1].append(details.wait_for)

    set_on_retry_hooks([note])
    try:
        for _ in range(5):
            waits.append([])
            with pytest.raises(UpstreamError):
                run_engine(lambda engine: engine.status("pjb-1"), _fails(503, []))
    finally:
        set_on_retry_hooks(None)
    pause_s = 0.001  # of these engines
    for tried in waits:
        assert len(tried) == 3
        for number, wait in enumerate(tried):
            assert 0 <= wait - pause_s * 2**number <= pause_s
    assert len({tried[0] for tried in waits}) > 1


def test_what_cannot_help_is_not_repeated() -> None:
    """A refused key stays refused; asking again only looks like an attack."""
    calls: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(401, json={"detail": "Invalid API Key llx-key"})

    with pytest.raises(UpstreamError) as caught:
        run_engine(lambda engine: engine.status("pjb-1"), refuse)
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
        run_engine(lambda engine: engine.status("pjb-1"), busy("200"), max_retries=1)
    assert moments[1] - moments[0] >= 0.2
    moments.clear()
    with pytest.raises(UpstreamError) as caught:
        run_engine(lambda engine: engine.status("pjb-1"), busy("600000"))
    assert (len(moments), caught.value.retry_after_s) == (1, 600.0)


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

    assert run_engine(lambda engine: engine.find("att-9", SINCE), handle) is None
    assert len(seen) == 3
    assert {params["created_at_on_or_after"] for params in seen} == {"2026-11-23T00:00:00+00:00"}
    found = run_engine(lambda engine: engine.find("att-1", SINCE), handle)
    assert found is not None
    assert found.vendor_job_id == "pjb-1"


@pytest.mark.parametrize(
    "answer",
    [{"items": [], "next_page_token": "again"}, {"items": [{}]}, {"items": None}, [], {}],
)
def test_find_never_takes_a_broken_listing_for_an_empty_one(answer: object) -> None:
    """A listing that cannot be read is an error: "none" would lead to paying twice."""
    with pytest.raises(UpstreamError) as caught:
        run_engine(
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

    assert (
        run_engine(lambda engine: engine.cancel("pjb-1"), handle).status is EngineStatus.COMPLETED
    )


def test_real_refuses_the_simulator_before_a_document_is_sent() -> None:
    """REAL at the simulator's address stops at a question; no document leaves."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(200, json=JOB, headers=SIMULATOR)

    with pytest.raises(SimulatorRefused):
        run_engine(lambda engine: engine.submit(an_order()), handle)
    assert seen == ["GET"]
    for call in (
        lambda e: e.status("x"),
        lambda e: e.probe(),
        lambda e: e.find("a", SINCE),
        lambda e: e.cancel("x"),
    ):
        with pytest.raises(SimulatorRefused):
            run_engine(call, handle)


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_mock_refuses_everything_but_the_simulator(status: int) -> None:
    """MOCK can never spend real money: it stops at a question to whatever is not the simulator."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(status, json=JOB)

    with pytest.raises(UpstreamError) as caught:
        run_engine(lambda engine: engine.submit(an_order()), handle, simulated=True)
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

    run_engine(three, handle)
    assert seen == ["GET", "GET", "POST", "POST"]


def test_a_redirect_is_not_followed() -> None:
    """The key is not carried to another address."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(301, headers={"location": "https://elsewhere.example/"})

    with pytest.raises(UpstreamError, match="redirects"):
        run_engine(lambda engine: engine.probe(), handle)
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
    run_engine(
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

    run_engine(lambda engine: engine.status("../x?y=1"), handle)
    assert seen[0].startswith(b"/api/v2/parse/..%2Fx%3Fy%3D1?")
