"""The ledger on both databases: limits that hold, entries that stay, sums that add up."""

import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from core.domain.budgets import Limit, Unit, Window, scopes_of, window_key
from core.domain.money import BUILT_IN_PRICES
from core.errors import Overtaken
from core.store import Store, Transaction, balances, ledger, limits
from core.store.ledger import Bill, Reservation
from core.store.limits import LimitChange
from core.store.tables import (
    BalanceRow,
    LedgerRow,
    LimitChangeRow,
    OpenReservationRow,
    PriceRow,
    RollupRow,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = Limit(Window.DAY, Unit.USD, 100_000)
LIMITS = (DAY, Limit(Window.HOUR, Unit.SUBMITS, 1000))


def _wanted(name: object, **facts: Any) -> Reservation:
    first = Reservation("job", f"att-{name}", "real", "agentic", "alice", 10, 12_500, pages=1)
    return replace(first, **facts)


def _billed(credits_: int, outcome: str = "done") -> Bill:
    return Bill(credits_, outcome, was_sent=True, cause="billed")


def _bill(tx: Transaction, name: object, what: Bill, at: datetime = NOW) -> ledger.Entry | None:
    return ledger.bill(tx, f"att-{name}", what, BUILT_IN_PRICES, at)


def _use(store: Store, limit: Limit, at: datetime = NOW, zone: str = "UTC") -> tuple[int, int]:
    with store.read() as tx:
        use = ledger.uses(tx, "real", [limit], at, zone)[0]
    return use.reserved, use.settled


def test_no_reservation_passes_a_limit_at_any_concurrency(store: Store) -> None:
    """Thirty-two threads that all want the last dollars get exactly what the limit allows."""
    start = threading.Barrier(32)

    def ask(number: int) -> bool:
        start.wait()
        with store.write() as tx:
            return ledger.reserve(tx, _wanted(number), LIMITS, NOW, "UTC") is None

    with ThreadPoolExecutor(32) as pool:
        granted = sum(pool.map(ask, range(32)))
    assert granted == 100_000 // 12_500
    with store.read() as tx:
        used = ledger.uses(tx, "real", LIMITS, NOW, "UTC")
    assert [use.used for use in used] == [100_000, 8]


_SPENDERS = """
import os, sys
from datetime import datetime
from core.domain.budgets import Limit, Unit, Window
from core.domain.money import BUILT_IN_PRICES
from core.store import Store, ledger
from core.store.engine import _engine_for

url, now = sys.argv[1], datetime.fromisoformat(sys.argv[2])
limits = [Limit(Window.DAY, Unit.USD, 500_000), Limit(Window.DAY, Unit.USD, 200_000, "team:a"),
          Limit(Window.HOUR, Unit.SUBMITS, 60)]

def spend(number):
    store, granted = Store(_engine_for(url)), 0
    for n in range(6):
        wanted = ledger.Reservation("job", f"att-{number}-{n}", "real", "agentic", "alice", 10, 12_500,
                                    team="ab"[(number + n) % 2])
        with store.write() as tx:
            granted += ledger.reserve(tx, wanted, limits, now, "UTC") is None
        if n % 3 == 2:  # what is billed lower makes room for others
            with store.write() as tx:
                bill = ledger.Bill(5, "done", was_sent=True, cause="billed")
                ledger.bill(tx, wanted.attempt_id, bill, BUILT_IN_PRICES, now)
    return granted

for number in range(64):
    if os.fork() == 0:
        os._exit(spend(number))
print(sum(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(64)))
"""


def test_sixty_four_processes_never_pass_a_limit(store: Store, database_url: str) -> None:
    """Of 384 reservations that 64 processes want, no limit is passed and no room is wasted."""
    command = [sys.executable, "-c", _SPENDERS, database_url, NOW.isoformat()]
    granted = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    total = Limit(Window.DAY, Unit.USD, 500_000)
    team = Limit(Window.DAY, Unit.USD, 200_000, "team:a")
    submits = Limit(Window.HOUR, Unit.SUBMITS, 60)
    assert 40 <= granted <= 60
    assert sum(_use(store, submits)) == granted
    assert sum(_use(store, total)) <= 500_000
    assert sum(_use(store, team)) <= 200_000
    with store.read() as tx:
        assert balances.differences(tx) == ()


def test_reserving_twice_for_one_attempt_is_one_reservation(store: Store) -> None:
    """A retry or an adopted job never reserves again, also when the first is settled."""
    with store.write() as tx:
        for _ in range(2):
            assert ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC") is None
    assert _use(store, DAY) == (12_500, 0)
    with store.write() as tx:
        _bill(tx, 1, _billed(10))
        ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC")
    assert _use(store, DAY) == (0, 12_500)


def test_simulated_money_is_apart(store: Store) -> None:
    """What MOCK reserves takes nothing from the real limits; HYBRID spends real money."""
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1, mode="mock"), LIMITS, NOW, "UTC")
        assert ledger.uses(tx, "real", LIMITS, NOW, "UTC")[0].used == 0
        ledger.reserve(tx, _wanted(2, mode="hybrid"), LIMITS, NOW, "UTC")
        assert ledger.uses(tx, "real", LIMITS, NOW, "UTC")[0].used == 12_500


