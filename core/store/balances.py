"""Balances and roll-ups: sums of the ledger, kept beside it so that nothing scans it.

They are written only together with an entry, in its transaction. ``differences`` sums the ledger anew
and says where the stored sums are not what they should be; ``rebuild`` puts the right ones in their place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Table,
    delete,
    func,
    inspect,
    literal_column,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import SQLModel, col

from core.domain.budgets import EVERYTHING, Limit, LimitUse, Unit, scopes_of, window_key
from core.store.engine import Transaction
from core.store.tables import BalanceRow, LedgerRow, OpenReservationRow, RollupRow

__all__ = ["Difference", "differences", "post", "rebuild", "totals", "uses"]

_OPEN = "open"


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored sum that is not what the ledger adds up to."""

    table: str
    key: tuple[str, ...]
    stored: tuple[int, ...] | None
    should_be: tuple[int, ...] | None

    def __str__(self) -> str:
        """For the log and for doctor."""
        return (
            f"{self.table} {' '.join(self.key)}: stored {self.stored}, should be {self.should_be}"
        )


def post(tx: Transaction, entry: LedgerRow) -> None:
    """Write an entry and add it to all sums. The caller holds the lock of the entry's book."""
    tx.add(entry)
    tx.flush()
    money = {
        "reserved_micros": entry.reserved_micros,
        "settled_micros": entry.settled_micros,
        "reserved_submits": entry.reserved_submits,
        "settled_submits": entry.settled_submits,
    }
    windows = (f"hour:{entry.hour}", f"day:{entry.day}", f"month:{entry.day[:7]}")
    scopes = scopes_of(entry.service, entry.team)
    _add(
        tx,
        BalanceRow,
        [
            {"book": entry.book, "scope": scope, "window": window, **money}
            for scope in sorted(scopes)
            for window in sorted(windows)
        ],
    )
    _add(tx, RollupRow, list(_rollups(entry, windows[:2])))


def uses(
    tx: Transaction, book: str, limits: Sequence[Limit], at: datetime, timezone: str
) -> tuple[LimitUse, ...]:
    """How much of each limit is used in the window of ``at``."""
    keys = {limit: (limit.scope, window_key(limit.window, at, timezone)) for limit in limits}
    query = select(BalanceRow).where(
        col(BalanceRow.book) == book,
        tuple_(col(BalanceRow.scope), col(BalanceRow.window)).in_(sorted(set(keys.values()))),
    )
    # a look before this one may have left its answer in the session
    found = tx.execute(query.execution_options(populate_existing=True)).scalars() if keys else ()
    rows = {(row.scope, row.window): row for row in found}
    return tuple(_use(limit, rows.get(key)) for limit, key in keys.items())


