"""What every engine promises: the client at the simulator, the local engine, and one of a few lines."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from core.clock import utc_now
from core.console import Console
from core.domain.documents import EngineName
from core.domain.money import BUILT_IN_PRICES, Tier
from core.domain.routing import Mode
from core.engines.llamaparse import LlamaParseEngine, llamaparse_card
from core.engines.local import LocalEngine
from core.engines.protocol import EngineJob, ParseEngine, ParseOrder
from core.engines.registry import EngineCard
from core.errors import DocumentRefused
from core.samples import pdf_of_text
from core.simulator import SimulatorConfig, create_simulator
from tests.engines.toy import Toy, toy_card
from tests.factories import ALICE, finished
from tests.simulator.cast import Memory, read_lines
from tests.simulator.serving import Serving

T = TypeVar("T")
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


def test_an_engine_is_added_with_one_line(make_console: Callable[..., Console]) -> None:
    """A toy of a few lines, registered once, makes the pages of a job like any other engine."""
    console, toy = make_console(mode="hybrid"), Toy()
    console.engines.add(toy_card(toy), lambda _mode: toy)
    console.run_worker()
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"quiet words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    job = finished(console, console.submissions.submit(quote, ALICE, "press").id).jobs[0]
    pages = console.jobs.result(job).pages
    assert [(page.markdown, page.engine) for page in pages] == [("QUIET WORDS", EngineName.LOCAL)]
    assert console.engines.cards[EngineName.LOCAL].title == "Toy"


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