def test_a_reservation_is_settled_once_and_corrected_later(store: Store) -> None:
    """A bill ends the reservation; the same bill again changes nothing; another one is an adjustment."""
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC")
        kinds = [_bill(tx, 1, _billed(credits_)) for credits_ in (4, 4, 6, 5)]
    assert [entry and entry.kind for entry in kinds] == ["settle", None, "adjust", "adjust"]
    assert _use(store, DAY) == (0, 5 * 1250)
    with store.read() as tx:
        assert ledger.billed_credits(tx, "job") == 5


def test_a_bill_after_a_cancel_is_an_adjustment(store: Store) -> None:
    """What was released as cancelled and is billed all the same is put on record, and counts."""
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC")
        assert ledger.release(tx, "att-1", NOW, "cancelled")
        assert not ledger.release(tx, "att-1", NOW, "cancelled")
    assert _use(store, DAY) == (0, 0)
    with store.write() as tx:
        entry = _bill(tx, 1, _billed(10, "cancelled"))
    assert entry is not None
    assert entry.kind == "adjust"
    assert _use(store, DAY) == (0, 12_500)


def test_a_bill_above_the_reservation_counts_for_whoever_comes_next(store: Store) -> None:
    """A page count that was wrong makes a bill above the reservation: recorded, and the rest is less."""
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC")
        entry = _bill(tx, 1, _billed(76))
    assert entry is not None
    assert entry.over_micros == 76 * 1250 - 12_500
    with store.write() as tx:
        refusal = ledger.reserve(tx, _wanted(2), LIMITS, NOW, "UTC")
    assert refusal is not None
    assert refusal.words == "It would pass today's limit by $0.0075."


def test_a_bill_posts_to_the_window_of_its_reservation(store: Store) -> None:
    """Billed the next day, and with another time zone set meanwhile, it counts on the day it was reserved."""
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1), LIMITS, late, "Europe/Berlin")
    with store.write() as tx:
        _bill(tx, 1, _billed(8), late + timedelta(days=2))
    assert _use(store, DAY, late, "Europe/Berlin") == (0, 10_000)
    for moment in (late - timedelta(hours=1), late + timedelta(days=2)):
        assert _use(store, DAY, moment, "Europe/Berlin") == (0, 0)


def test_the_hour_that_daylight_saving_repeats_is_two_windows(store: Store) -> None:
    """When the clock is set back, the same hour on the wall has its limit twice, the long day once."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in Berlin, and again an hour later
    hourly = Limit(Window.HOUR, Unit.SUBMITS, 1)
    with store.write() as tx:
        granted = [
            ledger.reserve(tx, _wanted(n), [hourly, DAY], at, "Europe/Berlin") is None
            for n, at in enumerate([first, first, first + timedelta(hours=1)])
        ]
    assert granted == [True, False, True]
    assert _use(store, DAY, first + timedelta(hours=20), "Europe/Berlin") == (25_000, 0)


def test_a_clock_that_jumps_back_opens_no_window_twice(store: Store) -> None:
    """Yesterday's limit that was used up stays used up for a clock that is set back into yesterday."""
    small = Limit(Window.DAY, Unit.USD, 12_500)
    yesterday, today = NOW - timedelta(days=1), NOW
    with store.write() as tx:
        refusals = [
            ledger.reserve(tx, _wanted(n), [small], at, "UTC")
            for n, at in enumerate([yesterday, today, yesterday, today])
        ]
        _bill(tx, 0, _billed(10), yesterday - timedelta(hours=1))
    assert [refusal is None for refusal in refusals] == [True, True, False, False]
    assert (_use(store, small, yesterday), _use(store, small, today)) == ((0, 12_500), (12_500, 0))


