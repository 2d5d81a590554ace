"""Recording webhook deliveries: all that came together in three statements, past the unit of work.

At some thousand a second it is the interpreter that is short, not the disk: the statements are written
once for each database, rows go to the driver as they are, and all of them in one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from core.store.deliveries import (
    ACCEPTED,
    DUPLICATE,
    KEPT_BYTES,
    UNKNOWN_TYPE,
    Delivery,
    why_not_its_own,
)
from core.store.engine import Transaction
from core.store.tables import DeliveryRow

__all__ = ["Recorded", "add", "add_all", "workflows_of"]

_TABLE: Table = DeliveryRow.__table__  # type: ignore[attr-defined]
_NAMES = ("event_key", *Delivery.__slots__)
_AT = {name: number for number, name in enumerate(_NAMES)}
_read = attrgetter(*Delivery.__slots__)
_KEYED = frozenset({ACCEPTED, UNKNOWN_TYPE})
_JSONS = (_AT["headers"], _AT["steps"])
_MOMENTS = (_AT["received_at"], _AT["event_at"], _AT["applied_at"])
_BODY = _AT["body"]
_AT_ONCE = 500
"""Rows of one statement; SQLite takes 32,766 values."""

_Row = list[Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a delivery once it is on record: whether it is new, and whose job it names."""

    is_new: bool
    workflow_id: str = ""
    correlation_id: str = ""


_NEW = Recorded(is_new=True)


@dataclass(frozen=True, slots=True)
class _Owner:
    attempt_id: str
    job_id: str
    mode: str
    workflow_id: str
    correlation_id: str


def add(tx: Transaction, new: Delivery) -> bool:
    """Record a delivery; False when it was accepted before (it is then recorded as a duplicate)."""
    return add_all(tx, [new])[0].is_new


def add_all(tx: Transaction, new: Sequence[Delivery]) -> list[Recorded]:
    """Record deliveries in one go, each event id accepted once for ever; the answers are in order.

    Replays have no event key: they are new deliveries of an event that was recorded before.
    """
    owners = _owners(tx, {d.vendor_job_id for d in new if d.verdict == ACCEPTED} - {""})
    keyed: dict[str, Delivery] = {}
    for one in new:
        if one.verdict in _KEYED and not one.replay_of:
            keyed.setdefault(f"{one.scope}:{one.event_id}", one)
    # in order of the keys, so that two processes that record the same events never wait for each other
    first = [_row(keyed[key], owners, key) for key in sorted(keyed)]
    inserted = _insert(tx, first)
    answers, rest = [], []
    for one in new:
        is_new = one.id in inserted
        if not is_new:
            is_new = one.verdict not in _KEYED or bool(one.replay_of)
            rest.append(_row(one, owners, None, is_duplicate=not is_new))
        answers.append(_recorded(one, owners, is_new=is_new))
    _insert(tx, rest)
    return answers


def workflows_of(tx: Transaction, parked: Sequence[Delivery]) -> tuple[str, ...]:
    """The workflows that these deliveries are for, of those whose job is known by now."""
    owners = _owners(tx, {d.vendor_job_id for d in parked} - {""})
    found = (_recorded(d, owners, is_new=True).workflow_id for d in parked)
    return tuple(workflow_id for workflow_id in found if workflow_id)


def _recorded(one: Delivery, owners: dict[str, _Owner], *, is_new: bool) -> Recorded:
    owner = owners.get(one.vendor_job_id)
    if owner is None:
        return _NEW if is_new else Recorded(is_new=False)
    # simulated and real never mix: who signed must be one who may tell this job anything
    moves = is_new and not why_not_its_own(one.scope, owner.mode)
    return Recorded(is_new, owner.workflow_id if moves else "", owner.correlation_id)


def _owners(tx: Transaction, vendor_job_ids: set[str]) -> dict[str, _Owner]:
    if not vendor_job_ids:
        return {}
    asked = sorted(vendor_job_ids)
    if _is_postgres(tx):
        rows = tx.connection().exec_driver_sql(_OWNERS_POSTGRES, (asked,))
    else:
        rows = tx.connection().exec_driver_sql(_OWNERS_SQLITE, (to_json(asked).decode(),))
    return {row[0]: _Owner(*row[1:]) for row in rows.all()}


def _row(
    new: Delivery, owners: dict[str, _Owner], key: str | None, *, is_duplicate: bool = False
) -> _Row:
    row = [key, *_read(new)]
    if (owner := owners.get(new.vendor_job_id)) is not None:
        row[_AT["job_id"]], row[_AT["attempt_id"]] = owner.job_id, owner.attempt_id
        if not_its_own := why_not_its_own(new.scope, owner.mode):
            row[_AT["applied_at"]], row[_AT["outcome"]] = new.received_at, not_its_own
    if is_duplicate:
        row[_AT["verdict"]], row[_AT["outcome"]] = DUPLICATE, "received before, changes nothing"
        row[_BODY] = new.body[:KEPT_BYTES]
    return row


def _insert(tx: Transaction, rows: Sequence[_Row]) -> frozenset[str]:
    """Write rows; ids of those whose event key nobody had recorded."""
    ready = _on_postgres if _is_postgres(tx) else _on_sqlite
    found: set[str] = set()
    for start in range(0, len(rows), _AT_ONCE):
        sql, values = ready(rows[start : start + _AT_ONCE])
        # all at once: row by row the driver lets go of the interpreter each time
        found.update(row[0] for row in tx.connection().exec_driver_sql(sql, values).all())
    return frozenset(found)


def _is_postgres(tx: Transaction) -> bool:
    return tx.get_bind().dialect.name == "postgresql"


_COLUMNS = ", ".join(_NAMES)
_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPES = ", ".join(
    f"{name} {'text' if name == 'body' else _TABLE.c[name].type.compile(_POSTGRES)}"
    for name in _NAMES
)
_ONCE = "ON CONFLICT (event_key) DO NOTHING RETURNING id"
_ONE = f"({', '.join('?' * len(_NAMES))})"
_INSERT_POSTGRES = f"""
    INSERT INTO delivery ({_COLUMNS})
    SELECT {_COLUMNS.replace("body,", "decode(body, 'hex'),", 1)}
    FROM json_to_recordset(%s::json) AS new ({_TYPES}) {_ONCE}
"""  # noqa: S608 - our own names
_OWNERS = """
    SELECT attempt.vendor_job_id, attempt.id, job.id, job.mode, job.workflow_id, job.correlation_id
    FROM attempt JOIN job ON job.id = attempt.job_id WHERE attempt.vendor_job_id
"""
_OWNERS_SQLITE = f"{_OWNERS} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own names
_OWNERS_POSTGRES = f"{_OWNERS} = ANY(%s)"


def _on_sqlite(rows: Sequence[_Row]) -> tuple[str, tuple[Any, ...]]:
    """One statement for all: between two the thread would have to wait for the interpreter again."""
    for row in rows:
        for at in _JSONS:
            row[at] = to_json(row[at]).decode()
        for at in _MOMENTS:
            row[at] = row[at] and row[at].isoformat(" ", "microseconds")[:26]
    sql = f"INSERT INTO delivery ({_COLUMNS}) VALUES {', '.join([_ONE] * len(rows))} {_ONCE}"  # noqa: S608
    return sql, tuple(chain.from_iterable(rows))


def _on_postgres(rows: Sequence[_Row]) -> tuple[str, tuple[Any, ...]]:
    for row in rows:
        row[_BODY] = row[_BODY].hex()
    return _INSERT_POSTGRES, (
        to_json([dict(zip(_NAMES, row, strict=True)) for row in rows]).decode(),
    )
