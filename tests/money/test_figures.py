"""The figures on money for Prometheus, against the ledger."""

import io
from collections import Counter

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from core.api import all_routes
from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.money import Tier
from core.domain.routing import Mode
from core.serving import Served
from core.store import ledger, prices
from tests.factories import ALICE
from tests.money.office import DAILY, NOW, Maker, by_sql


def _figures(console: Console) -> dict[tuple[str, ...], float]:
    """Each sample of /metrics about money, by its name and labels in order."""
    with Served(Starlette(routes=all_routes(console))) as service:
        exposed = httpx.get(f"{service.url}/metrics").raise_for_status().text
    return {
        (family.name, *(value for _name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposed)
        if family.name in {"parsedeck_limit", "parsedeck_alerts", "parsedeck_jobs"}
        for sample in family.samples
    }


def test_the_figures_on_money_are_those_of_the_ledger(make_console: Maker) -> None:
    """Reserved, settled and left of every limit, as SQL sums the entries; alerts by kind; nothing stale."""
    console = make_console()
    for part in (console.submissions, console.limits, console.alerts, console.reports):
        part._clock = lambda: NOW
    console.limits.add_team("legal", ALICE)
    team = ("team:legal", Window.DAY, Unit.USD)
    console.limits.change("mock", DAILY, "0.05", ALICE, "for the test")
    console.limits.change("mock", team, "0.03", ALICE, "for the test")
    uploads = [console.submissions.preflight(f"{n}.txt", io.BytesIO(b"%d" % n)) for n in range(2)]
    quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.MOCK, team="legal")
    view = console.submissions.submit(quote, ALICE, "press")
    attempt = console.jobs.view(view.job_ids[0]).attempts[0]
    with console.store.write() as tx:
        what = ledger.Bill(8, "done", was_sent=True, cause="t")
        ledger.bill(tx, attempt.id, what, prices.book(tx), console.clock())
    console.alerts.look()
    found = _figures(console)
    rows = by_sql(
        console,
        "SELECT sum(reserved_micros), sum(settled_micros), sum(reserved_submits), "
        "sum(settled_submits) FROM ledger WHERE book = 'mock'",
    )
    reserved, settled, submits_open, submits_done = (int(str(n)) for n in rows[0])
    for scope, limit in (("all", 50_000), ("team:legal", 30_000)):
        parts = {
            part: found["parsedeck_limit", "mock", part, scope, "usd", "day"]
            for part in ("limit", "reserved", "settled", "left")
        }
        left = limit - reserved - settled
        apart = {"limit": limit, "reserved": reserved, "settled": settled, "left": left}
        assert parts == pytest.approx({part: micros / 1e6 for part, micros in apart.items()})
    hour = [
        found["parsedeck_limit", "mock", part, "all", "submits", "hour"]
        for part in ("reserved", "settled", "left")
    ]
    assert hour == [submits_open, submits_done, 100 - submits_open - submits_done]
    assert found["parsedeck_limit", "real", "settled", "all", "usd", "day"] == 0
    told = Counter(alert.kind for alert in console.alerts.recent("mock"))
    assert told
    assert {kind: found["parsedeck_alerts", "mock", kind] for kind in told} == told
    console.limits.change("mock", team, None, ALICE, "no more")
    console.jobs.cancel(list(view.job_ids), ALICE)
    later = _figures(console)
    assert not any("team:legal" in labels for labels in later)
    assert ("parsedeck_jobs", "parse_queued") not in later
