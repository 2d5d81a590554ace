"""Charts, receipts, alerts and drift against sums made apart from the code under test."""

import importlib
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2 as httpx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import dashboard
from bench.history import fill
from core.api import all_routes
from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.forecast import is_telling, month_forecast, reached_at
from core.domain.jobs import JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.services.reports import WASTE
from core.serving import Served
from core.simulator import SimulatorConfig
from core.store import alerts, balances, jobs, ledger, prices
from core.store.rollups import DIMENSIONS
from core.store.usage import UsageRecord
from tests.factories import ALICE, finished, submitted, wait_until

Maker = Callable[..., Console]
NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
DAILY = ("all", Window.DAY, Unit.USD)


@pytest.fixture
def make_console(make_console: Maker, database_url: str) -> Maker:
    """Makes consoles on this test's database."""
    return partial(make_console, database_url=database_url)


@pytest.fixture
def office(make_console: Maker) -> Console:
    """Three weeks of a busy office."""
    console = make_console()
    fill(console.store, entries=1500, days=21, now=NOW)
    for part in (console.reports, console.limits, console.alerts, console.spend, console.drift):
        part._clock = lambda: NOW
    return console


def _sql(console: Console, query: str) -> list[tuple[object, ...]]:
    with console.store.read() as tx:
        return [tuple(row) for row in tx.execute(text(query))]


@pytest.mark.parametrize("by", DIMENSIONS)
def test_every_chart_adds_up_to_the_ledger(office: Console, by: str) -> None:
    """What a chart shows by anything is, day by day, what SQL sums over the entries themselves."""
    frame = office.reports.spend(Mode.MOCK, 30, by).frame
    where = "" if by != "outcome" else "AND kind <> 'reserve'"
    rows = _sql(
        office,
        f"SELECT day, {by}, sum(settled_micros) FROM ledger WHERE book = 'mock' {where} GROUP BY day, {by}",  # noqa: S608 - constants
    )
    apart = {
        (day, value): int(str(micros)) / 1e6 for day, value, micros in rows if int(str(micros))
    }
    shown = frame[frame["settled_usd"] > 0]
    assert {(r.window, r.value): r.settled_usd for r in shown.itertuples()} == pytest.approx(apart)
    assert office.reports.spend(Mode.REAL, 30, by).frame.empty


def test_waste_and_savings_are_what_the_entries_say(office: Console) -> None:
    """Paid for nothing new, and not paid: both as SQL sums them, and the CSV holds the same."""
    report = office.reports.spend(Mode.MOCK, 30, "tier")
    outcomes = ", ".join(f"'{name}'" for name in WASTE)
    wasted = _sql(office, f"SELECT sum(settled_micros) FROM ledger WHERE outcome IN ({outcomes})")  # noqa: S608 - constants
    saved = _sql(office, "SELECT sum(saved_micros) FROM ledger")
    assert report.waste["settled_usd"].sum() == pytest.approx(int(str(wasted[0][0])) / 1e6)
    assert report.saved["saved_usd"].sum() == pytest.approx(int(str(saved[0][0])) / 1e6)
    csv = pd.read_csv(io.BytesIO(report.frame.to_csv(index=False).encode()))
    assert csv["settled_usd"].sum() == pytest.approx(report.frame["settled_usd"].sum())


def test_filters_narrow_all_charts(office: Console) -> None:
    """One team's charts show that team's entries and nothing else."""
    frame = office.reports.spend(Mode.MOCK, 30, "tier", {"team": "legal"}).frame
    rows = _sql(office, "SELECT sum(settled_micros) FROM ledger WHERE team = 'legal'")
    assert frame["settled_usd"].sum() == pytest.approx(int(str(rows[0][0])) / 1e6)
    assert office.reports.choices(Mode.MOCK, 30, "team") == ("claims", "legal", "procurement")


