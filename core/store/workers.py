"""Processes that run workflows, and when each was last heard of."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import WorkerRow

__all__ = ["Worker", "beat", "known", "start", "stop"]


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that runs workflows."""

    executor_id: str
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None = None


def start(tx: Transaction, worker: Worker) -> None:
    """A process began to run workflows."""
    tx.add(
        WorkerRow(
            executor_id=worker.executor_id,
            host=worker.host,
            pid=worker.pid,
            started_at=worker.started_at,
            heartbeat_at=worker.heartbeat_at,
            stopped_at=None,
        )
    )


def beat(tx: Transaction, executor_id: str, now: datetime) -> None:
    """The process is alive."""
    row = tx.get(WorkerRow, executor_id)
    if row is not None:
        row.heartbeat_at = now
        tx.add(row)


def stop(tx: Transaction, executor_id: str, now: datetime) -> None:
    """The process ended, or was found dead and its work was taken over."""
    row = tx.get(WorkerRow, executor_id)
    if row is not None:
        row.stopped_at = now
        tx.add(row)


def known(tx: Transaction) -> tuple[Worker, ...]:
    """Processes that have not stopped in an orderly way."""
    rows = tx.exec(select(WorkerRow).where(col(WorkerRow.stopped_at).is_(None)))
    return tuple(
        Worker(r.executor_id, r.host, r.pid, r.started_at, r.heartbeat_at, r.stopped_at)
        for r in rows
    )
