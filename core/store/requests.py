"""Documents that somebody asked a lead to let pass a limit, and that wait for the answer."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, func, select

from core.domain.jobs import JobStatus
from core.store.engine import Transaction
from core.store.queue import WAITS_FOR_ROOM
from core.store.tables import JobRow, TransitionRow

__all__ = ["ANSWERED", "ASKED", "Request", "closed_before", "open_requests"]

ASKED = "asked"
"""How a request stands on the timeline of its job, under the subject ``money``."""

ANSWERED = ("approved", "refused", "replanned")
"""What closes it: a lead's yes or no, or another plan than the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked for which job, when and why."""

    job_id: str
    actor: str
    note: str
    at: datetime


def open_requests(tx: Transaction) -> tuple[Request, ...]:
    """Those that nobody answered, the oldest first; a job that was started meanwhile has none."""
    query = (
        select(TransitionRow)
        .join(JobRow, col(JobRow.id) == col(TransitionRow.job_id))
        .where(JobRow.status == JobStatus.HELD, JobRow.hold == WAITS_FOR_ROOM)
        .where(TransitionRow.subject == "money", col(TransitionRow.after).in_([ASKED, *ANSWERED]))
        .order_by(col(TransitionRow.id))
    )
    newest: dict[str, TransitionRow] = {}
    for row in tx.exec(query):
        # in the order of what was said last
        newest.pop(row.job_id, None)
        newest[row.job_id] = row
    return tuple(
        Request(row.job_id, row.actor, str(row.detail.get("note", "")), row.at)
        for row in newest.values()
        if row.after == ASKED
    )


def closed_before(tx: Transaction, job_id: str) -> int:
    """How often a request for this job was answered already."""
    query = select(func.count()).where(
        TransitionRow.job_id == job_id,
        TransitionRow.subject == "money",
        col(TransitionRow.after).in_(ANSWERED),
    )
    return int(tx.exec(query).one())