def test_a_local_result_costs_nothing_and_says_what_it_saved(store: Store) -> None:
    """Work that no service does is granted under any limit and shows what it would have cost."""
    full = [Limit(Window.DAY, Unit.USD, 1), Limit(Window.HOUR, Unit.SUBMITS, 1)]
    facts = {"service": "local", "engine": "local", "credits": 0, "micros": 0, "submits": 0}
    with store.write() as tx:
        assert ledger.reserve(tx, _wanted(1), full, NOW, "UTC") is not None
        assert ledger.reserve(tx, _wanted(2, **facts, pages=4), full, NOW, "UTC") is None
        entry = _bill(tx, 2, _billed(0))
    assert entry is not None
    assert (entry.kind, entry.saved_micros, entry.settled_submits) == ("release", 50_000, 0)


def test_a_result_from_the_vendors_cache_is_released_as_saved(store: Store) -> None:
    """Nothing billed for finished work is a saving; the request that left still counts."""
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC")
        entry = _bill(tx, 1, _billed(0))
    assert entry is not None
    assert (entry.kind, entry.outcome, entry.saved_micros) == ("release", "cached", 12_500)
    assert _use(store, LIMITS[1]) == (0, 1)


def test_an_approval_passes_the_limit_and_stands_on_the_entry(store: Store) -> None:
    """What a lead approved is granted past a limit, and the others see how much is gone."""
    with store.write() as tx:
        wanted = _wanted(1, micros=150_000)
        assert ledger.reserve(tx, wanted, LIMITS, NOW, "UTC") is not None
        assert ledger.reserve(tx, wanted, LIMITS, NOW, "UTC", approval_id=7) is None
        assert ledger.reserve(tx, _wanted(2), LIMITS, NOW, "UTC") is not None
    with store.read() as tx:
        assert [entry.approval_id for entry in ledger.entries_of(tx, "job")] == [7]


