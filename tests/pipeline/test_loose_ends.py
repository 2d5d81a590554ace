"""Nothing is left hanging: attempts that end early, outcomes nobody knows, jobs that wait behind others."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.documents import EngineName, ParsedDocument, ParsedPage
from core.domain.jobs import AttemptStatus, Job, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.pipeline.admission import release_held
from core.pipeline.driver import SYSTEM, UNKNOWN_OUTCOME
from core.pipeline.results import dump
from core.pipeline.stand_ins import as_provisional, outcome_of
from core.pipeline.sweep import sweep_orphans
from core.serving import Served
from core.store import jobs, ledger
from tests.factories import ALICE, submitted, wait_until
from tests.pipeline.vendor import Vendor, World, tell
from tests.vendor import Switches, a_vendor, pages_that

Maker = Callable[..., Console]
DAILY = ("all", Window.DAY, Unit.USD)


class _Forbids(Vendor):
    """Takes the key, but lets it do nothing."""

    async def _answer(self, request: Request) -> Response:
        await request.body()
        return JSONResponse({"detail": "not your project"}, 403)


def _used(console: Console, mode: Mode) -> int:
    use = console.spend.today(mode).use(Window.DAY, Unit.USD)
    assert use is not None
    return use.used


def test_a_document_that_is_refused_before_it_was_sent_has_failed(make_console: Maker) -> None:
    """A key that may not ask for versions ends the job, which is not queued for ever; nothing is spent."""

    async def story(world: World) -> None:
        await world.to_the_end()
        assert world.attempts[0].error_kind == "forbidden"
        assert world.job.status is JobStatus.FAILED_PARSE
        assert "403" in world.job.reason
        assert _used(world.console, Mode.REAL) == 0

    tell(make_console, _Forbids(), story)


def test_a_document_that_was_given_up_before_it_was_sent_has_failed(make_console: Maker) -> None:
    """What can never be sent, as its stored copy is lost, says so and can be retried."""

    async def story(world: World) -> None:
        await world.driver.give_up(world.job_id, 1, 0, "The stored copy is lost.")
        await world.driver.conclude(world.job_id, 1)
        assert world.job.status is JobStatus.FAILED_PARSE
        assert world.console.jobs.retry([world.job_id], ALICE)[0].generation == 2

    tell(make_console, Vendor(), story)


def test_giving_up_does_not_forget_that_the_outcome_is_unknown(make_console: Maker) -> None:
    """When nobody could look for a lost submit, a person decides, and its money stays reserved."""

    async def story(world: World) -> None:
        await world.look()
        assert world.attempts[0].status is AttemptStatus.UNKNOWN
        reserved = _used(world.console, Mode.REAL)
        await world.driver.give_up(world.job_id, 1, 0, "The disk cannot be read.")
        await world.driver.conclude(world.job_id, 1)
        assert world.attempts[0].error_kind == UNKNOWN_OUTCOME
        assert "history" in world.job.next_step
        sweep_orphans(world.console.store, world.console.rules(), SYSTEM, world.now)
        assert _used(world.console, Mode.REAL) == reserved > 0

    tell(make_console, Vendor(loses_answers=True), story, timeout_s=0.2)


def _hold(console: Console, job_id: str, hold: str) -> None:
    """As a job stands that the vendor, or a freeze after that, kept from being sent."""
    with console.store.write() as tx:
        now = console.clock()
        jobs.change_job(tx, job_id, JobStatus.HELD, SYSTEM, "t", now, hold=hold)


def test_simulated_jobs_do_not_keep_real_ones_waiting(make_console: Maker, tmp_path: Path) -> None:
    """When LlamaParse is back, real jobs go on, however many simulated ones wait for a person."""
    with Served(a_vendor(tmp_path / "vendor", Switches(), pages_that(1))) as service:
        console = make_console(api_key="llx-k", base_url=service.url)
        for name in ("a.txt", "b.txt", "c.txt"):
            _hold(console, submitted(console, {name: name.encode()}, key=name).job_ids[0], "vendor")
        upload = console.submissions.preflight("r.txt", io.BytesIO(b"real"))
        quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
        job_id = console.submissions.submit(quote, ALICE, "real").job_ids[0]
        _hold(console, job_id, "vendor")
        console.run_worker()
        wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.COMPLETE)


def test_a_reserved_document_that_is_planned_anew_gives_back_what_it_had(
    make_console: Maker,
) -> None:
    """What LlamaParse and then a freeze held is reserved already: a cheaper tier does not add to that."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    _hold(console, job_id, "limit")
    console.holds.cheaper(job_id, Tier.FAST, ALICE)
    assert _used(console, Mode.MOCK) == 1_250
    assert [a.status for a in console.jobs.view(job_id).attempts] == [
        AttemptStatus.CANCELLED,
        AttemptStatus.RESERVED,
    ]


