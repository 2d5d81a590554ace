"""Spend: what its URL says is what it shows."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from bench.history import fill
from core.console import Console
from core.domain.routing import Mode
from dashboard.wording import money
from tests.dashboard.reading import Open, no_traceback, words


def test_range_division_and_filters_live_in_the_url(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A link that a lead passes on opens the same view; what another choice shows is another sum."""
    console = make_console()
    fill(console.store, entries=400, days=20, now=datetime.now(UTC))
    team = console.reports.choices(Mode.MOCK, 7, "team")[0]

    def settled(days: int, only: dict[str, str]) -> str:
        frame = console.reports.spend(Mode.MOCK, days, "actor", only).frame
        return f"{money(Decimal(str(round(frame['settled_usd'].sum(), 6))))} settled"

    query = {"range": "7 days", "by": "person", "spend-team": team}
    app = open_screen(console, "screens/spend.py", **query)
    no_traceback(app)
    assert settled(7, {"team": team}) in words(app)
    assert "actor" not in app.dataframe[0].value.columns
    assert "person" in app.dataframe[0].value.columns
    app = open_screen(console, "screens/spend.py", range="90 days", by="person")
    assert settled(90, {}) in words(app)
    assert settled(90, {}) != settled(7, {"team": team})
