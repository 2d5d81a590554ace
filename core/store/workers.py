"""Processes that run workflows or receive, and when each was last heard of."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, update
from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import WorkerRow

__all__ = ["API", "WORKER", "Worker", "beat", "known", "since", "start", "stop"]

WORKER, API = "worker", "api"
"""What a process is for: workflows (beside whatever else it does), or receiving webhooks only."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process, by its role."""

    executor_id: str
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None = None
    role: str = WORKER


_KEPT = timedelta(days=30)


def start(tx: Transaction, worker: Worker) -> None:
    """A process began; those that ended long ago are forgotten, so that the living are found quickly."""
    tx.execute(delete(WorkerRow).where(col(WorkerRow.stopped_at) < worker.started_at - _KEPT))
    tx.add(WorkerRow(**asdict(worker)))


def beat(tx: Transaction, worker: Worker, now: datetime) -> None:
    """The process is alive, also one that was thought dead, or forgotten, as it was not heard of for a while."""
    alive = update(WorkerRow).where(col(WorkerRow.executor_id) == worker.executor_id)
    # set and not compared: another process may write it off in this moment
    if not tx.execute(alive.values(heartbeat_at=now, stopped_at=None)).rowcount:  # type: ignore[attr-defined]
        tx.add(WorkerRow(**asdict(replace(worker, heartbeat_at=now))))


def stop(tx: Transaction, executor_id: str, now: datetime) -> None:
    """The process ended, or was found dead and its work was taken over."""
    row = tx.get(WorkerRow, executor_id)
    if row is not None:
        row.stopped_at = now
        tx.add(row)


def known(tx: Transaction, role: str = WORKER) -> tuple[Worker, ...]:
    """Processes of a role that have not stopped in an orderly way."""
    query = select(WorkerRow).where(col(WorkerRow.stopped_at).is_(None), WorkerRow.role == role)
    return tuple(_worker(row) for row in tx.exec(query))


def since(tx: Transaction, at: datetime) -> tuple[Worker, ...]:
    """Processes of any role that were not written off before; those of the last 30 days are all on record."""
    stopped_at = col(WorkerRow.stopped_at)
    query = select(WorkerRow).where(or_(stopped_at.is_(None), stopped_at >= at))
    return tuple(_worker(row) for row in tx.exec(query))


def _worker(row: WorkerRow) -> Worker:
    return Worker(**{name: getattr(row, name) for name in Worker.__slots__})