def totals(tx: Transaction, book: str, windows: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Micro-dollars and submits, reserved or settled, of everything in each of these windows."""
    query = select(
        col(BalanceRow.window),
        col(BalanceRow.reserved_micros) + col(BalanceRow.settled_micros),
        col(BalanceRow.reserved_submits) + col(BalanceRow.settled_submits),
    ).where(
        col(BalanceRow.book) == book,
        col(BalanceRow.scope) == EVERYTHING,
        col(BalanceRow.window).in_(list(windows)),
    )
    return {window: (micros, submits) for window, micros, submits in tx.execute(query)}


def differences(tx: Transaction, *, limit: int = 20) -> tuple[Difference, ...]:
    """Where balances, roll-ups or open reservations are not what the ledger adds up to."""
    found: list[Difference] = []
    for table, sums in _sums():
        keys = len(inspect(table).primary_key)
        stored = {tuple(row[:keys]): tuple(row[keys:]) for row in tx.execute(select(_table(table)))}
        right = {tuple(row[:keys]): tuple(map(int, row[keys:])) for row in tx.execute(sums)}
        wrong = sorted(k for k in stored.keys() | right.keys() if stored.get(k) != right.get(k))
        found += [
            Difference(_table(table).name, key, stored.get(key), right.get(key))
            for key in wrong[:limit]
        ]
    return tuple(found[:limit])


def rebuild(tx: Transaction) -> None:
    """Sum the whole ledger anew. Nobody may post meanwhile: the caller holds the lock of both books."""
    for table, sums in _sums():
        tx.execute(delete(table))
        columns = [column.name for column in _table(table).columns]
        tx.execute(_table(table).insert().from_select(columns, sums))
    tx.expire_all()


def _use(limit: Limit, row: BalanceRow | None) -> LimitUse:
    if row is None:
        return LimitUse(limit, 0, 0)
    if limit.unit is Unit.USD:
        return LimitUse(limit, row.reserved_micros, row.settled_micros)
    return LimitUse(limit, row.reserved_submits, row.settled_submits)


def _rollups(entry: LedgerRow, windows: Sequence[str]) -> Iterable[dict[str, Any]]:
    """What is reserved lies under ``open``; what came of it under its outcome."""
    names = ("book", "team", "actor", "service", "engine", "tier")
    whose = {name: getattr(entry, name) for name in names}
    nothing = {name: 0 for name in _table(RollupRow).columns.keys() if _is_sum(RollupRow, name)}  # noqa: SIM118 - SQLAlchemy's collection iterates columns
    ended = {
        "settled_micros": entry.settled_micros,
        "settled_credits": entry.settled_credits,
        "estimated_micros": -entry.reserved_micros,
        "saved_micros": entry.saved_micros,
        "pages": entry.pages,
        "submits": entry.settled_submits,
    }
    for window in windows:
        reserved = {"outcome": _OPEN, "reserved_micros": entry.reserved_micros}
        yield {**nothing, **whose, "window": window, **reserved}
        if entry.kind != "reserve":
            yield {**nothing, **whose, "window": window, "outcome": entry.outcome, **ended}


def _add(tx: Transaction, table: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    insert = insert_postgres if tx.get_bind().dialect.name == "postgresql" else insert_sqlite
    statement = insert(_table(table))
    keys = [column.name for column in inspect(table).primary_key]
    sums = {
        column.name: column + statement.excluded[column.name]
        for column in _table(table).columns
        if column.name not in keys
    }
    tx.connection().execute(statement.on_conflict_do_update(index_elements=keys, set_=sums), rows)


def _sums() -> Iterable[tuple[type[SQLModel], Any]]:
    """Each derived table, and the query over the ledger whose answer it should be."""
    yield BalanceRow, _balance_sums()
    yield RollupRow, _rollup_sums()
    closed = select(col(LedgerRow.attempt_id)).where(col(LedgerRow.kind).in_(["settle", "release"]))
    yield (
        OpenReservationRow,
        select(col(LedgerRow.attempt_id), col(LedgerRow.id)).where(
            col(LedgerRow.kind) == "reserve", col(LedgerRow.attempt_id).not_in(closed)
        ),
    )


def _windows() -> tuple[ColumnElement[str], ...]:
    # written into the statement: as parameters Postgres takes the same two for different ones
    return (
        literal_column("'hour:'") + col(LedgerRow.hour),
        literal_column("'day:'") + col(LedgerRow.day),
        literal_column("'month:'") + func.substr(col(LedgerRow.day), 1, 7, type_=String),
    )


def _grouped(keys: Sequence[Any], sums: dict[str, Any], *where: Any) -> Select[Any]:
    columns = [func.sum(value).label(name) for name, value in sums.items()]
    positions = ", ".join(str(n) for n in range(1, len(keys) + 1))
    return select(*keys, *columns).where(*where).group_by(text(positions))


def _balance_sums() -> Select[Any]:
    scopes: tuple[tuple[Any, tuple[Any, ...]], ...] = (
        (literal_column(f"'{EVERYTHING}'"), ()),
        (literal_column("'service:'") + col(LedgerRow.service), ()),
        (literal_column("'team:'") + col(LedgerRow.team), (col(LedgerRow.team) != "",)),
    )
    names = ("reserved_micros", "settled_micros", "reserved_submits", "settled_submits")
    sums = {name: getattr(LedgerRow, name) for name in names}
    parts = [
        _grouped((LedgerRow.book, scope.label("scope"), window.label("window")), sums, *where)
        for scope, where in scopes
        for window in _windows()
    ]
    return select(*union_all(*parts).subquery().columns)


def _rollup_sums() -> Select[Any]:
    nothing: dict[str, Any] = {
        name: literal_column("0")
        for name in _table(RollupRow).columns.keys()  # noqa: SIM118 - SQLAlchemy's collection iterates columns
        if _is_sum(RollupRow, name)
    }
    opened = {**nothing, "reserved_micros": LedgerRow.reserved_micros}
    ended = {
        **nothing,
        "settled_micros": LedgerRow.settled_micros,
        "settled_credits": LedgerRow.settled_credits,
        "estimated_micros": -col(LedgerRow.reserved_micros),
        "saved_micros": LedgerRow.saved_micros,
        "pages": LedgerRow.pages,
        "submits": LedgerRow.settled_submits,
    }
    names = ("team", "actor", "service", "engine", "tier")
    whose = [getattr(LedgerRow, name) for name in names]
    parts = []
    for window in _windows()[:2]:
        keys = (LedgerRow.book, window.label("window"), *whose)
        is_open: Any = literal_column(f"'{_OPEN}'").label("outcome")
        parts.append(_grouped((*keys, is_open), opened))
        parts.append(_grouped((*keys, LedgerRow.outcome), ended, col(LedgerRow.kind) != "reserve"))
    return select(*union_all(*parts).subquery().columns)


def _table(row: type[SQLModel]) -> Table:
    table: Table = inspect(row).local_table
    return table


def _is_sum(row: type[SQLModel], name: str) -> bool:
    return name not in {column.name for column in inspect(row).primary_key}
