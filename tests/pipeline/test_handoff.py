"""Hand-off: signed, durable, tried again, given up in an orderly way, never to a private address unasked."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from core.clock import utc_now
from core.console import Console
from core.domain.jobs import JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.handoff import WAITS, HandOff, begin
from core.serving import Served
from core.store import jobs
from core.store.outbox import HandoffFilter
from core.webhooks.outbound import check_target, masked, post
from core.webhooks.standard import sign
from tests.factories import ALICE, finished, submitted, wait_until

Maker = Callable[..., Console]


@dataclass
class Stage:
    """A next stage that answers as it is told."""

    url: str = ""
    status: int = 200
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A real server on loopback."""
    told = Stage()

    async def take(request: Request) -> Response:
        told.received.append((dict(request.headers), await request.body()))
        if told.status == 302:
            return RedirectResponse("/elsewhere")
        return Response(status_code=told.status)

    routes = [Route("/{path:path}", take, methods=["GET", "POST"])]
    with Served(Starlette(routes=routes)) as served:
        told.url = f"{served.url}/hooks/very-private"
        yield told


@dataclass
class Hours:
    """A clock that can be moved ahead."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        """Now, and what it was moved by."""
        return utc_now() + self.ahead


def _parsed(console: Console, name: str = "a.txt") -> str:
    """A job that has just been parsed, without a worker."""
    job_id = submitted(console, {name: name.encode()}, key=name).job_ids[0]
    now = console.clock()
    with console.store.write() as tx:
        jobs.change_job(tx, job_id, JobStatus.PARSING, ALICE, "t", now)
        begin(tx, jobs.change_job(tx, job_id, JobStatus.PARSED, ALICE, "t", now), now)
    return job_id


def _status(console: Console, job_id: str) -> JobStatus:
    return console.jobs.view(job_id).job.status


def test_a_parsed_document_is_handed_on_signed_and_then_complete(
    make_console: Maker, stage: Stage
) -> None:
    """The next stage gets one verifiable event with job, document, checksums; then the job is complete."""
    console = make_console(worker=True, downstream_private=True)
    secret = console.downstreams.add(stage.url, ALICE)
    job_id = finished(console, submitted(console, {"a.txt": b"words"}).id).jobs[0].id
    wait_until(lambda: _status(console, job_id) is JobStatus.COMPLETE)
    headers, body = stage.received[0]
    event = json.loads(body)
    signature = sign(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signature
    assert (event["type"], event["data"]["job_id"]) == ("job.parsed", job_id)
    assert event["data"]["simulated"] is True
    result = event["data"]["result"]
    assert result["sha256"] == console.jobs.view(job_id).job.result_blob
    assert any("taken by every" in e.cause for e in console.jobs.view(job_id).timeline)


def test_a_failed_document_is_told_too(make_console: Maker, stage: Stage) -> None:
    """The next stage hears of failures, and the job stays failed."""
    console = make_console(downstream_private=True)
    console.downstreams.add(stage.url, ALICE)
    job_id = submitted(console, {"a.txt": b"a"}).job_ids[0]
    now = console.clock()
    with console.store.write() as tx:
        jobs.change_job(tx, job_id, JobStatus.PARSING, ALICE, "t", now)
        failed = jobs.change_job(tx, job_id, JobStatus.FAILED_PARSE, ALICE, "t", now, reason="torn")
        begin(tx, failed, now)
    HandOff(console.store, console.seal, console.clock, allow_private=True).send_due()
    assert json.loads(stage.received[0][1])["data"]["reason"] == "torn"
    assert _status(console, job_id) is JobStatus.FAILED_PARSE


def test_eight_tries_over_hours_then_a_person_decides(make_console: Maker, stage: Stage) -> None:
    """A stage that is down is tried eight times with growing waits; a replay mends it later."""
    console, clock = make_console(downstream_private=True), Hours()
    console.downstreams.add(stage.url, ALICE)
    handoff = HandOff(console.store, console.seal, clock, allow_private=True)
    job_id, stage.status = _parsed(console), 503
    for wait in (*WAITS, timedelta(0)):
        assert handoff.send_due() == 1
        assert handoff.send_due() == 0
        clock.ahead += wait
    assert len(stage.received) == 8
    assert len({headers["webhook-id"] for headers, _ in stage.received}) == 1
    assert _status(console, job_id) is JobStatus.FAILED_HANDOFF
    (line,) = console.downstreams.page(HandoffFilter()).lines
    tries = console.downstreams.view(line.id).tries
    assert [t.status for t in tries] == [503] * 8
    assert timedelta(hours=2) < tries[-1].at - tries[0].at < timedelta(hours=12)
    stage.status = 200
    console.downstreams.replay(line.id, ALICE)
    assert _status(console, job_id) is JobStatus.HANDING_OFF
    assert handoff.send_due() == 1
    assert _status(console, job_id) is JobStatus.COMPLETE
    assert stage.received[-1][0]["webhook-id"] == line.message_id


def test_a_stage_that_fails_for_days_is_disabled(make_console: Maker, stage: Stage) -> None:
    """After days without a success nothing more is sent, and the reason is shown."""
    console, clock = make_console(downstream_private=True), Hours()
    console.downstreams.add(stage.url, ALICE)
    handoff, stage.status = HandOff(console.store, console.seal, clock, allow_private=True), 500
    _parsed(console, "first.txt")
    handoff.send_due()
    clock.ahead += timedelta(days=3, hours=1)
    handoff.send_due()
    (target,) = console.downstreams.known()
    assert "3 days" in target.disabled_reason
    job_id = _parsed(console, "second.txt")
    assert _status(console, job_id) is JobStatus.COMPLETE


def test_what_is_gone_is_not_asked_again(make_console: Maker, stage: Stage) -> None:
    """410 ends it at once."""
    console = make_console(downstream_private=True)
    console.downstreams.add(stage.url, ALICE)
    job_id, stage.status = _parsed(console), 410
    HandOff(console.store, console.seal, console.clock, allow_private=True).send_due()
    assert console.downstreams.known()[0].is_disabled
    assert _status(console, job_id) is JobStatus.FAILED_HANDOFF


def test_two_processes_do_not_send_the_same_event_at_once(
    make_console: Maker, stage: Stage
) -> None:
    """What one has taken up, another leaves alone until the lease has run out."""
    console = make_console(downstream_private=True)
    console.downstreams.add(stage.url, ALICE)
    _parsed(console)
    first, second = (
        HandOff(console.store, console.seal, console.clock, allow_private=True) for _ in range(2)
    )
    assert (first.send_due(), second.send_due()) == (1, 0)
    assert len(stage.received) == 1


def test_redirects_are_not_followed(make_console: Maker, stage: Stage) -> None:
    """A redirect is an answer that did not take the event, not a new address to trust."""
    console = make_console(downstream_private=True)
    console.downstreams.add(stage.url, ALICE)
    _parsed(console)
    stage.status = 302
    HandOff(console.store, console.seal, console.clock, allow_private=True).send_due()
    assert len(stage.received) == 1


def test_the_next_stage_is_told_of_a_stand_in(make_console: Maker, stage: Stage) -> None:
    """HYBRID without a key: the event of a document that the local engine read for LlamaParse is provisional."""
    console = make_console(worker=True, mode="hybrid", downstream_private=True)
    console.downstreams.add(stage.url, ALICE)
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"some words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    finished(console, console.submissions.submit(quote, ALICE, "press").id)
    wait_until(lambda: bool(stage.received))
    data = json.loads(stage.received[0][1])["data"]
    assert (data["mode"], data["provisional"], data["simulated"]) == ("hybrid", True, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:8501/x",
        "http://[::1]/x",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
        "http://224.0.0.1/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::7f00:1]/",
    ],
)
def test_private_addresses_are_refused(url: str) -> None:
    """No way of writing an inside address gets a request sent there."""
    with pytest.raises(NotAllowed):
        check_target(url, allow_private=False)
    with pytest.raises(NotAllowed):
        post(url, {}, b"", allow_private=False)


@pytest.mark.parametrize(
    "url", ["", "ftp://x/", "file:///etc/passwd", "https://", "http://a:b", "x"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Only http and https with a host are addresses."""
    with pytest.raises(NotAllowed):
        check_target(url, allow_private=True)


