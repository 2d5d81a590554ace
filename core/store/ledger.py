"""The ledger and its balances: one transaction grants a reservation over all limits, or refuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import col

from core.domain.budgets import Limit, LimitUse, Unit, Window, exceeded, scope_of, window_key
from core.domain.money import usd_from_micros
from core.store.engine import Transaction
from core.store.tables import AttemptRow, BalanceRow, LedgerRow

__all__ = [
    "Reservation",
    "SpendTotals",
    "by_hour",
    "close",
    "reserve",
    "totals",
    "unsettled",
    "uses",
]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an attempt asks for."""

    job_id: str
    attempt_id: str
    mode: str
    tier: str
    actor: str
    credits: int
    micros: int
    submits: int = 1


@dataclass(frozen=True, slots=True)
class SpendTotals:
    """Money in one scope since a moment: reserved (not billed yet) and settled."""

    reserved_usd: Decimal
    settled_usd: Decimal
    settled_credits: int


def uses(
    tx: Transaction, mode: str, limits: Sequence[Limit], at: datetime, timezone: str
) -> tuple[LimitUse, ...]:
    """How much of each limit is used in the window of ``at``."""
    found = []
    for limit in limits:
        row = tx.get(
            BalanceRow, (scope_of(mode), window_key(limit.window, at, timezone), limit.unit)
        )
        found.append(LimitUse(limit, row.reserved if row else 0, row.settled if row else 0))
    return tuple(found)


def reserve(
    tx: Transaction, wanted: Reservation, limits: Sequence[Limit], at: datetime, timezone: str
) -> str:
    """Reserve, or say why not. Empty means granted.

    Granting twice for one attempt is one reservation. Must run in a write transaction: the rows of
    all balances are locked in a fixed order, so no two grants can both see the last free dollar.
    """
    if _balance_of_attempt(tx, wanted.attempt_id) is not None:
        return ""
    keys = sorted(_keys(wanted.mode, at, timezone))
    rows = {key[1:]: _locked(tx, key) for key in keys}
    now = tuple(
        LimitUse(limit, row.reserved, row.settled)
        for limit in limits
        for row in [rows[(window_key(limit.window, at, timezone), limit.unit)]]
    )
    refusal = exceeded(now, micros=wanted.micros, submits=wanted.submits)
    if refusal:
        return refusal
    for (_window, unit), row in rows.items():
        row.reserved += wanted.micros if unit == Unit.USD else wanted.submits
        tx.add(row)
    _enter(tx, "reserve", wanted, at, at)
    return ""


def close(  # noqa: PLR0913 - what was paid, when, and in which calendar
    tx: Transaction,
    attempt_id: str,
    *,
    credits_: int,
    micros: int,
    at: datetime,
    timezone: str,
    cause: str,
) -> bool:
    """Turn an open reservation into what was paid: settle, or release when nothing was.

    Posts to the windows of the reservation. False, and nothing changed, when none is open.
    """
    entry = _balance_of_attempt(tx, attempt_id)
    if entry is None or entry.kind != "reserve":
        return False
    paid = credits_ > 0 or micros > 0
    reserved_at = entry.reserved_at
    # a submit that reached the vendor counts as a request whatever it cost
    submits = entry.submits if paid or cause == "submitted" else 0
    for key in sorted(_keys(entry.mode, reserved_at, timezone)):
        row = _locked(tx, key)
        is_usd = key[2] == Unit.USD
        row.reserved -= entry.micros if is_usd else entry.submits
        row.settled += micros if is_usd else submits
        tx.add(row)
    wanted = Reservation(
        entry.job_id, attempt_id, entry.mode, entry.tier, entry.actor, credits_, micros, submits
    )
    _enter(tx, "settle" if paid else "release", wanted, reserved_at, at)
    return True


