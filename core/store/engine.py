"""Opening the database, and the two ways to use it: a read, or a write that cannot be half done."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlmodel import Session

from core.errors import StoreUnavailable

__all__ = ["SCHEMA", "Store", "Transaction"]

SCHEMA = "parsedeck"
"""The Postgres schema of our tables; DBOS keeps its own beside it."""

Transaction = Session
"""One database transaction, handed to the functions of this package."""

_BUSY_TIMEOUT_S = 30
_WRITES = "parsedeck_writes"
_CHECKPOINT_PAGES, _CACHE_KB = 4000, 16 * 1024


class Store:
    """The database. Thread-safe; sessions are short and never leave a ``with`` block."""

    def __init__(self, engine: Engine, light: Engine | None = None) -> None:
        self._engine = engine
        self._reading = engine.execution_options(**{_WRITES: False})
        self._writing = engine.execution_options(**{_WRITES: True})
        self._light = (light or engine).execution_options(**{_WRITES: True})
        # Threads of one process queue here: left to SQLite, a writer that finds the file locked sleeps
        # and asks again, up to 100 ms later, while others slip in before it.
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self.is_sqlite else nullcontext()
        )

    @classmethod
    def open(cls, url: str) -> "Store":
        """Connect to ``url`` (``sqlite:///file`` or ``postgresql://…``) and bring the schema up to date.

        Raises ``StoreUnavailable`` when the database cannot be reached or its schema is newer than
        this version knows.
        """
        try:
            engine = _engine_for(url)
            # the same database, for writes that are not synced; Postgres decides that by transaction
            light = _sqlite(url, synchronous="NORMAL") if url.startswith("sqlite") else engine
            store = cls(engine, light)
            store._migrate()
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise _unavailable(error) from error
        return store

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that only reads.

        Raises ``StoreUnavailable`` when the database cannot be reached.
        """
        with self._session(self._reading) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that holds the write lock from its start (SQLite) and commits at the end.

        Any exception rolls everything back. Raises ``StoreUnavailable`` when the database cannot be
        reached.
        """
        with self._turn, self._session(self._writing) as session:
            yield session
            session.commit()

    @contextmanager
    def write_lightly(self) -> Iterator[Transaction]:
        """A write that a crash of the process cannot undo, but a power cut can: nobody waits for the disk.

        For facts that are worthless after a restart of the machine. Raises ``StoreUnavailable``.
        """
        with self._turn, self._session(self._light) as session:
            if not self.is_sqlite:
                session.connection().exec_driver_sql("SET LOCAL synchronous_commit TO OFF")
            yield session
            session.commit()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Transaction]:
        try:
            with Session(engine, expire_on_commit=False) as session:
                yield session
        except (OperationalError, ProgrammingError) as error:
            raise _unavailable(error) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise _unavailable(error) from error
            raise

    def ping(self) -> None:
        """One round trip. Raises ``StoreUnavailable``."""
        with self.read() as tx:
            tx.connection().execute(text("SELECT 1"))

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()
        self._light.dispose()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self._writing
        command.upgrade(config, "head")


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"The database cannot be used ({type(error).__name__}).",
        "Nothing was changed. Check PARSEDECK_DATABASE_URL and that the database runs and has room.",
    )


def _engine_for(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(url)
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        connect_args={"options": f"-csearch_path={SCHEMA}", "application_name": "parsedeck"},
    )
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    return engine


def _sqlite(url: str, *, synchronous: str = "FULL") -> Engine:
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=50,
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: Any) -> None:
        # None lets us begin transactions ourselves, see _begin
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            # a page that many transactions change is copied into the database file once, not each time
            f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
            f"cache_size={-_CACHE_KB}",
            "foreign_keys=ON",
            "recursive_triggers=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that turns to writing fails at once when another writer is busy,
        # whatever the timeout; one that begins IMMEDIATE waits its turn.
        writes = connection.get_execution_options().get(_WRITES, True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