@dataclass
class _Model:
    """What the ledger should hold, counted by hand."""

    used: dict[tuple[str, str, Unit], int] = field(default_factory=dict)
    open: dict[str, tuple[list[tuple[str, str]], int]] = field(default_factory=dict)

    def fits(self, keys: dict[Limit, tuple[str, str]], wanted: Reservation) -> bool:
        return all(
            wanted.ask.of(limit) == 0
            or self.used.get((*key, limit.unit), 0) + wanted.ask.of(limit) <= limit.amount
            for limit, key in keys.items()
        )

    def add(self, places: list[tuple[str, str]], micros: int, submits: int) -> None:
        for place in places:
            for unit, amount in ((Unit.USD, micros), (Unit.SUBMITS, submits)):
                self.used[*place, unit] = self.used.get((*place, unit), 0) + amount


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "bill", "release"]),
        st.integers(0, 5),  # which attempt
        st.integers(0, 40),  # credits
        st.sampled_from(["", "a", "b"]),
        st.integers(-30, 60),  # hours: the clock goes forth and back
    ),
    max_size=25,
)
_AMOUNTS = st.tuples(*[st.integers(1, 60)] * 4)
_round = itertools.count()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=_STEPS, amounts=_AMOUNTS, zone=st.sampled_from(["UTC", "America/New_York"]))
def test_whatever_happens_no_limit_is_passed_and_the_sums_add_up(
    store: Store,
    steps: list[tuple[str, int, int, str, int]],
    amounts: tuple[int, ...],
    zone: str,
) -> None:
    """Any order of reserving, billing and releasing, at any clock: granted exactly what fits."""
    number = next(_round)
    start, model = datetime(2026, 3, 8, tzinfo=UTC) + timedelta(days=90 * number), _Model()
    caps = (
        Limit(Window.DAY, Unit.USD, amounts[0] * 1250),
        Limit(Window.MONTH, Unit.USD, amounts[1] * 2500),
        Limit(Window.HOUR, Unit.SUBMITS, amounts[2]),
        Limit(Window.DAY, Unit.USD, amounts[3] * 1250, "team:a"),
    )
    for kind, which, credits_, team, hours in steps:
        at, name = start + timedelta(hours=hours), f"{number}-{which}"
        attempt = f"att-{name}"
        with store.write() as tx:
            if kind == "reserve":
                wanted = _wanted(name, credits=credits_, micros=credits_ * 1250, team=team)
                keys = {c: (c.scope, window_key(c.window, at, zone)) for c in caps}
                known = ledger.is_reserved(tx, attempt)
                should = known or model.fits(keys, wanted)
                assert (ledger.reserve(tx, wanted, caps, at, zone) is None) == should
                if should and not known:
                    places = [
                        (scope, window_key(window, at, zone))
                        for scope in scopes_of("llamaparse", team)
                        for window in Window
                    ]
                    model.open[attempt] = (places, credits_)
                    model.add(places, credits_ * 1250, 1)
            elif attempt in model.open:
                places, held = model.open[attempt]
                ended = ledger.release(tx, attempt, at, "x") if kind == "release" else None
                if kind == "bill":
                    ended = (
                        ledger.bill(tx, attempt, _billed(credits_), BUILT_IN_PRICES, at) is not None
                    )
                paid = credits_ if kind == "bill" else held if not ended else 0
                if ended:
                    assert tx.get(OpenReservationRow, attempt) is None
                    model.add(places, (paid - held) * 1250, 0)
                    model.open[attempt] = (places, paid)
                    if kind == "release":
                        model.add(places, 0, -1)
            for (scope, window, unit), amount in model.used.items():
                row = tx.get(BalanceRow, ("real", scope, window))
                assert row is not None
                pair = (
                    (row.reserved_micros, row.settled_micros)
                    if unit is Unit.USD
                    else (row.reserved_submits, row.settled_submits)
                )
                assert sum(pair) == amount
    with store.read() as tx:
        assert balances.differences(tx) == ()


@pytest.mark.parametrize("table", [LedgerRow, LimitChangeRow, PriceRow])
@pytest.mark.parametrize("how", ["update", "delete", "wholesale"])
def test_what_is_on_record_cannot_be_changed(store: Store, table: type[SQLModel], how: str) -> None:
    """The database itself refuses to update, delete or replace an entry, a change of a limit or a price."""
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC")
        limits.record(tx, _change(5), 0)
    name = str(table.__tablename__)
    # each database has its own way past the usual statements
    replace_all = f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}"  # noqa: S608 - a table of ours
    statements: dict[str, Any] = {
        "update": update(table).values(actor="mallory"),
        "delete": delete(table),
        "wholesale": text(replace_all if store.is_sqlite else f"TRUNCATE {name}"),
    }

    def change() -> None:
        with store.write() as tx:
            tx.execute(statements[how])

    with pytest.raises(DBAPIError, match="append-only"):
        change()
    with store.read() as tx:
        actors = set(tx.execute(select(table.actor)).scalars())  # type: ignore[attr-defined]
        assert "mallory" not in actors
        assert actors


def test_sums_that_went_wrong_are_found_and_put_right(store: Store) -> None:
    """The check names each stored sum that the ledger does not add up to, and rebuilding mends them."""
    with store.write() as tx:
        for number in range(3):
            ledger.reserve(tx, _wanted(number, team="a"), LIMITS, NOW, "UTC")
        _bill(tx, 0, _billed(7))
        assert balances.differences(tx) == ()
        tx.execute(update(BalanceRow).where(BalanceRow.scope == "team:a").values(settled_micros=1))  # type: ignore[arg-type]
        tx.execute(delete(RollupRow))
    with store.write() as tx:
        tables = {difference.table for difference in balances.differences(tx)}
        assert tables == {"balance", "rollup"}
        balances.rebuild(tx)
    with store.read() as tx:
        assert balances.differences(tx) == ()


