"""Empty databases at once: migrated a single time, then copied or emptied for each test."""

import shutil
from pathlib import Path

import psycopg
from psycopg import Connection, sql

from core.pipeline.queue import JobQueue, workflow_database_url
from core.store import Store

__all__ = ["PristineFiles", "PristineServer"]

_SCHEMAS = ["parsedeck", "dbos"]
# what the start of a server says of its version, beside which its other rows are of no interest
_KEPT = {("dbos", "dbos_migrations")}

Table = tuple[str, str]


def _migrate(url: str) -> None:
    Store.open(url).close()
    JobQueue(workflow_database_url(url)).close()


class PristineFiles:
    """An empty installation on SQLite, to be copied."""

    def __init__(self, folder: Path) -> None:
        self._made = folder / "made.sqlite"
        _migrate(f"sqlite:///{self._made}")
        left = [path.name for path in folder.iterdir() if not path.name.endswith(".sqlite")]
        assert not left, f"not all is in the files that are copied: {left}"

    def copy(self, file: Path) -> str:
        """Both files of an empty installation, ours at ``file``; its URL."""
        url = f"sqlite:///{file}"
        for made in (f"sqlite:///{self._made}", workflow_database_url(f"sqlite:///{self._made}")):
            name = url if made.endswith("made.sqlite") else workflow_database_url(url)
            shutil.copyfile(made.removeprefix("sqlite:///"), name.removeprefix("sqlite:///"))
        return url


class PristineServer:
    """A Postgres server for tests, whose database is emptied again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._columns: list[tuple[str, ...]] = []
        with psycopg.connect(url, autocommit=True) as connection:
            # tests kill our processes and not the server: what it tells has not to survive a power cut
            for setting in ("fsync", "full_page_writes"):
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(_name(setting)))
            connection.execute("SELECT pg_reload_conf()")

    def empty(self) -> None:
        """Leave the tables as migrations make them, with the rows that migrations put there."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            if not self._columns or _columns(connection) != self._columns:
                self._build(connection)
                return
            tables = [table for table in _tables(connection, _SCHEMAS) if table not in _KEPT]
            kept = {name for _, name in _tables(connection, ["pristine"])}
            locked = sql.SQL(", ").join(_table(table) for table in tables)
            statements = [
                # neither what refuses a change of the ledger, nor the order of foreign keys
                sql.SQL("SET LOCAL session_replication_role = replica"),
                # a process that was killed may still be at work in the server
                sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(locked),
                *(sql.SQL("DELETE FROM {}").format(_table(table)) for table in tables),
                *(
                    sql.SQL("INSERT INTO {} TABLE pristine.{}").format(_table(table), _name(name))
                    for table in tables
                    if (name := ".".join(table)) in kept
                ),
            ]
            with connection.transaction():
                connection.execute(sql.SQL("; ").join(statements))

    def drop(self) -> None:
        """Leave nothing: the database of a first start."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            _drop(connection)

    def _build(self, connection: "Connection[tuple[object, ...]]") -> None:
        _drop(connection)
        _migrate(self.url)
        self._columns = _columns(connection)
        connection.execute("CREATE SCHEMA pristine")
        for table in _tables(connection, _SCHEMAS):
            row = connection.execute(
                sql.SQL("SELECT 1 FROM {} LIMIT 1").format(_table(table))
            ).fetchone()
            if row is not None and table not in _KEPT:
                name = _name(".".join(table))
                connection.execute(
                    sql.SQL("CREATE TABLE pristine.{} AS TABLE {}").format(name, _table(table))
                )


def _drop(connection: "Connection[tuple[object, ...]]") -> None:
    for schema in (*_SCHEMAS, "pristine"):
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(_name(schema)))


def _tables(connection: "Connection[tuple[object, ...]]", schemas: list[str]) -> list[Table]:
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s) ORDER BY 1, 2"
    return [(str(schema), str(name)) for schema, name in connection.execute(query, (schemas,))]


def _columns(connection: "Connection[tuple[object, ...]]") -> list[tuple[str, ...]]:
    """Every column there is: what a test that migrates to and fro leaves behind is noticed."""
    query = """
        SELECT table_schema, table_name, column_name, data_type, is_nullable
        FROM information_schema.columns WHERE table_schema = ANY(%s) ORDER BY 1, 2, 3
    """
    return [tuple(map(str, row)) for row in connection.execute(query, (_SCHEMAS,))]


def _table(table: Table) -> sql.Composable:
    return sql.Identifier(*table)


def _name(name: str) -> sql.Composable:
    return sql.Identifier(name)
