"""Charts, forecasts and receipts against sums made apart from the code under test."""

import importlib
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashboard
from core.console import Console
from core.domain.forecast import month_forecast, reached_at
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.reports import WASTE
from core.simulator import SimulatorConfig
from core.store import balances, ledger, prices
from core.store.rollups import DIMENSIONS
from tests.factories import ALICE, finished, submitted, wait_until
from tests.money.office import NOW, Maker, by_sql


@pytest.mark.parametrize("by", DIMENSIONS)
def test_every_chart_adds_up_to_the_ledger(office: Console, by: str) -> None:
    """What a chart shows by anything is, day by day, what SQL sums over the entries themselves."""
    frame = office.reports.spend(Mode.MOCK, 30, by).frame
    where = "" if by != "outcome" else "AND kind <> 'reserve'"
    rows = by_sql(
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
    wasted = by_sql(office, f"SELECT sum(settled_micros) FROM ledger WHERE outcome IN ({outcomes})")  # noqa: S608 - constants
    saved = by_sql(office, "SELECT sum(saved_micros) FROM ledger")
    assert report.waste["settled_usd"].sum() == pytest.approx(int(str(wasted[0][0])) / 1e6)
    assert report.saved["saved_usd"].sum() == pytest.approx(int(str(saved[0][0])) / 1e6)
    csv = pd.read_csv(io.BytesIO(report.frame.to_csv(index=False).encode()))
    assert csv["settled_usd"].sum() == pytest.approx(report.frame["settled_usd"].sum())


def test_filters_narrow_all_charts(office: Console) -> None:
    """One team's charts show that team's entries and nothing else."""
    frame = office.reports.spend(Mode.MOCK, 30, "tier", {"team": "legal"}).frame
    rows = by_sql(office, "SELECT sum(settled_micros) FROM ledger WHERE team = 'legal'")
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
    return by_sql(console, "SELECT count(*) FROM open_reservation") == [(0,)]


def _paid_twice_apart(console: Console) -> float:
    """Dollars settled for a document and tier beyond the first time, through pandas over the entries."""
    columns = ["sha256", "tier", "micros", "id"]
    rows = by_sql(
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
    rows = by_sql(
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
    by_day = figures.over_time(
        office.reports.spend(Mode.MOCK, 30, "tier"), Decimal(10), "simulated"
    )
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