def _change(after: int, actor: str = "alice", expires_at: datetime | None = None) -> LimitChange:
    return LimitChange(
        "real", "all", Window.DAY, Unit.USD, None, after, actor, "why", NOW, expires_at
    )


def test_the_newest_change_that_has_not_expired_is_in_force(store: Store) -> None:
    """A timed raise ends by itself, and the limit from before it is in force again."""
    later = NOW + timedelta(hours=2)

    def now(at: datetime) -> list[int]:
        with store.read() as tx:
            return [limit.amount for limit in limits.in_force(tx, "real", [DAY], at)]

    assert now(NOW) == [100_000]
    with store.write() as tx:
        limits.record(tx, _change(5), 0)
        limits.record(tx, _change(9, expires_at=later), 1)
    assert (now(NOW), now(later)) == ([9], [5])
    with store.read() as tx:
        assert limits.in_force(tx, "mock", [DAY], NOW) == (DAY,)


def test_two_leads_who_edit_at_once_do_not_overwrite_each_other(store: Store) -> None:
    """Of sixteen leads who saw the same limit one stores a change; the others are told who was quicker."""
    start = threading.Barrier(16)

    def edit(number: int) -> str:
        start.wait()
        try:
            with store.write() as tx:
                limits.record(tx, _change(number + 1, f"lead-{number}"), 0)
        except Overtaken as overtaken:
            return overtaken.what
        return ""

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(edit, range(16)))
    assert said.count("") == 1
    assert all("changed this limit" in words for words in said if words)
    with store.read() as tx:
        assert len(limits.changes(tx)) == 1


def test_a_change_after_the_first_names_who_made_it(store: Store) -> None:
    """Whoever is too late reads the name and the reason of who was quicker."""
    with store.write() as tx:
        limits.record(tx, _change(5, "bob"), 0)

    def late() -> None:
        with store.write() as tx:
            limits.record(tx, _change(6), 0)

    with pytest.raises(Overtaken, match=r"bob changed this limit while you were at it \(why\)"):
        late()


_CRASHER = """
import os, sys
from datetime import datetime
from core.domain.budgets import Limit, Unit, Window
from core.domain.money import BUILT_IN_PRICES
from core.store import Store, balances, ledger

store, stop_at = Store.open(sys.argv[1]), int(sys.argv[2])
now, steps = datetime.fromisoformat(sys.argv[3]), 0
real_post = balances._add

def add(*arguments):
    global steps
    steps += 1
    if steps == stop_at:
        os.kill(os.getpid(), 9)
    real_post(*arguments)
    steps += 1
    if steps == stop_at:
        os.kill(os.getpid(), 9)

balances._add = add
limits = [Limit(Window.DAY, Unit.USD, 100_000)]
for n in range(3):
    wanted = ledger.Reservation("job", f"att-{n}", "real", "agentic", "alice", 10, 12_500, team="a")
    with store.write() as tx:
        ledger.reserve(tx, wanted, limits, now, "UTC")
    with store.write() as tx:
        bill = ledger.Bill(5, "done", was_sent=True, cause="billed")
        ledger.bill(tx, wanted.attempt_id, bill, BUILT_IN_PRICES, now)
"""


@pytest.mark.parametrize("step", [1, 2, 3, 4, 7, 8, 13])
def test_killed_between_any_two_writes_the_sums_still_add_up(
    store: Store, database_url: str, step: int
) -> None:
    """After kill -9 between an entry and its sums nothing is half posted, and the work can go on."""
    command = [sys.executable, "-c", _CRASHER, database_url]
    killed = subprocess.run([*command, str(step), NOW.isoformat()], check=False)
    assert killed.returncode == -9
    with store.read() as tx:
        assert balances.differences(tx) == ()
    again = subprocess.run([*command, "-1", NOW.isoformat()], check=False)
    assert again.returncode == 0
    assert _use(store, DAY) == (0, 3 * 5 * 1250)