def test_addresses_are_shown_masked(make_console: Maker, stage: Stage) -> None:
    """Neither list nor record shows the path, the password or the secret of a downstream."""
    assert (
        masked("https://user:pass@hooks.example:8443/T0/B1?k=v") == "https://hooks.example:8443/…"
    )
    console = make_console(downstream_private=True)
    secret = console.downstreams.add(stage.url, ALICE)
    _parsed(console)
    shown = repr(console.downstreams.known()) + repr(console.downstreams.page(HandoffFilter()))
    assert "very-private" not in shown
    assert secret not in shown
    with pytest.raises(NotAllowed):
        console.downstreams.add(stage.url, ALICE)


def test_a_disabled_stage_gets_nothing_and_can_be_enabled_again(
    make_console: Maker, stage: Stage
) -> None:
    """What a person switched off is not told until a person switches it on."""
    console = make_console(downstream_private=True)
    console.downstreams.add(stage.url, ALICE)
    (target,) = console.downstreams.known()
    console.downstreams.disable(target.id, ALICE)
    _parsed(console, "unheard.txt")
    console.downstreams.enable(target.id)
    _parsed(console, "heard.txt")
    handoff = HandOff(console.store, console.seal, console.clock, allow_private=True)
    wait_until(lambda: handoff.send_due() == 0)
    assert len(stage.received) == 1