def test_a_duplicate_that_was_not_parsed_is_a_saving(make_console: Maker) -> None:
    """Two names for the same bytes are paid once, and what the second would have cost is shown."""
    console = make_console()
    uploads = [
        console.submissions.preflight(name, io.BytesIO(data))
        for name, data in (("a.txt", b"same"), ("b.txt", b"same"))
    ]
    quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.MOCK)
    console.submissions.submit(quote, ALICE, "press")
    saved = console.reports.spend(Mode.MOCK, 1, "tier").saved
    assert list(saved["value"]) == ["avoided"]
    assert saved["saved_usd"].sum() == pytest.approx(0.0125)
    assert console.spend.today(Mode.MOCK).total_usd == Decimal("0.0125")
    with console.store.read() as tx:
        assert balances.differences(tx) == ()


def _is_settled(console: Console) -> bool:
    return _sql(console, "SELECT count(*) FROM open_reservation") == [(0,)]


def _paid_twice_apart(console: Console) -> float:
    """Dollars settled for a document and tier beyond the first time, through pandas over the entries."""
    columns = ["sha256", "tier", "micros", "id"]
    rows = _sql(
        console,
        "SELECT job.document_sha256, ledger.tier, ledger.settled_micros, ledger.id FROM ledger "
        "JOIN job ON job.id = ledger.job_id WHERE ledger.settled_micros > 0",
    )
    paid = pd.DataFrame(rows, columns=columns).sort_values("id")
    again = paid.duplicated(["sha256", "tier"])
    return float(paid.loc[again, "micros"].astype(float).sum() / 1e6)


def test_what_is_paid_twice_is_waste_also_when_both_ran_at_once(make_console: Maker) -> None:
    """The same bytes at the same tier, paid again: waste once; another tier or a cached result is none."""
    console = make_console(simulator=SimulatorConfig(cache=False))
    presses = [
        submitted(console, {"a.txt": b"same"}, key="first"),
        submitted(console, {"b.txt": b"same"}, key="at the same time"),
        submitted(console, {"a.txt": b"same"}, tier=Tier.FAST, key="another tier"),
        submitted(console, {"other.txt": b"other"}, key="another document"),
    ]
    console.run_worker()
    for press in presses:
        finished(console, press.id)
    wait_until(lambda: _is_settled(console))
    report = console.reports.spend(Mode.MOCK, 2, "tier")
    assert list(report.waste["value"]) == ["repeat"]
    assert report.waste["settled_usd"].sum() == pytest.approx(0.0125)
    assert report.waste["settled_usd"].sum() == pytest.approx(_paid_twice_apart(console))
    with console.store.read() as tx:
        assert balances.differences(tx) == ()


def test_pages_parsed_again_at_the_same_tier_are_waste(make_console: Maker) -> None:
    """A page is paid twice when its own pages are ordered again; at a higher tier it brings something new."""
    console = make_console(worker=True, simulator=SimulatorConfig(cache=False))
    press = submitted(console, {"a.txt": b"one"})
    (job,) = finished(console, press.id).jobs
    for tier, wasted in ((Tier.AGENTIC_PLUS, 0.0), (Tier.AGENTIC, 0.0125)):
        console.again.order(console.again.at_tier(console.jobs.view(job.id).job, [1], tier), ALICE)
        finished(console, press.id)
        wait_until(lambda: _is_settled(console))
        waste = console.reports.spend(Mode.MOCK, 2, "tier").waste
        assert waste["settled_usd"].sum() == pytest.approx(wasted)


def test_what_is_in_the_vendors_cache_is_saved_and_no_waste(make_console: Maker) -> None:
    """A second parse that costs nothing is a saving of its price."""
    console = make_console(worker=True)
    for key in ("first", "second"):
        finished(console, submitted(console, {"a.txt": b"one"}, key=key).id)
    wait_until(lambda: _is_settled(console))
    report = console.reports.spend(Mode.MOCK, 2, "tier")
    assert report.waste["settled_usd"].sum() == 0
    assert list(report.saved["value"]) == ["cached"]
    assert report.saved["saved_usd"].sum() == pytest.approx(0.0125)


