"""How engines do: one row per engine, what their calls came to, and every change on record."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import col, select

from core.domain.health import Breaker, BreakerState, Hold, OpenReason, Outcome, Signal
from core.store.engine import Transaction
from core.store.tables import HealthChangeRow, HealthRow, OutcomeRow

__all__ = [
    "EngineHealth",
    "HealthChange",
    "add_outcomes",
    "changes",
    "claim_probe",
    "find",
    "hasten_probe",
    "lock",
    "outcomes",
    "record",
    "save",
    "set_hold",
    "several",
    "tidy",
]


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """One engine: its breaker, a hold if a person set one, when it is probed next."""

    engine: str
    breaker: Breaker
    hold: Hold | None = None
    next_probe_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HealthChange:
    """A line of the record: what changed, why, and who caused it."""

    engine: str
    at: datetime
    before: str
    after: str
    reason: str
    actor: str


def find(tx: Transaction, engine: str) -> EngineHealth | None:
    """What is known of an engine; None when nobody asked about it yet, or the row is lost."""
    row = tx.get(HealthRow, engine)
    return None if row is None else _health(row)


def several(
    tx: Transaction, engines: Iterable[str], since: datetime
) -> Mapping[str, tuple[EngineHealth, float | None]]:
    """What is known of each of these, and how many seconds its newest probe since then took, if answered."""
    probed_s = (
        select(OutcomeRow.seconds)
        .where(
            OutcomeRow.engine == HealthRow.engine,
            OutcomeRow.operation == "probe",
            col(OutcomeRow.signal).in_([Signal.OK, Signal.SLOW]),
            col(OutcomeRow.at) >= since,
        )
        .order_by(col(OutcomeRow.at).desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(HealthRow, probed_s).where(col(HealthRow.engine).in_(list(engines)))
    return {row.engine: (_health(row), seconds) for row, seconds in tx.execute(query)}


def lock(tx: Transaction, engine: str, rebuilt: Breaker) -> EngineHealth:
    """The same for whoever changes it: alone until the commit. A missing row begins as ``rebuilt``."""
    is_postgres = tx.get_bind().dialect.name == "postgresql"
    insert = insert_postgres if is_postgres else insert_sqlite
    first = {"engine": engine, "hold_by": "", "hold_reason": "", "prober": ""} | asdict(rebuilt)
    tx.execute(insert(HealthRow).values(first).on_conflict_do_nothing(index_elements=["engine"]))
    query = select(HealthRow).where(HealthRow.engine == engine)
    locked = query.with_for_update() if is_postgres else query
    row = tx.exec(locked.execution_options(populate_existing=True)).one()
    return _health(row)


def save(tx: Transaction, engine: str, breaker: Breaker) -> None:
    """Keep the breaker of an engine that was locked."""
    row = tx.get(HealthRow, engine)
    if row is not None:
        for name, value in asdict(breaker).items():
            setattr(row, name, value)
        tx.add(row)
        tx.flush()


def set_hold(tx: Transaction, engine: str, hold: Hold | None) -> None:
    """Keep an engine that was locked from being used, or let it be used again."""
    row = tx.get(HealthRow, engine)
    if row is not None:
        row.hold_until = hold.until if hold else None
        row.hold_by = hold.by if hold else ""
        row.hold_reason = hold.reason if hold else ""
        tx.add(row)
        tx.flush()


def claim_probe(tx: Transaction, engine: str, who: str, until: datetime) -> None:
    """Take the probe that is due; nobody else probes before ``until``.

    The engine must be locked, and the probe due: so there is one prober, however many processes there are.
    """
    row = tx.get(HealthRow, engine)
    if row is not None:
        row.next_probe_at = until
        row.prober = who
        tx.add(row)
        tx.flush()


def hasten_probe(tx: Transaction, engine: str, at: datetime) -> None:
    """Let the next probe be no later than that. The engine must be locked."""
    row = tx.get(HealthRow, engine)
    if row is not None and row.next_probe_at is not None and row.next_probe_at > at:
        row.next_probe_at = at
        tx.add(row)
        tx.flush()


def add_outcomes(tx: Transaction, engine: str, found: Iterable[Outcome]) -> None:
    """Keep what calls came to."""
    for o in found:
        tx.add(
            OutcomeRow(
                engine=engine, at=o.at, operation=o.operation, signal=o.signal, seconds=o.seconds
            )
        )
    tx.flush()


def outcomes(
    tx: Transaction, engine: str, since: datetime, *, newest: int | None = None
) -> tuple[Outcome, ...]:
    """What calls came to since then, oldest first; at most so many, the ``newest``."""
    query = (
        select(OutcomeRow)
        .where(OutcomeRow.engine == engine, col(OutcomeRow.at) >= since)
        .order_by(col(OutcomeRow.at).desc(), col(OutcomeRow.id).desc())
        .limit(newest)
    )
    found = [Outcome(r.at, r.operation, Signal(r.signal), r.seconds) for r in tx.exec(query)]
    return tuple(reversed(found))


def tidy(tx: Transaction, before: datetime) -> int:
    """Forget what calls came to before then; how many that were. Changes stay on record."""
    count = tx.exec(select(func.count()).where(col(OutcomeRow.at) < before)).one()
    if count:
        tx.execute(delete(OutcomeRow).where(col(OutcomeRow.at) < before))
    return count


def record(tx: Transaction, change: HealthChange) -> None:
    """Write a change down; it is never updated or deleted."""
    tx.add(HealthChangeRow(**asdict(change)))
    tx.flush()


def changes(tx: Transaction, engine: str, *, limit: int = 20) -> tuple[HealthChange, ...]:
    """What changed, newest first."""
    query = (
        select(HealthChangeRow)
        .where(HealthChangeRow.engine == engine)
        .order_by(col(HealthChangeRow.id).desc())
        .limit(limit)
    )
    return tuple(
        HealthChange(r.engine, r.at, r.before, r.after, r.reason, r.actor) for r in tx.exec(query)
    )


def _health(row: HealthRow) -> EngineHealth:
    hold = (
        Hold(row.hold_until, row.hold_by, row.hold_reason) if row.hold_until is not None else None
    )
    breaker = Breaker(
        state=BreakerState(row.state),
        since=row.since,
        reason=OpenReason(row.reason),
        words=row.words,
        until=row.until,
        openings=row.openings,
        granted=row.granted,
        granted_at=row.granted_at,
        passed=row.passed,
    )
    return EngineHealth(row.engine, breaker, hold, row.next_probe_at)
