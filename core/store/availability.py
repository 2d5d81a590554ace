"""How an engine did over time, summed in the database: a week of calls is a few hundred rows here."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, delete, func, select
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.orm import Mapped
from sqlmodel import col

from core.domain.availability import Period
from core.domain.health import Outcome, Signal
from core.store.engine import Transaction
from core.store.tables import AvailabilityRow, OutcomeRow

__all__ = ["HOUR", "failures", "hours", "keep_hours", "periods", "tidy", "usual"]

HOUR = timedelta(hours=1)

_ANSWERED = (Signal.OK, Signal.SLOW)
_BAD = tuple(signal for signal in Signal if signal.is_bad)
_ENOUGH = 20


def periods(
    tx: Transaction, engine: str, since: datetime, until: datetime, width: timedelta
) -> tuple[Period, ...]:
    """One period per ``width`` (whole seconds) from ``since`` to ``until``, also those without calls.

    What says nothing about the engine (a broken document, our own pace) is not counted. Percentiles
    are of the answered calls, by nearest rank.
    """
    step = int(width.total_seconds())
    bucket = (_epoch(tx, col(OutcomeRow.at)) - int(since.timestamp())) // step
    answered = col(OutcomeRow.signal).in_(_ANSWERED)
    of_its_kind: dict[str, Any] = {"partition_by": [bucket, answered]}
    calls = (
        select(
            bucket.label("bucket"),
            col(OutcomeRow.signal).label("signal"),
            col(OutcomeRow.seconds).label("seconds"),
            answered.label("answered"),
            func.row_number().over(**of_its_kind, order_by=col(OutcomeRow.seconds)).label("rank"),
            func.count().over(**of_its_kind).label("count"),
        )
        .where(
            col(OutcomeRow.engine) == engine,
            col(OutcomeRow.at) >= since,
            col(OutcomeRow.at) < until,
            col(OutcomeRow.signal) != Signal.NEUTRAL,
        )
        .subquery()
    )
    row = calls.c

    def ranked(rank: ColumnElement[int]) -> ColumnElement[float]:
        return func.max(case((row.answered & (row.rank == rank), row.seconds)))

    query = select(
        row.bucket,
        func.count(),
        func.sum(case((row.answered, 0), else_=1)),
        func.sum(case((row.signal == Signal.SLOW, 1), else_=0)),
        ranked((row["count"] + 1) // 2),
        ranked((19 * row["count"] + 19) // 20),
    ).group_by(row.bucket)
    found = {number: facts for number, *facts in tx.execute(query)}
    count = max(1, -(-(until - since) // width))
    return tuple(Period(since + width * n, *found.get(n, ())) for n in range(count))


def hours(tx: Transaction, engine: str, since: datetime, until: datetime) -> dict[datetime, Period]:
    """The hours from ``since`` to before ``until`` that were summed and kept, by their start."""
    query = select(AvailabilityRow).where(
        col(AvailabilityRow.engine) == engine,
        col(AvailabilityRow.start) >= since,
        col(AvailabilityRow.start) < until,
    )
    return {
        r.start: Period(r.start, r.calls, r.failed, r.slow, r.p50_s, r.p95_s)
        for r in tx.execute(query).scalars()
    }


def keep_hours(tx: Transaction, engine: str, found: Iterable[Period]) -> None:
    """Keep hours that are over; what another process kept already stays."""
    insert = insert_postgres if _is_postgres(tx) else insert_sqlite
    rows = [{"engine": engine, **asdict(period)} for period in found]
    if rows:
        tx.execute(insert(AvailabilityRow).on_conflict_do_nothing(), rows)


def tidy(tx: Transaction, before: datetime) -> None:
    """Forget the hours before then."""
    tx.execute(delete(AvailabilityRow).where(col(AvailabilityRow.start) < before))


def failures(
    tx: Transaction, engine: str, since: datetime, until: datetime, *, limit: int
) -> tuple[Outcome, ...]:
    """The newest calls from ``since`` to before ``until`` that spoke against the engine, newest first."""
    query = (
        select(OutcomeRow)
        .where(
            col(OutcomeRow.engine) == engine,
            col(OutcomeRow.at) >= since,
            col(OutcomeRow.at) < until,
            col(OutcomeRow.signal).in_(_BAD),
        )
        .order_by(col(OutcomeRow.at).desc(), col(OutcomeRow.id).desc())
        .limit(limit)
    )
    rows = tx.execute(query).scalars()
    return tuple(Outcome(r.at, r.operation, Signal(r.signal), r.seconds) for r in rows)


def usual(tx: Transaction, engine: str, since: datetime) -> dict[str, float]:
    """The median seconds of each operation, where enough good calls since then show it."""
    of_its_kind: dict[str, Any] = {"partition_by": col(OutcomeRow.operation)}
    calls = (
        select(
            col(OutcomeRow.operation).label("operation"),
            col(OutcomeRow.seconds).label("seconds"),
            func.row_number().over(**of_its_kind, order_by=col(OutcomeRow.seconds)).label("rank"),
            func.count().over(**of_its_kind).label("count"),
        )
        .where(
            col(OutcomeRow.engine) == engine,
            col(OutcomeRow.signal) == Signal.OK,
            col(OutcomeRow.at) >= since,
        )
        .subquery()
    )
    row = calls.c
    is_median = row.rank == (row["count"] + 1) // 2
    query = select(row.operation, row.seconds).where(row["count"] >= _ENOUGH, is_median)
    return {row[0]: row[1] for row in tx.execute(query)}


def _is_postgres(tx: Transaction) -> bool:
    return tx.get_bind().dialect.name == "postgresql"


def _epoch(tx: Transaction, at: Mapped[datetime]) -> ColumnElement[int]:
    """Whole seconds since 1970, as each database says them."""
    if _is_postgres(tx):
        return cast(func.floor(func.extract("epoch", at)), BigInteger)
    return cast(func.strftime("%s", at), BigInteger)
