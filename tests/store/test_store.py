"""The rules of the store, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, insert
from sqlmodel import SQLModel

from core.domain.budgets import Limit, Unit, Window
from core.errors import StoreUnavailable
from core.store import Store, deliveries, engine, ledger
from core.store.deliveries import Delivery
from core.store.jobs import _plan_from_json, _plan_to_json
from core.store.ledger import Reservation
from core.store.tables import SettingRow, VisitRow

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LIMITS = (Limit(Window.DAY, Unit.USD, 100_000), Limit(Window.HOUR, Unit.SUBMITS, 1000))


def _wanted(number: int) -> Reservation:
    return Reservation("job", f"att-{number}", "real", "agentic", "alice", 10, 12_500)


def _delivery(event_id: str, number: int = 0, vendor: str = "pjb-1") -> Delivery:
    return Delivery(
        f"dlv-{event_id}-{number}",
        event_id,
        "parse.success",
        vendor,
        "mock",
        "accepted",
        "",
        "mock",
        {},
        b"{}",
        2,
        NOW,
        0.1,
        None,
    )


def test_no_reservation_passes_a_limit_at_any_concurrency(store: Store) -> None:
    """Thirty-two threads that all want the last dollars get exactly what the limit allows."""
    start = threading.Barrier(32)

    def ask(number: int) -> bool:
        start.wait()
        with store.write() as tx:
            return not ledger.reserve(tx, _wanted(number), LIMITS, NOW, "UTC")

    with ThreadPoolExecutor(32) as pool:
        granted = sum(pool.map(ask, range(32)))
    assert granted == 100_000 // 12_500
    with store.read() as tx:
        used = ledger.uses(tx, "real", LIMITS, NOW, "UTC")
    assert [use.used for use in used] == [100_000, 8]


def test_reserving_twice_for_one_attempt_is_one_reservation(store: Store) -> None:
    """A retry or an adopted job never reserves again."""
    with store.write() as tx:
        assert [ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC") for _ in range(2)] == ["", ""]
        assert ledger.uses(tx, "real", LIMITS, NOW, "UTC")[0].reserved == 12_500


def test_simulated_money_is_apart(store: Store) -> None:
    """What MOCK reserves takes nothing from the real limits."""
    mock = Reservation("job", "att", "mock", "agentic", "alice", 10, 12_500)
    with store.write() as tx:
        ledger.reserve(tx, mock, LIMITS, NOW, "UTC")
        assert ledger.uses(tx, "real", LIMITS, NOW, "UTC")[0].used == 0


def test_closing_settles_once_and_frees_what_was_not_used(store: Store) -> None:
    """A reservation is settled with what was billed, exactly once."""
    with store.write() as tx:
        ledger.reserve(tx, _wanted(1), LIMITS, NOW, "UTC")
        facts = {"credits_": 4, "micros": 5_000, "at": NOW, "timezone": "UTC", "cause": "submitted"}
        assert ledger.close(tx, "att-1", **facts)  # type: ignore[arg-type]
        assert not ledger.close(tx, "att-1", **facts)  # type: ignore[arg-type]
        use = ledger.uses(tx, "real", LIMITS, NOW, "UTC")[0]
    assert (use.reserved, use.settled) == (0, 5_000)


def test_an_event_is_accepted_once_however_many_come_at_once(store: Store) -> None:
    """Sixteen deliveries of one event are one accepted event and fifteen duplicates."""

    def add(number: int) -> bool:
        with store.write() as tx:
            return deliveries.add(tx, _delivery("event", number))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(add, range(16))) == 1


def test_an_event_is_applied_once(store: Store) -> None:
    """Applying hands each event out a single time."""
    with store.write() as tx:
        deliveries.add(tx, _delivery("event"))
    facts = {"job_id": "job", "attempt_id": "att", "outcome": "asked", "at": NOW}
    found = []
    for _ in range(2):
        with store.write() as tx:
            found.append(len(deliveries.apply(tx, "pjb-1", "mock", **facts)))  # type: ignore[arg-type]
    assert found == [1, 0]


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    """What was not committed never happened."""

    def fail_halfway() -> None:
        with store.write() as tx:
            deliveries.add(tx, _delivery("event"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    with store.read() as tx:
        assert deliveries.recent(tx) == ()


def test_times_come_back_aware(store: Store) -> None:
    """Every moment that is read is an aware UTC datetime."""
    with store.write() as tx:
        deliveries.add(tx, _delivery("event"))
    with store.read() as tx:
        assert deliveries.recent(tx)[0].received_at == NOW


def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    """An upgrade ends with the schema that the code expects, on both databases."""
    with store.write() as tx:
        options = {"compare_type": False, "include_schemas": False}
        context = MigrationContext.configure(tx.connection(), opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_database_of_the_first_version_is_upgraded_with_what_is_in_it(tmp_path: Path) -> None:
    """Opening a database of an older version adds what is new and keeps what was there."""
    url = f"sqlite:///{tmp_path / 'older.sqlite'}"
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    older = create_engine(url)
    config.attributes["engine"] = older
    command.upgrade(config, "0001")
    with older.begin() as connection:
        connection.execute(insert(SettingRow).values(name="x", value="1", actor="alice", at=NOW))
    older.dispose()
    opened = Store.open(url)
    with opened.write() as tx:
        assert tx.get(SettingRow, "x") is not None
        assert tx.get(VisitRow, "nobody") is None
    opened.close()


def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    """Migrations run at every start and change nothing that is up to date."""
    url = f"sqlite:///{tmp_path / 'again.sqlite'}"
    first = Store.open(url)
    with first.write() as tx:
        deliveries.add(tx, _delivery("event"))
    first.close()
    second = Store.open(url)
    with second.read() as tx:
        assert len(deliveries.recent(tx)) == 1
    second.close()


def test_a_database_that_cannot_be_reached_says_so() -> None:
    """An unreachable database is a sentence with what to do, not a traceback."""
    with pytest.raises(StoreUnavailable, match="PARSEDECK_DATABASE_URL"):
        Store.open("postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1")


def test_a_plan_of_the_first_versions_is_still_read() -> None:
    """A job from before routes had reasons keeps its plan, stand-in and all."""
    attempt = {"engine": "local", "tier": "agentic", "target_pages": [], "credits": 0}
    old = {"reason": "No key.", "is_provisional": True, "attempts": [attempt]}
    plan = _plan_from_json(old)
    assert plan.is_provisional
    assert _plan_from_json(_plan_to_json(plan)) == plan