def totals(tx: Transaction, mode: str, since: datetime) -> SpendTotals:
    """What was reserved and settled since ``since`` (by the time of the reservation)."""
    scope = ["mock"] if scope_of(mode) == "mock" else ["real", "hybrid"]
    query = (
        select(
            col(LedgerRow.kind), func.sum(col(LedgerRow.micros)), func.sum(col(LedgerRow.credits))
        )
        .where(col(LedgerRow.mode).in_(scope), col(LedgerRow.reserved_at) >= since)
        .group_by(col(LedgerRow.kind))
    )
    sums = {
        kind: (int(micros or 0), int(credits_ or 0)) for kind, micros, credits_ in tx.execute(query)
    }
    settled = sums.get("settle", (0, 0))
    open_query = select(func.sum(col(LedgerRow.micros))).where(
        col(LedgerRow.mode).in_(scope),
        col(LedgerRow.reserved_at) >= since,
        col(LedgerRow.kind) == "reserve",
        ~col(LedgerRow.attempt_id).in_(
            select(col(LedgerRow.attempt_id)).where(col(LedgerRow.kind).in_(["settle", "release"]))
        ),
    )
    reserved = int(tx.execute(open_query).scalar() or 0)
    return SpendTotals(usd_from_micros(reserved), usd_from_micros(settled[0]), settled[1])


def by_hour(
    tx: Transaction, mode: str, hours: Sequence[datetime], timezone: str
) -> tuple[tuple[int, int], ...]:
    """Micro-dollars and submits, reserved or settled, in the hour of each of these moments."""
    windows = [window_key(Window.HOUR, hour, timezone) for hour in hours]
    query = select(BalanceRow).where(
        col(BalanceRow.scope) == scope_of(mode), col(BalanceRow.window).in_(windows)
    )
    found = {
        (row.window, row.unit): row.reserved + row.settled for row in tx.execute(query).scalars()
    }
    return tuple((found.get((w, Unit.USD), 0), found.get((w, Unit.SUBMITS), 0)) for w in windows)


def unsettled(tx: Transaction, *, limit: int = 50) -> tuple[tuple[str, datetime], ...]:
    """Attempts that ended at the vendor while their reservation is still open, and when; oldest first."""
    closed = select(col(LedgerRow.attempt_id)).where(col(LedgerRow.kind).in_(["settle", "release"]))
    query = (
        select(AttemptRow)
        .join(LedgerRow, col(LedgerRow.attempt_id) == col(AttemptRow.id))
        .where(
            col(AttemptRow.status).in_(["done", "failed", "cancelled"]),
            col(AttemptRow.vendor_job_id).is_not(None),
            col(LedgerRow.kind) == "reserve",
            ~col(AttemptRow.id).in_(closed),
        )
        .order_by(col(AttemptRow.finished_at))
        .limit(limit)
    )
    rows = tx.execute(query).scalars()
    return tuple((row.id, row.finished_at or row.created_at) for row in rows)


def _keys(mode: str, at: datetime, timezone: str) -> list[tuple[str, str, str]]:
    scope = scope_of(mode)
    return [
        (scope, window_key(window, at, timezone), unit.value) for window in Window for unit in Unit
    ]


def _locked(tx: Transaction, key: tuple[str, str, str]) -> BalanceRow:
    scope, window, unit = key
    is_postgres = tx.get_bind().dialect.name == "postgresql"
    insert = insert_postgres if is_postgres else insert_sqlite
    values = {"scope": scope, "window": window, "unit": unit, "reserved": 0, "settled": 0}
    tx.execute(insert(BalanceRow).values(**values).on_conflict_do_nothing())
    row = tx.get(BalanceRow, key, with_for_update=is_postgres, populate_existing=True)
    assert row is not None  # noqa: S101 - inserted one line above
    return row


def _balance_of_attempt(tx: Transaction, attempt_id: str) -> LedgerRow | None:
    query = (
        select(LedgerRow)
        .where(col(LedgerRow.attempt_id) == attempt_id)
        .order_by(col(LedgerRow.id).desc())
        .limit(1)
    )
    return tx.execute(query).scalar_one_or_none()


def _enter(
    tx: Transaction, kind: str, wanted: Reservation, reserved_at: datetime, at: datetime
) -> None:
    tx.add(
        LedgerRow(
            kind=kind,
            mode=wanted.mode,
            job_id=wanted.job_id,
            attempt_id=wanted.attempt_id,
            tier=wanted.tier,
            actor=wanted.actor,
            credits=wanted.credits,
            micros=wanted.micros,
            submits=wanted.submits,
            reserved_at=reserved_at,
            at=at,
        )
    )
    tx.flush()
