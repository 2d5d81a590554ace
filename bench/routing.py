"""What economy saves and keeps, what planning costs, and how fast an outage is noticed and over."""

import asyncio
import io
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pypdf import PdfReader

from bench.documents import Made, inbox
from core.console import Console
from core.domain.documents import Document, EngineName, PageProfile, page_class
from core.domain.health import BreakerState
from core.domain.jobs import Actor, JobStatus
from core.domain.money import BUILT_IN_PRICES, Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy
from core.domain.routing import Mode, RouteFacts, RoutePlan, plan_route
from core.engines.local import LocalEngine
from core.serving import Served
from core.settings import Settings
from tests.vendor import Switches, a_vendor, pages_that

__all__ = ["run"]

_ECONOMY = RoutePolicy(HybridPolicy.ECONOMY)
_PRICE = BUILT_IN_PRICES.on(date(2026, 11, 24))
_SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
_PLANS = 200
_WORD = re.compile(r"\w+")


def run() -> Iterator[dict[str, object]]:
    """Saved dollars and recall, planning, then an outage from beginning to end."""
    local = LocalEngine()
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield from _economy(local, Path(folder))
    finally:
        local.close_workers()
    yield _planning()
    with tempfile.TemporaryDirectory() as folder:
        yield from _outage(Path(folder))


def _economy(local: LocalEngine, folder: Path) -> Iterator[dict[str, object]]:
    sets = {"generated": inbox()}
    if _SAMPLES.is_dir():
        # nobody has said what is on their pages
        sets["samples"] = tuple(
            Made(path.name, path.read_bytes(), ()) for path in sorted(_SAMPLES.glob("*.pdf"))
        )
    for name, documents in sets.items():
        yield _saved(local, folder, name, documents)


def _saved(
    local: LocalEngine, folder: Path, name: str, documents: tuple[Made, ...]
) -> dict[str, object]:
    tally = _Tally()
    for number, made in enumerate(documents):
        path = folder / f"{name}-{number}.pdf"
        path.write_bytes(made.data)
        document = local.inspect(path, made.name, str(number), len(made.data))
        if document.is_parsable:
            tally.add(document, made.kinds)
            stays = _pages(_plan(document), EngineName.LOCAL, len(document.pages))
            tally.recall += _recall(local, path, stays)
    pages, recall = sum(tally.where.values()), tally.recall
    return {
        "figure": f"economy beside all-agentic, {name} set",
        "pages": pages,
        "what was put on them": dict(tally.made),
        "what the profile takes them for": dict(tally.classes),
        "where they went": dict(tally.routes),
        "routed": {where: f"{n / pages:.0%}" for where, n in tally.where.items()},
        "economy_usd": float(_PRICE.usd(tally.credits)),
        "all_agentic_usd": float(_PRICE.usd(tally.full)),
        "saved": f"{1 - tally.credits / tally.full:.0%}" if tally.full else "no page",
        "pages_needing_ocr_left_local": tally.needs_ocr_local,
        "text_recall_of_local_pages": {
            "pages": len(recall),
            "worst": round(min(recall, default=1.0), 3),
            "mean": round(sum(recall) / len(recall), 3) if recall else 1.0,
        },
        "goal": "at least 60 % saved, no page that needs OCR left local",
    }


@dataclass
class _Tally:
    """Sums over the pages of a set; ``routes`` counts by what was put on a page and where it went."""

    credits: int = 0
    full: int = 0
    needs_ocr_local: int = 0
    made: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    where: Counter[str] = field(default_factory=Counter)
    recall: list[float] = field(default_factory=list)

    def add(self, document: Document, kinds: tuple[str, ...]) -> None:
        plan, count = _plan(document), len(document.pages)
        self.credits += plan.credits
        self.full += _PRICE.credits(Tier.AGENTIC, count)
        for attempt in plan.attempts:
            is_local = attempt.engine is EngineName.LOCAL
            where = "local" if is_local else attempt.tier.value
            for number in attempt.target_pages or range(1, count + 1):
                page = document.pages[number - 1]
                kind = page_class(page, _ECONOMY.thresholds).value
                made = kinds[number - 1] if kinds else kind
                self.made[made] += 1
                self.classes[kind] += 1
                self.routes[f"{made} -> {where}"] += 1
                self.where[where] += 1
                self.needs_ocr_local += is_local and page.needs_ocr


