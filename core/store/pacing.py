"""Turns for calls on one key: never more than so many in any minute, over all processes."""

import time
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import col

from core.store.engine import Transaction
from core.store.tables import PaceRow

__all__ = ["Turn", "hold", "take_turn"]

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """When a call may be made, in seconds since 1970, and how many seconds that is from now."""

    at: float
    wait_s: float


def take_turn(tx: Transaction, key: str, per_minute: int) -> Turn:
    """The next free turn; it is taken, whether or not the call is then made.

    A sliding window: the turn is at least a minute after the ``per_minute``-th turn before it. A
    bucket that refills would let nearly twice as many through in the minute after a rest.
    """
    pace, now = _locked(tx, key)
    at = max(now, pace.not_before, *pace.turns[-1:])
    if len(pace.turns) >= per_minute:
        at = max(at, pace.turns[-per_minute] + _MINUTE_S)
    _change(tx, key, now, turns=[*pace.turns, at][-per_minute:], not_before=pace.not_before)
    return Turn(at, at - now)


def hold(tx: Transaction, key: str, seconds: float) -> None:
    """No turn for anybody before so many seconds from now."""
    pace, now = _locked(tx, key)
    _change(tx, key, now, turns=pace.turns, not_before=max(pace.not_before, now + seconds))


class _Pace(NamedTuple):
    """The turns taken last and when the hold ends, as the present clock counts."""

    turns: list[float]
    not_before: float


def _locked(tx: Transaction, key: str) -> tuple[_Pace, float]:
    """The pace and the present moment; nobody else changes it before the commit."""
    is_postgres = tx.get_bind().dialect.name == "postgresql"
    # columns and no row object: a turn is taken before every call, and this halves what it costs
    query = select(col(PaceRow.turns), col(PaceRow.not_before), col(PaceRow.asked_at))
    query = query.where(col(PaceRow.key) == key)
    query = query.with_for_update() if is_postgres else query
    found = tx.execute(query).one_or_none()
    if found is None:
        insert = insert_postgres if is_postgres else insert_sqlite
        first = insert(PaceRow).values(key=key, turns=[], not_before=0.0, asked_at=0.0)
        tx.execute(first.on_conflict_do_nothing(index_elements=["key"]))
        found = tx.execute(query).one()
    turns, not_before, asked_at = found
    now = _now(tx)
    # a clock that was set back since counts from then on, and what was taken moves with it
    back_s = max(0.0, asked_at - now)
    return _Pace([turn - back_s for turn in turns], not_before - back_s), now


def _change(tx: Transaction, key: str, now: float, **facts: object) -> None:
    change = update(PaceRow).where(col(PaceRow.key) == key).values(asked_at=now, **facts)
    tx.execute(change.execution_options(synchronize_session=False))


def _now(tx: Transaction) -> float:
    if tx.get_bind().dialect.name == "postgresql":
        # one clock for all machines; not now(), which stands still within a transaction
        return float(tx.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()