def test_a_slow_stage_holds_up_only_what_is_for_it(make_console: Maker, stage: Stage) -> None:
    """While one stage does not answer, others get theirs; and a process that stops does not wait for it."""
    console = make_console(downstream_private=True)
    handoff = HandOff(console.store, console.seal, console.clock, allow_private=True)
    asked, released = threading.Event(), threading.Event()

    async def hang(_request: Request) -> Response:
        asked.set()
        await anyio.to_thread.run_sync(released.wait, 60)
        return Response()

    with Served(Starlette(routes=[Route("/", hang, methods=["POST"])])) as slow:
        console.downstreams.add(slow.url, ALICE)
        for number in range(10):
            _parsed(console, f"slow-{number}.txt")
        handoff.kick()
        assert asked.wait(30)
        console.downstreams.add(stage.url, ALICE)
        _parsed(console, "for both.txt")
        handoff.kick()
        wait_until(lambda: bool(stage.received))
        sending = [t for t in threading.enumerate() if t.name.startswith("hand-off")]
        assert sending
        assert all(thread.daemon for thread in sending)
        released.set()
        done = HandoffFilter(statuses=frozenset({"delivered"}))
        wait_until(lambda: console.downstreams.counts(done).get("delivered") == 12)


def test_what_is_on_its_way_to_a_stage_that_is_disabled_is_given_up_at_once(
    make_console: Maker, stage: Stage
) -> None:
    """Not hours later, at its next try; the job says so as soon as nobody is to be waited for."""
    console, stage.status = make_console(downstream_private=True), 503
    console.downstreams.add(stage.url, ALICE)
    handoff = HandOff(console.store, console.seal, console.clock, allow_private=True)
    job_id = _parsed(console)
    assert handoff.send_due() == 1
    console.downstreams.disable(console.downstreams.known()[0].id, ALICE)
    handoff.send_due()
    assert _status(console, job_id) is JobStatus.FAILED_HANDOFF
    assert len(stage.received) == 1


def test_nobody_waits_for_a_stage_that_is_down(make_console: Maker, stage: Stage) -> None:
    """The document can be read, its result is not paid for again, while the hand-off is still tried."""
    console, stage.status = make_console(worker=True, downstream_private=True), 503
    console.downstreams.add(stage.url, ALICE)
    view = finished(console, submitted(console, {"a.txt": b"words"}).id)
    assert view.jobs[0].status is JobStatus.HANDING_OFF
    assert console.jobs.markdown_of(view.jobs[0])
    upload = console.submissions.preflight("again.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK)
    assert quote.parsable == ()
