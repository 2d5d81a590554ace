"""Taking back what was not sent yet: its reservation is given back at once."""

from collections.abc import Iterable
from datetime import datetime

from core.domain.jobs import Actor, Attempt, AttemptStatus, Job
from core.store import Transaction, jobs, ledger

__all__ = ["is_unsent", "withdraw"]

_UNSENT = {AttemptStatus.PLANNED, AttemptStatus.RESERVED}


def is_unsent(job: Job, attempts: Iterable[Attempt]) -> bool:
    """Whether nothing of the job's present generation was handed to any engine."""
    return all(a.status in _UNSENT for a in attempts if a.generation == job.generation)


def withdraw(
    tx: Transaction, job: Job, actor: Actor, now: datetime, cause: str = "cancelled"
) -> None:
    """Cancel the attempts of the job's present generation that were not sent."""
    for attempt in jobs.attempts(tx, job.id, job.generation):
        if attempt.status in _UNSENT:
            jobs.change_attempt(tx, attempt.id, AttemptStatus.CANCELLED, actor, cause, now)
            ledger.release(tx, attempt.id, now, f"{cause} before it was sent")
