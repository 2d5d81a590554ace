"""Leads are told of shares and forecasts, once, where they want to be told."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.console import Console
from core.domain.forecast import is_telling
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.serving import Served
from core.store import alerts
from tests.factories import ALICE, submitted
from tests.money.office import DAILY, NOW, Maker


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
