"""A ledger with weeks of history, as a busy office would leave it: for figures and for the README's picture."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, cast

from sqlalchemy import Table, inspect

from core.domain.budgets import Window, window_key
from core.store import Store, balances, ledger
from core.store.tables import LedgerRow, TeamRow

__all__ = ["fill"]

_TEAMS = ("claims", "legal", "procurement")
_PEOPLE = ("alice", "bob", "charlie", "dora", "emil")
_TIERS = (("fast", 1), ("cost_effective", 3), ("agentic", 10), ("agentic_plus", 45))
_WEIGHTS = (2, 5, 8, 1)
_OUTCOMES = ("done", "repeat", "failed", "cancelled", "cached")
_OUTCOME_WEIGHTS = (86, 4, 4, 1, 5)
_MICROS_PER_CREDIT = 1250
_BATCH = 20_000


def fill(store: Store, *, entries: int, days: int, now: datetime, book: str = "mock") -> None:
    """``entries`` entries (a reservation and its end each) over the last ``days`` days, and their sums."""
    rows = _entries(random.Random(7), entries, days, now, book)
    table = cast("Table", inspect(LedgerRow).local_table)
    with store.write() as tx:
        for team in _TEAMS:
            tx.merge(TeamRow(name=team, actor="bench", at=now))
        while batch := list(islice(rows, _BATCH)):
            tx.connection().execute(table.insert(), batch)
        for each in ("real", "mock"):
            ledger.lock(tx, each)
        balances.rebuild(tx)


def _entries(
    chance: random.Random, entries: int, days: int, now: datetime, book: str
) -> Iterator[dict[str, Any]]:
    pairs = entries // 2
    for number in range(pairs):
        at = _moment(chance, days, now)
        hour = window_key(Window.HOUR, at, "UTC").removeprefix("hour:")
        tier, credits_per_page = chance.choices(_TIERS, _WEIGHTS)[0]
        engine = "local" if chance.random() < 0.15 else "llamaparse"  # noqa: PLR2004 - a share
        pages = chance.randint(1, 12)
        estimate = 0 if engine == "local" else pages * credits_per_page
        outcome = "done" if not estimate else chance.choices(_OUTCOMES, _OUTCOME_WEIGHTS)[0]
        billed = 0 if outcome == "cached" else max(0, estimate + chance.choice((0, 0, 0, 0, -1, 2)))
        worth = pages * credits_per_page if not billed and outcome in {"done", "cached"} else 0
        common = {
            "book": book,
            "mode": book,
            "service": engine,
            "engine": engine,
            "tier": tier,
            "team": chance.choice(_TEAMS),
            "actor": chance.choices(_PEOPLE, (5, 4, 3, 2, 1))[0],
            "job_id": f"job-{number}",
            "attempt_id": f"att-{number}",
            "is_repeat": outcome == "repeat",
            "hour": hour,
            "day": hour[:10],
            "page_price_id": None,
            "credit_price_id": None,
            "approval_id": None,
            "cause": "generated",
            "reserved_at": at,
        }
        micros, submits = estimate * _MICROS_PER_CREDIT, int(engine != "local")
        nothing = {
            "settled_credits": 0,
            "settled_micros": 0,
            "settled_submits": 0,
            "saved_micros": 0,
        }
        yield {
            **common,
            **nothing,
            "kind": "reserve",
            "outcome": "open",
            "pages": pages,
            "reserved_credits": estimate,
            "reserved_micros": micros,
            "reserved_submits": submits,
            "at": at,
        }
        if now - at < timedelta(minutes=20):
            continue  # not billed yet
        yield {
            **common,
            "kind": "settle" if billed else "release",
            "outcome": outcome,
            "pages": pages,
            "reserved_credits": -estimate,
            "reserved_micros": -micros,
            "reserved_submits": -submits,
            "settled_credits": billed,
            "settled_micros": billed * _MICROS_PER_CREDIT,
            "settled_submits": submits,
            "saved_micros": worth * _MICROS_PER_CREDIT,
            "at": min(now, at + timedelta(minutes=chance.randint(1, 20))),
        }


def _moment(chance: random.Random, days: int, now: datetime) -> datetime:
    """Mostly in office hours, less at weekends."""
    while True:
        at = now - timedelta(days=chance.random() * days)
        is_busy = 7 <= at.hour < 19 and at.weekday() < 5  # noqa: PLR2004 - office hours, Monday to Friday
        if is_busy or chance.random() < 0.12:  # noqa: PLR2004 - a share
            return at