def test_a_result_that_is_there_already_is_a_saving(make_console: Maker) -> None:
    """Dropped again beside something new, a parsed document is not paid, and its price counts as saved."""
    console = make_console(worker=True)
    finished(console, submitted(console, {"a.txt": b"one"}).id)
    uploads = [
        console.submissions.preflight(name, io.BytesIO(data))
        for name, data in (("a.txt", b"one"), ("new.txt", b"new"))
    ]
    quote = console.submissions.quote(uploads, Tier.AGENTIC, Mode.MOCK)
    finished(console, console.submissions.submit(quote, ALICE, "again").id)
    saved = console.reports.spend(Mode.MOCK, 2, "tier").saved
    assert list(saved["value"]) == ["avoided"]
    assert saved["saved_usd"].sum() == pytest.approx(0.0125)


def test_the_burn_down_ends_at_what_is_used_today(office: Console) -> None:
    """The last point of today's curve is today's balance; it begins with the day."""
    curve = office.reports.burn_down(Mode.MOCK)
    rows = _sql(
        office,
        "SELECT sum(settled_micros), sum(reserved_micros) FROM ledger WHERE day = '2026-11-24'",
    )
    last = curve.hours.iloc[-1]
    assert [last["settled_usd"], last["reserved_usd"]] == pytest.approx(
        [int(str(amount)) / 1e6 for amount in rows[0]]
    )
    assert curve.hours["at"].iloc[0] == datetime(2026, 11, 24, tzinfo=UTC)


def test_the_month_is_a_range_around_what_is_likely(office: Console) -> None:
    """A forecast is never one line: it has a low and a high, and what is spent is its floor."""
    month = office.reports.month(Mode.MOCK)
    assert month.forecast is not None
    low, middle, high = month.forecast.low, month.forecast.middle, month.forecast.high
    assert float(month.spent_usd) <= low < middle < high


@given(
    st.lists(st.floats(0, 1000), min_size=3, max_size=28),
    st.floats(0, 5000),
    st.floats(0, 31),
)
def test_no_forecast_is_below_what_is_spent(recent: list[float], spent: float, left: float) -> None:
    """Whatever the days were like, the range is in order and holds what is spent already."""
    forecast = month_forecast(spent, left, recent)
    assert forecast is not None
    assert spent <= forecast.low <= forecast.middle + 1e-6 <= forecast.high + 2e-6


def test_the_hour_at_which_the_limit_is_reached() -> None:
    """At two dollars an hour, four dollars before the limit are two hours; a calm day reaches nothing."""
    start = datetime(2026, 11, 24, tzinfo=UTC)
    used = [(start + timedelta(hours=h), max(0.0, 2.0 * (h - 9))) for h in range(13)]
    now, ends = used[-1][0], start + timedelta(days=1)
    assert reached_at(used, 10.0, now, ends) == now + timedelta(hours=2)
    assert reached_at(used, 100.0, now, ends) is None
    assert reached_at(used, 6.0, now, ends) == now


def test_figures_know_no_streamlit_and_only_two_screens_draw_them() -> None:
    """Plotly is heavy in the browser: one module per screen makes figures, and Spend and Modes show them."""

    def users_of(words: str) -> set[str]:
        files = Path(dashboard.__file__).parent.rglob("*.py")
        return {path.name for path in files if words in path.read_text()}

    assert users_of("import plotly") == {"spend_figures.py", "health_charts.py"}
    assert users_of("import spend_figures") == {"spend_charts.py"}
    assert users_of("spend_charts,") == {"spend.py"}
    assert "spend_figures.py" not in users_of("import streamlit")


