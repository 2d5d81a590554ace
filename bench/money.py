"""Reservations a second with many clients and none too many; the Spend screen with a million entries."""

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.history import fill
from bench.overview import _BIN, _free_port, _serving
from bench.pipeline import _postgres
from core.domain.budgets import Limit, Unit, Window
from core.store import Store, balances, ledger

__all__ = ["run"]

_CLIENTS = 32
_EACH = 30
_MICROS = 12_500
_ROUNDS = 7
_SMALL, _LARGE = 1_000, 1_000_000


def run() -> Iterator[dict[str, object]]:
    """Reservations on both databases, then the first paint of Spend."""
    with tempfile.TemporaryDirectory() as folder, _postgres(Path(folder) / "pg") as postgres:
        for name, url in (("SQLite", f"sqlite:///{folder}/money.sqlite"), ("Postgres", postgres)):
            yield _reservations(name, url)
    yield _first_paint()


def _reservations(name: str, url: str) -> dict[str, object]:
    """Every client asks until it asked so often; the limit has room for two thirds of all."""
    room = _CLIENTS * _EACH * 2 // 3
    limits = [Limit(Window.DAY, Unit.USD, room * _MICROS)]
    store, now = Store.open(url), datetime.now(UTC)
    times: list[float] = []
    granted: list[bool] = []
    start = threading.Barrier(_CLIENTS)

    def ask(client: int) -> None:
        start.wait()
        for number in range(_EACH):
            wanted = ledger.Reservation(
                "job", f"att-{client}-{number}", "real", "agentic", "bench", 10, _MICROS
            )
            began = time.perf_counter()
            with store.write() as tx:
                refusal = ledger.reserve(tx, wanted, limits, now, "UTC")
            times.append(time.perf_counter() - began)
            granted.append(refusal is None)

    clients = [threading.Thread(target=ask, args=(n,)) for n in range(_CLIENTS)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.perf_counter() - began
    with store.read() as tx:
        used = ledger.uses(tx, "real", limits, now, "UTC")[0].used
        wrong = len(balances.differences(tx))
    store.close()
    return {
        "figure": f"reservations with {_CLIENTS} clients at once, {name}",
        "asked": len(times),
        "per_second": round(len(times) / seconds),
        "p99_ms": round(1000 * statistics.quantiles(times, n=100)[98], 1),
        "granted": sum(granted),
        "room": room,
        "over_the_limit": max(0, used - limits[0].amount),
        "sums_that_differ": wrong,
    }


def _first_paint() -> dict[str, object]:
    """Both consoles side by side, opened in turn."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {}
        for entries in (_SMALL, _LARGE):
            home = folder / str(entries)
            (home / "var").mkdir(parents=True)
            store = Store.open(f"sqlite:///{home / 'var' / 'parsedeck.sqlite'}")
            fill(store, entries=entries, days=21, now=datetime.now(UTC))
            store.close()
            ports[entries] = _free_port()
            command = ["up", "--port", str(ports[entries]), "--ingress-port", str(_free_port())]
            stack.enter_context(
                _serving([str(_BIN / "parsedeck"), *command], str(home), ports[entries])
            )
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        times: dict[int, list[float]] = {entries: [] for entries in ports}
        for number in range(_ROUNDS + 1):
            for entries, port in ports.items():
                seconds = _painted_after(browser, port)
                if number:  # the first round warms both up
                    times[entries].append(seconds)
        browser.close()
    small, large = statistics.median(times[_SMALL]), statistics.median(times[_LARGE])
    return {
        "figure": f"Spend, seconds until its charts are drawn, {_LARGE:,} entries beside {_SMALL:,}",
        "large": round(large, 3),
        "small": round(small, 3),
        "ratio": round(large / small, 2),
        "goal": "at most 1.3",
    }


def _painted_after(browser: Browser, port: int) -> float:
    window = browser.new_page()
    began = time.perf_counter()
    window.goto(f"http://127.0.0.1:{port}/spend")
    window.locator(".js-plotly-plot").nth(1).wait_for(timeout=60_000)
    seconds = time.perf_counter() - began
    window.close()
    return seconds


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)