def test_a_job_waits_for_the_room_that_it_needs_and_no_more(make_console: Maker) -> None:
    """The price of earlier generations, which stands on the job too, does not keep it out for ever."""
    console = make_console()
    console.limits.change("mock", DAILY, "0.02", ALICE, "for the test")
    submitted(console, {"first.txt": b"takes the day"}, key="first")
    job_id = submitted(console, {"a.txt": b"one"}, key="second").job_ids[0]
    with console.store.write() as tx:
        jobs.update_job(tx, job_id, estimated_credits=20, estimated_micros=25_000)
    assert console.jobs.view(job_id).job.status is JobStatus.HELD
    tomorrow = console.clock() + timedelta(days=1)
    found = release_held(console.store, console.rules(), SYSTEM, tomorrow)
    assert [job.id for job in found] == [job_id]


def _page(number: int, engine: EngineName, text: str, error: str = "") -> ParsedPage:
    return ParsedPage(number, text, text, engine, error=error)


def _partly(console: Console) -> tuple[Job, ParsedDocument]:
    """A document in HYBRID of which LlamaParse made page 1, and nobody page 2."""
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    job_id = console.submissions.submit(quote, ALICE, "press").job_ids[0]
    vendor = EngineName.LLAMAPARSE
    real = ParsedDocument((_page(1, vendor, "real"), _page(2, vendor, "", "no")))
    now = console.clock()
    with console.store.write() as tx:
        attempt = jobs.attempts(tx, job_id)[0]
        jobs.change_attempt(tx, attempt.id, AttemptStatus.FAILED, SYSTEM, "t", now)
        ledger.release(tx, attempt.id, now, "t", "failed")
        jobs.change_job(tx, job_id, JobStatus.PARSING, SYSTEM, "t", now)
        blob = console.blobs.put_pieces(dump(real))
        job = jobs.change_job(
            tx, job_id, JobStatus.PARTLY_PARSED, SYSTEM, "t", now, result_blob=blob
        )
    return job, real


def test_a_stand_in_does_not_replace_what_llamaparse_made_before(make_console: Maker) -> None:
    """Retried over the limit and kept local, the page that is real stays real; the other is a stand-in."""
    console = make_console(api_key="llx-k", base_url="http://127.0.0.1:1")
    job, real = _partly(console)
    console.limits.change("real", DAILY, "0.01", ALICE, "for the test")
    console.jobs.retry([job.id], ALICE)
    console.holds.go_local(job.id, ALICE)
    view = console.jobs.view(job.id)
    local = view.attempts[-1]
    assert (local.engine, local.is_provisional) == (EngineName.LOCAL, True)
    made = as_provisional(
        ParsedDocument((_page(1, EngineName.LOCAL, "l"), _page(2, EngineName.LOCAL, "l")))
    )
    done = replace(local, status=AttemptStatus.DONE)
    whole, _status = outcome_of(view.job, [done], {local.id: made}, real)
    assert [(p.engine, p.is_provisional) for p in whole.pages] == [
        (EngineName.LLAMAPARSE, False),
        (EngineName.LOCAL, True),
    ]


def test_a_page_that_fails_at_the_second_try_stays_what_it_was(make_console: Maker) -> None:
    """Parsed again as a whole, a page that now fails keeps its real result, not a stand-in."""
    console = make_console(api_key="llx-k", base_url="http://127.0.0.1:1")
    job, real = _partly(console)
    attempt = console.jobs.view(job.id).attempts[0]
    again = replace(attempt, status=AttemptStatus.DONE)
    local = replace(
        again, id="att-local", engine=EngineName.LOCAL, is_provisional=True, target_pages="1"
    )
    results = {
        again.id: ParsedDocument(
            (
                _page(1, EngineName.LLAMAPARSE, "", "no"),
                _page(2, EngineName.LLAMAPARSE, "second"),
            )
        ),
        local.id: as_provisional(ParsedDocument((_page(1, EngineName.LOCAL, "l"),))),
    }
    whole, status = outcome_of(job, [again, local], results, real)
    assert [(p.markdown, p.is_provisional) for p in whole.pages] == [
        ("real", False),
        ("second", False),
    ]
    assert status is JobStatus.PARSED
