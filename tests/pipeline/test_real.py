"""REAL, against servers of our own that answer as the service would on a bad day."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.serving import Served
from core.simulator import SimulatorConfig
from core.store.tables import PaceRow
from tests.factories import ALICE, finished, submitted, wait_until
from tests.pipeline.vendor import Vendor, World, tell


def _refusing(status: int) -> Starlette:
    async def answer(request: Request) -> Response:
        await request.body()
        return JSONResponse({"detail": "Invalid API Key"}, status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def _press(console: Console) -> str:
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL, parse_again=True)
    return console.submissions.submit(quote, ALICE, "press").job_ids[0]


@pytest.mark.parametrize(("status", "words"), [(401, "key"), (402, "credits")])
def test_a_refused_key_holds_documents_and_loses_nothing(
    make_console: Callable[..., Console], status: int, words: str
) -> None:
    """When the service refuses the key or has no quota, documents are held with a reason."""
    with Served(_refusing(status)) as service:
        console = make_console(worker=True, api_key="llx-wrong", base_url=service.url)
        job_id = _press(console)
        wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.HELD)
        job = console.jobs.view(job_id).job
        assert words in job.reason
        assert job.next_step
        before = console.spend.today(Mode.REAL)
        console.jobs.retry([job_id], ALICE)
        wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.HELD)
        after = console.spend.today(Mode.REAL)
    assert [u.used for u in before.limits] == [u.used for u in after.limits]


def test_a_bill_that_comes_late_settles_late(make_console: Callable[..., Console]) -> None:
    """The result is there at once; its reservation stays until the bill is known, then settles."""
    console = make_console(worker=True, simulator=SimulatorConfig(billed_after_s=6))
    view = finished(console, submitted(console, {"a.txt": b"words"}).id)
    today = console.spend.today(Mode.MOCK)
    assert view.jobs[0].status is JobStatus.COMPLETE
    assert today.reserved_usd > 0
    wait_until(lambda: console.spend.today(Mode.MOCK).settled_usd == today.reserved_usd)
    assert console.spend.today(Mode.MOCK).reserved_usd == 0


def test_waiting_for_a_turn_is_visible_on_the_job(make_console: Callable[..., Console]) -> None:
    """Past the pace a document waits, says so, and nothing of it was sent."""
    with Served(_refusing(503)) as service:
        console = make_console(
            worker=True, api_key="llx-key", base_url=service.url, requests_per_minute=1
        )
        uploads = [
            console.submissions.preflight(n, io.BytesIO(n.encode())) for n in ("a.txt", "b.txt")
        ]
        quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.REAL, parse_again=True)
        ids = console.submissions.submit(quote, ALICE, "press").job_ids
        wait_until(
            lambda: any("Waits for its turn" in console.jobs.view(i).job.reason for i in ids)
        )
        waiting = next(i for i in ids if "Waits for its turn" in console.jobs.view(i).job.reason)
        assert console.jobs.view(waiting).attempts[0].submits == 0


def test_a_pace_stored_at_one_console_holds_in_the_worker_of_another(
    make_console: Callable[..., Console],
) -> None:
    """Calls per minute that a person stores count at once, in a process that was started with others."""
    with Served(_refusing(503)) as service:
        console = make_console(
            worker=True, api_key="llx-key", base_url=service.url, requests_per_minute=1000
        )
        make_console().setup.store("requests_per_minute", "1", ALICE)
        uploads = [
            console.submissions.preflight(n, io.BytesIO(n.encode())) for n in ("a.txt", "b.txt")
        ]
        quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.REAL, parse_again=True)
        ids = console.submissions.submit(quote, ALICE, "press").job_ids
        wait_until(
            lambda: any("Waits for its turn" in console.jobs.view(i).job.reason for i in ids)
        )


def _turns(console: Console) -> int:
    """How many turns were taken, while there is room for more in the minute."""
    with console.store.read() as tx:
        return sum(len(row.turns) for row in tx.exec(select(PaceRow)))


def test_every_call_takes_its_turn(make_console: Callable[..., Console]) -> None:
    """Versions, uploads, polls and probes are counted, each once: the service is asked as often as turns were taken."""
    vendor = Vendor(end_as=[("COMPLETED", ""), ("PENDING", "")])
    asked: list[str] = []

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked.append(scope["path"])
        await app(scope, receive, send)

    app = vendor.app
    with Served(counted) as service:
        console = make_console(
            worker=True, api_key="llx-key", base_url=service.url, requests_per_minute=900
        )
        uploads = [
            console.submissions.preflight(n, io.BytesIO(n.encode())) for n in ("a.txt", "b.txt")
        ]
        quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.REAL, parse_again=True)
        console.submissions.submit(quote, ALICE, "press")
        wait_until(lambda: sum("/pjb-2" in path for path in asked) >= 2)
        assert "/api/v2/parse/versions" in asked
        assert asked.count("/api/v2/parse/upload") == 2
        wait_until(lambda: _turns(console) == len(asked))
        console.close()


def test_in_mock_nobody_waits_for_a_turn(make_console: Callable[..., Console]) -> None:
    """The simulator is asked at once, however few calls the service may get."""
    console = make_console(worker=True, requests_per_minute=1)
    files = {f"{n}.txt": f"{n}".encode() for n in range(3)}
    view = finished(console, submitted(console, files).id)
    assert {job.status for job in view.jobs} == {JobStatus.COMPLETE}
    assert _turns(console) == 0


def test_a_state_that_nobody_knows_is_waited_out(make_console: Callable[..., Console]) -> None:
    """What a newer service calls its job meanwhile ends nothing: it is asked again until an end is known."""

    async def story(world: World) -> None:
        world.vendor.end_as = [("THROTTLED", "")]
        await world.look()
        await world.watch(timedelta(minutes=5))
        assert world.attempts[0].status is AttemptStatus.RUNNING
        assert world.job.reason == ""
        world.vendor.jobs[0]["status"] = "COMPLETED"
        await world.to_the_end()
        assert world.job.status is JobStatus.COMPLETE
        assert len(world.vendor.requests) == 1

    tell(make_console, Vendor(), story)
