"""The month as a bill."""

import io
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from bench.history import fill
from core.domain.routing import Mode
from core.errors import NotAllowed
from tests.factories import ALICE
from tests.money.office import NOW, Maker, by_sql


def test_a_month_is_billed_as_the_plan_says(make_console: Maker) -> None:
    """The fee, and what goes beyond the included credits at the plan's rate."""
    console = make_console()
    fill(console.store, entries=400, days=10, now=NOW, book="real")
    console.drift.set_plan("starter", ALICE)
    bill = console.statements.of(Mode.REAL, date(2026, 11, 24))
    rows = by_sql(console, "SELECT sum(settled_credits) FROM ledger WHERE day LIKE '2026-11%'")
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
    rows = by_sql(
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