def _plan(document: Document) -> RoutePlan:
    return plan_route(
        RouteFacts(
            Mode.HYBRID,
            Tier.AGENTIC,
            document.page_count,
            _PRICE,
            pages=document.pages,
            policy=_ECONOMY,
        )
    )


def _pages(plan: RoutePlan, engine: EngineName, count: int) -> list[int]:
    return [
        n
        for attempt in plan.attempts
        if attempt.engine is engine
        for n in attempt.target_pages or range(1, count + 1)
    ]


def _recall(local: LocalEngine, path: Path, numbers: list[int]) -> list[float]:
    """Words of pypdf's text layer, an engine that has nothing to do with ours, found in our markdown."""
    if not numbers:
        return []
    made = {page.number: page for page in asyncio.run(local.read(path, path.name)).pages}
    layers = PdfReader(path).pages
    found = []
    for number in numbers:
        wanted = Counter(_WORD.findall(layers[number - 1].extract_text().lower()))
        got = Counter(_WORD.findall(made[number].markdown.lower()))
        if wanted:
            found.append((wanted & got).total() / wanted.total())
    return found


def _planning() -> dict[str, object]:
    pages = tuple(
        PageProfile(n, 900, n % 5 == 0, n % 3 == 0, ("scanned",) if n % 5 == 0 else ())
        for n in range(1, 101)
    )
    document = Document("", 1, "application/pdf", len(pages), pages)
    began = time.perf_counter()
    for _ in range(_PLANS):
        _plan(document)
    each_ms = (time.perf_counter() - began) / _PLANS * 1000
    return {
        "figure": "planning a document of 100 pages page by page",
        "milliseconds": round(each_ms, 3),
    }


def _outage(folder: Path) -> Iterator[dict[str, object]]:
    switches = Switches()
    with Served(a_vendor(folder / "vendor", switches, pages_that(1))) as service:
        console = Console(
            Settings.load(
                {
                    "data_dir": folder / "data",
                    "api_key": "llx-bench",
                    "base_url": service.url,
                    "mode": "real",
                    "max_retries": 0,
                    "requests_per_minute": 600,
                }
            )
        )
        try:
            console.run_worker()
            yield _gate(console)
            yield from _outage_of(console, switches)
        finally:
            console.close()


def _gate(console: Console) -> dict[str, object]:
    console.watch.gate()
    began = time.perf_counter()
    for _ in range(_PLANS):
        console.watch.gate()
    return {
        "figure": "latency that the breaker adds to a submit, SQLite",
        "milliseconds": round((time.perf_counter() - began) / _PLANS * 1000, 3),
    }


def _outage_of(console: Console, switches: Switches) -> Iterator[dict[str, object]]:
    _until(lambda: bool(switches.asked))
    switches.status = 503
    began = time.perf_counter()
    _press(console, "during.txt")
    _until(lambda: console.health.look().breaker.state is not BreakerState.CLOSED)
    yield _seconds("from an outage to an open breaker, a probe every 30 s and one document", began)
    _until(lambda: console.jobs.counts().get(JobStatus.HELD, 0) == 1)
    switches.status = 0
    began = time.perf_counter()
    _until(lambda: console.jobs.counts().get(JobStatus.COMPLETE, 0) == 1)
    yield _seconds("from recovery to the first real result of a held job", began)


def _seconds(what: str, began: float) -> dict[str, object]:
    return {"figure": what, "seconds": round(time.perf_counter() - began, 1)}


def _press(console: Console, name: str) -> None:
    upload = console.submissions.preflight(name, io.BytesIO(name.encode()))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL, parse_again=True)
    console.submissions.submit(quote, Actor("bench"), name)


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.05)
