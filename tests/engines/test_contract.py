"""What every engine promises: the client at the simulator, the local engine, and one of a few lines."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from core.clock import utc_now
from core.console import Console
from core.domain.documents import EngineName, PageClass
from core.domain.health import BreakerState, HealthPolicy
from core.domain.jobs import Job, JobStatus
from core.domain.money import BUILT_IN_PRICES, Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy
from core.domain.routing import Mode
from core.engines.llamaparse import LlamaParseEngine, llamaparse_card
from core.engines.local import LocalEngine
from core.engines.protocol import EngineJob, ParseEngine, ParseOrder
from core.engines.registry import EngineCard
from core.errors import DocumentRefused
from core.samples import pdf_of_text
from core.services.engines import EngineState
from core.services.quotes import Quote
from core.simulator import SimulatorConfig, create_simulator
from core.store import health
from core.store.jobs import JobFilter
from tests.engines.toy import Toy, toy_card
from tests.factories import ALICE, finished, wait_until
from tests.simulator.cast import Memory, read_lines
from tests.simulator.serving import Serving

T = TypeVar("T")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
PRICE = BUILT_IN_PRICES.on(date(2026, 11, 24))
_THREE_LINES = b"one\ntwo\nthree"


@dataclass
class _Subject:
    """An engine under test: how it is made, its card, a document of three pages that it takes."""

    make: Callable[[], ParseEngine]
    card: EngineCard
    document: bytes
    media_type: str
    name: str


@pytest.fixture(params=["llamaparse", "local", "toy"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Subject]:
    """Each engine in turn."""
    match request.param:
        case "llamaparse":
            with Serving(create_simulator(SimulatorConfig(), tmp_path, read_lines)) as served:

                def make() -> LlamaParseEngine:
                    return LlamaParseEngine(served.url, SecretStr("llx-t"), simulated=True)

                async def probe() -> float:
                    engine = make()
                    try:
                        return await engine.probe()
                    finally:
                        await engine.close()

                yield _Subject(make, llamaparse_card(probe), _THREE_LINES, "text/plain", "a.txt")
        case "local":
            local = LocalEngine(workers=1)
            pdf = pdf_of_text(["one", "two", "three"])
            yield _Subject(lambda: local, local.card(), pdf, "application/pdf", "a.pdf")
            local.close_workers()
        case _:
            toy = Toy()
            yield _Subject(lambda: toy, toy_card(toy), _THREE_LINES, "text/plain", "a.txt")


def _order(subject: _Subject, target_pages: str = "") -> ParseOrder:
    return ParseOrder(
        attempt_id="att-contract",
        name=subject.name,
        media_type=subject.media_type,
        content=Memory(subject.document),
        tier=Tier.AGENTIC,
        target_pages=target_pages,
    )


def _run(subject: _Subject, use: Callable[[ParseEngine], Awaitable[T]]) -> T:
    async def run() -> T:
        engine = subject.make()
        try:
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


async def _done(engine: ParseEngine, order: ParseOrder) -> EngineJob:
    assert await engine.turn() == 0
    job = await engine.submit(order)
    while not job.status.is_final:
        await asyncio.sleep(0.02)
        job = await engine.status(job.vendor_job_id)
    return job


@pytest.mark.parametrize(("target_pages", "numbers"), [("", [1, 2, 3]), ("1,3", [1, 3])])
def test_pages_come_back_in_order_numbered_as_in_the_document(
    subject: _Subject, target_pages: str, numbers: list[int]
) -> None:
    """The whole document or chosen pages: each once, in order, saying which engine made it."""
    order = _order(subject, target_pages)

    async def use(engine: ParseEngine) -> None:
        job = await _done(engine, order)
        assert (await engine.look(job.vendor_job_id, order)).status is job.status
        result = await engine.fetch(job.vendor_job_id, order)
        assert [page.number for page in result.pages] == numbers
        assert {page.engine for page in result.pages} == {subject.card.name}
        assert not result.failed_pages
        assert all(page.markdown for page in result.pages)

    _run(subject, use)


def test_a_job_carries_its_attempt_and_is_found_by_it(subject: _Subject) -> None:
    """After a crash the attempt's job is found again, with the same id."""
    began = utc_now()

    async def use(engine: ParseEngine) -> None:
        job = await _done(engine, _order(subject))
        found = await engine.find("att-contract", began)
        assert found is not None
        assert (found.vendor_job_id, found.attempt_id) == (job.vendor_job_id, "att-contract")

    _run(subject, use)


def test_cancelling_what_has_ended_answers_how_it_ended(subject: _Subject) -> None:
    """A late cancel is an answer, not an error."""

    async def use(engine: ParseEngine) -> None:
        job = await _done(engine, _order(subject))
        assert (await engine.cancel(job.vendor_job_id)).status.is_final

    _run(subject, use)


def test_the_card_says_what_the_engine_does(subject: _Subject) -> None:
    """It takes the document it reads, its cost grows with the pages, its probe answers in seconds."""
    card = subject.card
    assert card.takes(subject.media_type)
    assert card.page_ranges
    assert card.title
    assert card.languages
    for tier in card.tiers or Tier:
        costs = [card.credits(PRICE, tier, pages) for pages in (0, 1, 10)]
        assert costs == sorted(costs)
        assert costs[0] == 0
    assert 0 <= asyncio.run(_probed(card)) < 10


async def _probed(card: EngineCard) -> float:
    return await card.probe()


def _with_toy(
    make: Callable[..., Console], database_url: str, **facts: object
) -> tuple[Console, Toy]:
    console, toy = make(**{"mode": "hybrid", **facts}, database_url=database_url), Toy()
    console.engines.add(toy_card(toy), lambda _mode: toy)
    table = {**RoutePolicy().table, PageClass.PLAIN: toy.name}
    console.routes.save(RoutePolicy(HybridPolicy.ECONOMY, table), ALICE, "louder")
    return console, toy