def test_every_figure_shows_the_limit_and_tells_reserved_from_settled(office: Console) -> None:
    """Reserved is hatched apart from settled, the limit is a line with its amount, MOCK says so."""
    figures = importlib.import_module("dashboard.components.spend_figures")
    today = figures.burn_down(office.reports.burn_down(Mode.MOCK), "simulated")
    by_day = figures.over_time(office.reports.spend(Mode.MOCK, 30, "tier"), 10.0, "simulated")
    for figure in (today, by_day):
        words = [annotation.text for annotation in figure.layout.annotations]
        assert any("limit $10.00" in word for word in words)
        assert "simulated" in words
    assert any(trace.name.startswith("reserved") for trace in by_day.data)
    colors = {trace.name: trace.marker.color for trace in by_day.data}
    narrowed = figures.over_time(
        office.reports.spend(Mode.MOCK, 30, "tier", {"team": "legal"}), None, ""
    )
    assert all(colors[trace.name] == trace.marker.color for trace in narrowed.data)


# -- receipts -------------------------------------------------------------------------------------


def test_a_receipt_says_why_it_cost_what_it_cost(make_console: Maker) -> None:
    """Pages times credits times a dated rate, the quote, the bill, and the cause of each difference."""
    console = make_console(worker=True)
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    finished(console, console.jobs.view(job_id).submission.id)
    receipt = console.receipts.of_job(job_id)
    assert "1 page x 10 credits x $0.00125 (price from 2026-01-01)" in receipt.lines[0].words
    assert receipt.billed_usd == Decimal("0.0125") == receipt.quoted_usd
    assert receipt.is_simulated
    with console.store.read() as tx:
        book = console.rules()
        assert book.price(tx, NOW).credits(Tier.AGENTIC, 1) == 10


