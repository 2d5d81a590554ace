"""What happened to a job, line by line; lines are only added."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import col, select

from core.domain.jobs import Actor
from core.store.engine import Transaction
from core.store.tables import TransitionRow

__all__ = ["TimelineEntry", "note", "record", "timeline"]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a job's timeline; ``subject`` is ``job``, ``attempt`` or ``webhook``."""

    at: datetime
    subject: str
    before: str
    after: str
    actor: str
    cause: str
    attempt_id: str | None
    detail: dict[str, Any]


def note(  # noqa: PLR0913 - a line of the timeline has these parts
    tx: Transaction,
    job_id: str,
    subject: str,
    after: str,
    actor: Actor,
    cause: str,
    now: datetime,
    *,
    attempt_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """A line on the timeline that changes no status."""
    record(tx, job_id, attempt_id, subject, "", after, actor, cause, now, detail)


def timeline(tx: Transaction, job_id: str) -> tuple[TimelineEntry, ...]:
    """All that happened to a job, oldest first."""
    query = (
        select(TransitionRow)
        .where(TransitionRow.job_id == job_id)
        .order_by(col(TransitionRow.at), col(TransitionRow.id))
    )
    return tuple(
        TimelineEntry(r.at, r.subject, r.before, r.after, r.actor, r.cause, r.attempt_id, r.detail)
        for r in tx.exec(query)
    )


def record(  # noqa: PLR0913 - the one place that writes a line of the timeline
    tx: Transaction,
    job_id: str,
    attempt_id: str | None,
    subject: str,
    before: str,
    after: str,
    actor: Actor,
    cause: str,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write a line of the timeline; ``before`` is empty when no status changed."""
    # columns and no row object: nobody reads it again, and several are written per transaction
    tx.execute(
        insert(TransitionRow),
        {
            "job_id": job_id,
            "attempt_id": attempt_id,
            "subject": subject,
            "before": str(before),
            "after": str(after),
            "actor": str(actor),
            "cause": cause,
            "detail": detail or {},
            "at": now,
        },
    )
