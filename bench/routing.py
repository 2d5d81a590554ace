"""What economy saves and keeps, what planning costs, and how fast an outage is noticed and over."""

import asyncio
import io
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from pypdf import PdfReader

from core.console import Console
from core.domain.documents import Document, EngineName, PageProfile, page_class
from core.domain.health import BreakerState
from core.domain.jobs import Actor, JobStatus
from core.domain.money import BUILT_IN_PRICES, Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy
from core.domain.routing import Mode, RouteFacts, RoutePlan, plan_route
from core.engines.local import LocalEngine
from core.samples import pdf_of_images, pdf_of_text, scan_of
from core.serving import Served
from core.settings import Settings
from tests.vendor import Switches, a_vendor, pages_that

__all__ = ["run"]

_ECONOMY = RoutePolicy(HybridPolicy.ECONOMY)
_PRICE = BUILT_IN_PRICES.on(date(2026, 11, 24))
_SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
_PLANS = 200
_WORD = re.compile(r"\w+")
_PROSE = "The tenant pays the rent on the first day of each month, number {n}, in advance.\n"


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
    generated = {f"made-{n}.pdf": data for n, data in enumerate(_documents())}
    sets = {"generated": generated}
    if _SAMPLES.is_dir():
        found = {path.name: path.read_bytes() for path in sorted(_SAMPLES.glob("*.pdf"))}
        sets["samples"] = found
    for name, files in sets.items():
        yield _saved(local, folder, name, files)


def _saved(
    local: LocalEngine, folder: Path, name: str, files: dict[str, bytes]
) -> dict[str, object]:
    credits_, full, shares = 0, 0, Counter[str]()
    kinds, recall, needs_ocr_local = Counter[str](), list[float](), 0
    for number, (file, data) in enumerate(files.items()):
        path = folder / f"{name}-{number}.pdf"
        path.write_bytes(data)
        document = local.inspect(path, file, str(number), len(data))
        if not document.is_parsable:
            continue
        plan = _plan(document)
        credits_ += plan.credits
        full += _PRICE.credits(Tier.AGENTIC, len(document.pages))
        kinds.update(page_class(p, _ECONOMY.thresholds).value for p in document.pages)
        stays = _pages(plan, EngineName.LOCAL, len(document.pages))
        shares.update(_shares(plan, len(document.pages)))
        needs_ocr_local += sum(document.pages[n - 1].needs_ocr for n in stays)
        recall += _recall(local, path, stays)
    return {
        "figure": f"economy beside all-agentic, {name} set",
        "pages": dict(kinds),
        "economy_usd": float(_PRICE.usd(credits_)),
        "all_agentic_usd": float(_PRICE.usd(full)),
        "saved": f"{1 - credits_ / full:.0%}" if full else "no page",
        "routed": {engine: f"{n / sum(shares.values()):.0%}" for engine, n in shares.items()},
        "pages_needing_ocr_left_local": needs_ocr_local,
        "worst_text_recall_of_local_pages": round(min(recall, default=1.0), 3),
        "goal": "at least 60 % saved, no page that needs OCR left local",
    }


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


def _shares(plan: RoutePlan, count: int) -> Counter[str]:
    found = Counter[str]()
    for attempt in plan.attempts:
        is_local = attempt.engine is EngineName.LOCAL
        found["local" if is_local else attempt.tier.value] += len(attempt.target_pages) or count
    return found


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


def _documents() -> Iterator[bytes]:
    """Twelve text documents of ten pages, four of tables, four scans: a mixed inbox."""
    text = "Lease\n" + "".join(_PROSE.format(n=n) for n in range(30))
    rows = "Prices\n" + "".join(f"item {n}    {n * 3}    {n * 7}    {n * 11}\n" for n in range(30))
    for _ in range(12):
        yield pdf_of_text([text] * 10)
    for _ in range(4):
        yield pdf_of_text([text, rows, rows, text])
    for _ in range(4):
        yield pdf_of_images([scan_of(text[:600])] * 2)


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
                    "health_interval_s": 5,
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
    yield _seconds("from an outage to an open breaker, a probe every 5 s and one document", began)
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