def test_a_receipt_names_corrections_and_what_is_not_billed_yet(make_console: Maker) -> None:
    """A later bill stands on the receipt with its date and reason."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    assert any("not billed it yet" in cause for cause in console.receipts.of_job(job_id).causes)
    attempt = console.jobs.view(job_id).attempts[0]
    with console.store.write() as tx:
        book = prices.book(tx)
        for credits_ in (10, 13):
            what = ledger.Bill(credits_, "done", was_sent=True, cause="a late correction")
            ledger.bill(tx, attempt.id, what, book, console.clock())
    receipt = console.receipts.of_job(job_id)
    assert any("by +3 credits: a late correction" in cause for cause in receipt.causes)
    assert receipt.billed_usd == Decimal("0.01625")


# -- alerts ---------------------------------------------------------------------------------------


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[str]]]:
    """A webhook that alerts are sent to, and what arrived there."""
    arrived: list[str] = []

    async def take(request: Request) -> PlainTextResponse:
        arrived.append((await request.body()).decode())
        return PlainTextResponse("ok")

    with Served(Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])) as service:
        yield service.url.replace("http://", "json://"), arrived


def test_a_share_is_told_once_per_window_and_arrives(
    make_console: Maker, inbox: tuple[str, list[str]]
) -> None:
    """At half of the limit leads are told, once, marked as simulated; at all of it again."""
    address, arrived = inbox
    console = make_console()
    console.alerts.add_target("leads", f"{address}/alerts", ALICE)
    console.limits.change("mock", DAILY, "0.02", ALICE, "for the test")
    submitted(console, {"a.txt": b"one"})
    for _ in range(2):
        console.alerts.look()
        console.alerts.send_new()
    shares = [body for body in arrived if "50 % of the limit of $0.02 a day" in body]
    assert len(shares) == 1
    assert "(simulated)" in shares[0]
    console.limits.change("mock", DAILY, "0.0125", ALICE, "for the test")
    console.alerts.look()
    assert any("100 %" in alert.what for alert in console.alerts.recent("mock"))
    assert console.alerts.targets()[0].problem == ""


def test_a_dead_target_is_shown_and_stops_nobody_else(
    make_console: Maker, inbox: tuple[str, list[str]]
) -> None:
    """What does not arrive is said on the target; the others get theirs; no address is shown."""
    address, arrived = inbox
    console = make_console()
    console.alerts.add_target("dead", "json://127.0.0.1:1/secret-token", ALICE)
    console.alerts.add_target("leads", address, ALICE)
    with console.store.write() as tx:
        alerts.record(tx, alerts.Alert("k", "real", "share", "words", "", console.clock()))
    assert console.alerts.send_new() == 1
    dead, leads = console.alerts.targets()
    assert "did not arrive" in dead.problem
    assert "secret-token" not in dead.problem + repr(dead)
    assert (leads.problem, len(arrived)) == ("", 1)
    assert "did not arrive" in console.alerts.test("dead")
    assert console.alerts.test("leads") == ""


@pytest.mark.parametrize("address", ["", "not an address", "nosuch://x"])
def test_an_address_that_nothing_can_send_to_is_refused(make_console: Maker, address: str) -> None:
    """A wrong address is refused when it is entered, not when it matters."""
    with pytest.raises(NotAllowed, match="no kind that is known"):
        make_console().alerts.add_target("x", address, ALICE)


@pytest.mark.parametrize("text", ["", "half", "0, 50", "50, 101"])
def test_wrong_shares_are_refused(make_console: Maker, text: str) -> None:
    """Leads are told at percentages of a limit, and nothing else can be stored."""
    console = make_console()
    with pytest.raises(NotAllowed):
        console.alerts.set_shares(text, ALICE)
    assert console.alerts.shares() == (50, 80, 100)


def test_leads_choose_when_they_are_told(make_console: Maker) -> None:
    """With another share stored, that one raises the alert."""
    console = make_console()
    console.alerts.set_shares("60, 10%", ALICE)
    console.limits.change("mock", DAILY, "0.1", ALICE, "for the test")
    submitted(console, {"a.txt": b"one"})
    assert [a.what[:4] for a in console.alerts.look() if "0.10 a day" in a.what] == ["10 %"]


def test_a_forecast_is_told_before_the_limit_is_reached(office: Console) -> None:
    """When today's limit will be reached at this pace, leads hear it while they can do something."""
    used = office.spend.today(Mode.MOCK).total_usd
    office.limits.change("mock", DAILY, f"{used * Decimal('1.1'):.2f}", ALICE, "close")
    told = office.alerts.look()
    assert [alert.kind for alert in told if alert.kind == "forecast"] == ["forecast"]
    assert "is reached about" in next(a.what for a in told if a.kind == "forecast")


def test_a_few_documents_after_midnight_are_no_forecast(make_console: Maker) -> None:
    """A pace of minutes says nothing: no alert, and Spend says that it is too early."""
    console = make_console()
    console.limits.change("mock", DAILY, "0.4", ALICE, "for the test")
    just_after = datetime(2026, 11, 24, 0, 3, tzinfo=UTC)
    for part in (console.submissions, console.reports, console.alerts):
        part._clock = lambda: just_after
    submitted(console, {"a.txt": b"one"})  # 3 % of the day's money in three minutes
    assert [a.kind for a in console.alerts.look()] == []
    assert "too early" in console.reports.burn_down(Mode.MOCK).words


