"""The rules of the store, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event, insert, text
from sqlmodel import SQLModel

from core.domain.budgets import Limit, Unit, Window
from core.domain.money import BUILT_IN_PRICES
from core.errors import StoreUnavailable
from core.store import Store, balances, deliveries, engine, ledger, limits, recording
from core.store.jobs.reading import plan_from_json, plan_to_json
from core.store.tables import SettingRow, VisitRow
from tests.factories import a_delivery

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_an_event_is_accepted_once_however_many_come_at_once(store: Store) -> None:
    """Sixteen deliveries of one event are one accepted event and fifteen duplicates."""

    def add(number: int) -> bool:
        with store.write() as tx:
            return recording.add(tx, a_delivery(number, NOW, event_id="event"))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(add, range(16))) == 1


def test_an_event_is_applied_once(store: Store) -> None:
    """Applying hands each event out a single time."""
    with store.write() as tx:
        recording.add(tx, a_delivery(1, NOW))
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
            recording.add(tx, a_delivery(1, NOW))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    with store.read() as tx:
        assert deliveries.recent(tx) == ()


def test_times_come_back_aware(store: Store) -> None:
    """Every moment that is read is an aware UTC datetime."""
    with store.write() as tx:
        recording.add(tx, a_delivery(1, NOW))
    with store.read() as tx:
        assert deliveries.recent(tx)[0].received_at == NOW


def test_the_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    """An upgrade ends with the schema that the code expects, on both databases."""
    with store.write() as tx:
        options = {"compare_type": False, "include_schemas": False}
        context = MigrationContext.configure(tx.connection(), opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def _at_version(url: str, version: str) -> Engine:
    older = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    if older.dialect.name == "postgresql":
        with older.begin() as connection:
            connection.execute(text("CREATE SCHEMA parsedeck"))
        older = older.execution_options(schema_translate_map={None: "parsedeck"})
        event.listen(
            older,
            "connect",
            lambda raw, _record: raw.execute("SET search_path TO parsedeck") and raw.commit(),
        )
        older.dispose()
    config = Config()
    config.set_main_option("script_location", str(Path(engine.__file__).parent / "migrations"))
    config.attributes["engine"] = older
    command.upgrade(config, version)
    return older


def test_a_database_of_the_first_version_is_upgraded_with_what_is_in_it(tmp_path: Path) -> None:
    """Opening a database of an older version adds what is new and keeps what was there."""
    url = f"sqlite:///{tmp_path / 'older.sqlite'}"
    older = _at_version(url, "0001")
    with older.begin() as connection:
        connection.execute(insert(SettingRow).values(name="x", value="1", actor="alice", at=NOW))
    older.dispose()
    opened = Store.open(url)
    with opened.write() as tx:
        assert tx.get(SettingRow, "x") is not None
        assert tx.get(VisitRow, "nobody") is None
    opened.close()


_OLD_BALANCE = (
    'INSERT INTO balance (scope, "window", unit, reserved, settled) VALUES '
    "('real', 'hour:2026-11-25T00+0100', 'usd', 0, 0)"
)
_OLD_ENTRIES = (
    "INSERT INTO ledger (kind, mode, job_id, attempt_id, tier, actor, credits, micros, submits, "
    "reserved_at, at) VALUES "
    "('reserve', 'real', 'j', 'a', 'agentic', 'alice', 10, 12500, 1, '{at}', '{at}'), "
    "('settle', 'real', 'j', 'a', 'agentic', 'alice', 4, 5000, 1, '{at}', '{at}'), "
    "('reserve', 'hybrid', 'j', 'b', 'agentic', 'alice', 10, 12500, 1, '{at}', '{at}')"
)


def test_money_of_an_older_version_is_carried_over(bare_database_url: str) -> None:
    """What was reserved and settled before still counts, in its window; a stored limit still holds."""
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)  # the 25th in Berlin
    older = _at_version(bare_database_url, "0004")
    with older.begin() as connection:
        connection.execute(text(_OLD_BALANCE))
        connection.execute(text(_OLD_ENTRIES.format(at="2026-11-24 23:30:00.000000+00:00")))
        connection.execute(
            text(
                "INSERT INTO setting VALUES ('daily_limit_usd', '3.5', 'alice', "
                "'2026-11-24 12:00:00.000000+00:00')"
            )
        )
    older.dispose()
    opened = Store.open(bare_database_url)
    first = Limit(Window.DAY, Unit.USD, 1)
    with opened.write() as tx:
        in_force = limits.in_force(tx, "real", [first], NOW)
        assert [limit.amount for limit in in_force] == [3_500_000]
        use = ledger.uses(tx, "real", in_force, late, "Europe/Berlin")[0]
        assert (use.reserved, use.settled) == (12_500, 5_000)
        assert balances.differences(tx) == ()
        what = ledger.Bill(8, "done", was_sent=True, cause="late")
        ledger.bill(tx, "att-none", what, BUILT_IN_PRICES, NOW)
        ledger.bill(tx, "b", what, BUILT_IN_PRICES, NOW)
        use = ledger.uses(tx, "real", in_force, late, "Europe/Berlin")[0]
        assert (use.reserved, use.settled) == (0, 15_000)
    opened.close()


def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    """Migrations run at every start and change nothing that is up to date."""
    url = f"sqlite:///{tmp_path / 'again.sqlite'}"
    first = Store.open(url)
    with first.write() as tx:
        recording.add(tx, a_delivery(1, NOW))
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
    plan = plan_from_json(old)
    assert plan.is_provisional
    assert plan_from_json(plan_to_json(plan)) == plan