def _parsed(console: Console, name: str, data: bytes) -> tuple[Quote, Job]:
    upload = console.submissions.preflight(name, io.BytesIO(data))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    return quote, finished(console, console.submissions.submit(quote, ALICE, name).id).jobs[0]


def test_an_engine_is_added_with_one_line(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """A toy of a few lines, registered once: planned, priced, paid, stored and shown under its own name."""
    console, toy = _with_toy(make_console, database_url)
    console.run_worker()
    quote, job = _parsed(console, "a.txt", b"quiet words")
    assert (quote.credits, quote.lines[0].plan) == (2, job.plan)
    assert "Page 1 (plain): Toy." in job.plan.reason
    pages = console.jobs.result(job).pages
    assert [(p.markdown, p.engine, p.is_provisional) for p in pages] == [
        ("QUIET WORDS", "toy", False)
    ]
    attempts = console.jobs.view(job.id).attempts
    assert [(a.engine, a.reported_credits) for a in attempts] == [("toy", 2)]
    assert console.jobs.find(JobFilter(engine=toy.name)).total == 1
    assert console.jobs.find(JobFilter(engine=EngineName.LOCAL)).total == 0
    assert console.spend.today(Mode.HYBRID).settled_usd == quote.usd > 0
    assert json.loads(console.jobs.json_of(job))["pages"][0]["engine"] == "toy"


def test_an_added_engine_is_probed_and_does_without_when_it_is_ill(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """Its probe runs by itself; while its own breaker is open its pages go where they went without it."""
    policy = HealthPolicy(in_a_row=2, open_s=3600, longest_open_s=3600)
    console, toy = _with_toy(make_console, database_url, health=policy, health_interval_s=1)
    console.run_worker()

    def state() -> EngineState:
        return _state(console, toy)

    wait_until(lambda: state().probed_s == 0)
    assert state().health.next_probe_at is not None
    toy.is_well = False
    wait_until(lambda: state().health.breaker.words == "2 calls in a row to Toy failed.")
    assert console.health.trouble() == ""
    quote, job = _parsed(console, "b.txt", b"quiet words")
    # without a key LlamaParse's pages are stand-ins
    assert (quote.credits, job.is_provisional) == (0, True)
    _quote, other = _parsed(console, "c.md", b"# no plain text")
    assert other.is_provisional


def test_real_calls_of_an_added_engine_reach_its_breaker(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """Nobody probes it: what the pipeline's own calls come to is enough to stop using an engine."""
    policy = HealthPolicy(in_a_row=3, open_s=3600, longest_open_s=3600)
    # in REAL an added engine is not asked how it does
    console, toy = _with_toy(make_console, database_url, mode="real", health=policy)
    console.run_worker()
    _quote, job = _parsed(console, "a.txt", b"quiet words")
    assert job.plan.attempts[0].engine == toy.name
    watch = console.watches.of(toy.name)
    wait_until(lambda: _heard(console, toy) >= {"submit", "look", "fetch"})
    assert watch.look().breaker.state is BreakerState.CLOSED
    toy.takes_documents = False
    uploads = [console.submissions.preflight(n, io.BytesIO(n.encode())) for n in ("b.txt", "c.txt")]
    quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.HYBRID)
    view = finished(console, console.submissions.submit(quote, ALICE, "press").id)
    assert [job.is_provisional for job in view.jobs] == [True, True]
    assert watch.look().breaker.state is BreakerState.OPEN
    assert watch.trouble() == "3 calls in a row to Toy failed."
    assert console.health.trouble() == ""
    assert toy.probes == 0


def _heard(console: Console, toy: Toy) -> set[str]:
    with console.store.read() as tx:
        return {o.operation for o in health.outcomes(tx, toy.name, LONG_AGO)}


def _state(console: Console, toy: Toy) -> EngineState:
    return next(s for s in console.engines_view.states() if s.card.name == toy.name)


def test_an_engine_that_was_taken_out_is_said_so(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """Rules may name an engine that is gone: its pages go to LlamaParse, and the plan says why."""
    console, toy = _with_toy(make_console, database_url)
    gone = make_console(database_url=database_url)
    upload = gone.submissions.preflight("a.txt", io.BytesIO(b"quiet words"))
    assert gone.routes.policy() == console.routes.policy()
    preview = gone.routes.preview(gone.routes.policy(), "a.txt", upload.document)
    assert f"The engine {toy.name} is not installed here." in preview.plan.reason
    assert preview.plan.attempts[0].engine is EngineName.LLAMAPARSE


def test_what_waits_for_an_engine_that_was_taken_out_is_stood_in_for(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """Planned for an engine that is gone when its turn comes: the local engine stands in, and says why."""
    console, toy = _with_toy(make_console, database_url)
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"quiet words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    submission = console.submissions.submit(quote, ALICE, "press").id
    console.close()
    gone = make_console(worker=True, mode="hybrid", database_url=database_url)
    job = finished(gone, submission).jobs[0]
    assert (job.status, job.is_provisional) == (JobStatus.COMPLETE, True)
    attempts = gone.jobs.view(job.id).attempts
    assert f"The engine {toy.name} is not installed here." in attempts[0].error
    assert gone.spend.today(Mode.HYBRID).total_usd == 0


def test_a_document_that_cannot_be_read_here_is_said_so_before(
    make_console: Callable[..., Console],
) -> None:
    """The local engine's card and its refusal agree about a format without a converter."""
    local = make_console().local
    office = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    if not local.lacks(office):
        pytest.skip("LibreOffice is installed here")
    with pytest.raises(DocumentRefused, match="LibreOffice"):
        local._need_converter(office)