def test_looking_for_alerts_imports_no_pandas(tmp_path: Path) -> None:
    """The watch looks while the console still starts: pandas in two threads at once ended the start."""
    script = (
        "import sys; from pathlib import Path; from core.console import Console; "
        "from core.settings import Settings; "
        "console = Console(Settings.load({'data_dir': Path(sys.argv[1])})); "
        "console.alerts.look(); console.close(); print('pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@given(st.floats(0.001, 0.999), st.floats(0, 23.9))
def test_a_forecast_needs_a_base(share: float, hours: float) -> None:
    """A quarter of the limit is enough at any time, three hours with a tenth of it too, and nothing less."""
    start = datetime(2026, 11, 24, tzinfo=UTC)
    now = start + timedelta(hours=hours)
    used = [(start, 0.0), (now, 40 * share)]
    enough = 40 * share / 40 >= 0.25 or (now - start >= timedelta(hours=3) and share >= 0.1)
    if abs(share - 0.25) > 1e-9 and abs(share - 0.1) > 1e-9:
        assert is_telling(used, 40, now) == enough


def test_the_alert_names_the_same_time_as_the_spend_screen(make_console: Maker) -> None:
    """In the configured time zone, and in the same sentence."""
    console = make_console(timezone="America/New_York")
    console.limits.change("mock", DAILY, "0.04", ALICE, "for the test")
    for part in (console.reports, console.alerts, console.submissions):
        part._clock = lambda: NOW
    submitted(console, {"a.txt": b"one"})
    burn_down = console.reports.burn_down(Mode.MOCK)
    (alert,) = [alert for alert in console.alerts.look() if alert.kind == "forecast"]
    assert burn_down.reached is not None
    assert burn_down.words in alert.what
    at = burn_down.reached.astimezone(ZoneInfo("America/New_York"))
    assert alert.what.endswith(f"is reached about {at:%H:%M}.")
    assert at.hour == 17


# -- figures for Prometheus -----------------------------------------------------------------------


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
    rows = _sql(
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


# -- drift ----------------------------------------------------------------------------------------


def _real_job(console: Console) -> tuple[str, str]:
    """A finished real job that reported 10 credits, and the vendor's id of it."""
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
    job_id = console.submissions.submit(quote, ALICE, "press").job_ids[0]
    attempt = console.jobs.view(job_id).attempts[0]
    with console.store.write() as tx:
        jobs.update_attempt(
            tx, attempt.id, status="done", vendor_job_id="pjb-1", reported_credits=10, submits=1
        )
    return job_id, "pjb-1"


def _record(vendor_job_id: str, credits_: int, number: int = 1) -> UsageRecord:
    return UsageRecord(
        f"u-{number}", date(2026, 11, 24), vendor_job_id, "pages_parsed", 1, credits_
    )


def test_usage_metrics_correct_the_ledger_once(make_console: Maker) -> None:
    """What the vendor billed is what counts; the same record again changes nothing."""
    console = make_console(api_key="llx-test")
    job_id, vendor_id = _real_job(console)
    assert console.drift.take_in([_record(vendor_id, 12), _record("pjb-other", 7, 2)]) == 1
    assert console.drift.take_in([_record(vendor_id, 12)]) == 0
    with console.store.read() as tx:
        assert ledger.billed_credits(tx, job_id) == 12
        assert balances.differences(tx) == ()
    day = console.drift.days(back=10_000)[0]
    assert (day.estimated, day.reported, day.billed, day.outside) == (10, 10, 12, 7)


def test_drift_past_its_share_is_told_and_can_freeze_real(make_console: Maker) -> None:
    """Bills far from reports raise an alert; when it is set so, real work waits until it is lifted."""
    console = make_console(api_key="llx-test")
    _job, vendor_id = _real_job(console)
    console.drift.set_share("10", ALICE, freezes=True)
    record = UsageRecord("u", console.clock().date(), vendor_id, "pages_parsed", 1, 20)
    console.drift.take_in([record])
    assert any("100% apart" in alert.what for alert in console.alerts.recent("real"))
    upload = console.submissions.preflight("b.txt", io.BytesIO(b"more"))
    quote = console.submissions.quote([upload], Tier.FAST, Mode.REAL)
    job_id = console.submissions.submit(quote, ALICE, "frozen").job_ids[0]
    job = console.jobs.view(job_id).job
    assert (job.status, "frozen" in job.reason) == (JobStatus.HELD, True)
    with pytest.raises(NotAllowed, match="reason"):
        console.drift.lift(ALICE, "")
    console.drift.lift(ALICE, "their page says the same")
    assert console.drift.frozen() == ""


def test_simulated_work_goes_on_while_real_is_frozen(make_console: Maker) -> None:
    """The freeze is about real money only."""
    console = make_console(api_key="llx-test")
    _job, vendor_id = _real_job(console)
    console.drift.set_share("10", ALICE, freezes=True)
    console.drift.take_in([UsageRecord("u", console.clock().date(), vendor_id, "x", 1, 90)])
    assert console.drift.frozen()
    job_id = submitted(console, {"m.txt": b"mock"}, key="mock").job_ids[0]
    assert console.jobs.view(job_id).job.status is JobStatus.PARSE_QUEUED


@pytest.mark.parametrize("share", ["x", "0", "-1", "101", "NaN"])
def test_a_wrong_share_is_refused(make_console: Maker, share: str) -> None:
    """A share is a percentage above zero."""
    with pytest.raises(NotAllowed):
        make_console().drift.set_share(share, ALICE, freezes=False)


def test_a_month_is_billed_as_the_plan_says(make_console: Maker) -> None:
    """The fee, and what goes beyond the included credits at the plan's rate."""
    console = make_console()
    fill(console.store, entries=400, days=10, now=NOW, book="real")
    console.drift.set_plan("starter", ALICE)
    bill = console.statements.of(Mode.REAL, date(2026, 11, 24))
    rows = _sql(console, "SELECT sum(settled_credits) FROM ledger WHERE day LIKE '2026-11%'")
    assert (bill.credits, bill.included) == (int(str(rows[0][0])), 40_000)
    assert bill.fee_usd == 50
    assert bill.total_usd == 50 + max(0, bill.credits - 40_000) * Decimal("0.00125")


def test_the_statement_as_csv_is_what_the_entries_say(make_console: Maker) -> None:
    """Tier by tier and in all, the CSV holds what SQL sums over the month's entries, and the total."""
    console = make_console()
    fill(console.store, entries=400, days=40, now=NOW)
    console.statements._clock = lambda: NOW
    console.drift.set_plan("starter", ALICE)
    bill = console.statements.of(Mode.MOCK, date(2026, 11, 1))
    csv = pd.read_csv(io.BytesIO(bill.frame().to_csv(index=False).encode()))
    items = {str(row["item"]): row for row in csv.to_dict("records")}
    rows = _sql(
        console,
        "SELECT tier, sum(settled_credits), sum(settled_micros) FROM ledger "
        "WHERE day LIKE '2026-11%' GROUP BY tier",
    )
    for tier, credits_, micros in rows:
        item = items[f"used: {tier}"]
        assert (item["credits"], item["usd"]) == (int(str(credits_)), int(str(micros)) / 1e6)
    assert items["used in all"]["credits"] == sum(int(str(row[1])) for row in rows)
    assert items["total"]["usd"] == float(bill.total_usd)
    assert set(csv["money"]) == {"simulated"}
    assert console.statements.of(Mode.REAL, date(2026, 11, 1)).credits == 0


@pytest.mark.parametrize(
    ("text", "words"), [("x", "no month"), ("2026-13", "no month"), ("2027-01", "begun")]
)
def test_a_month_that_is_none_is_refused(make_console: Maker, text: str, words: str) -> None:
    """A wrong month says how to write it."""
    statements = make_console().statements
    statements._clock = lambda: NOW
    with pytest.raises(NotAllowed, match=words):
        statements.month_of(text)


# -- the pipeline's bills -------------------------------------------------------------------------


def test_after_real_work_the_ledger_fits_to_the_credit(make_console: Maker) -> None:
    """Failed, cached and finished work end settled or released, and every sum fits."""
    console = make_console(worker=True, simulator=SimulatorConfig(pending_s=0.1))
    files = {f"{n}.txt": b"%d" % n for n in range(5)}
    view = finished(console, submitted(console, files).id)
    with console.store.read() as tx:
        assert balances.differences(tx) == ()
        assert all(ledger.billed_credits(tx, job.id) == job.billed_credits for job in view.jobs)
