"""Presses of Parse."""

from sqlmodel import col, select

from core.domain.jobs import Submission
from core.domain.money import Tier, usd_from_micros, usd_to_micros
from core.domain.routing import Mode
from core.errors import NotFound
from core.store.engine import Transaction
from core.store.tables import JobRow, SubmissionRow

__all__ = ["add_submission", "submission", "submission_by_key", "submissions"]


def add_submission(tx: Transaction, submission_: Submission, key: str) -> None:
    """Record a press of Parse."""
    tx.add(
        SubmissionRow(
            id=submission_.id,
            key=key,
            actor=submission_.actor,
            mode=submission_.mode,
            tier=submission_.tier,
            created_at=submission_.created_at,
            correlation_id=submission_.correlation_id,
            estimated_credits=submission_.estimated_credits,
            estimated_micros=usd_to_micros(submission_.estimated_usd),
            team=submission_.team,
        )
    )
    tx.flush()


def submission(tx: Transaction, submission_id: str) -> Submission:
    """One submission with its jobs' ids in order. Raises ``NotFound``."""
    row = tx.get(SubmissionRow, submission_id)
    if row is None:
        raise NotFound("submission", submission_id)
    return _submission(tx, row)


def submission_by_key(tx: Transaction, key: str) -> Submission | None:
    """The submission that this press of Parse already made, if any."""
    row = tx.exec(select(SubmissionRow).where(SubmissionRow.key == key)).first()
    return None if row is None else _submission(tx, row)


def submissions(tx: Transaction, *, limit: int = 20) -> tuple[Submission, ...]:
    """The newest submissions."""
    query = select(SubmissionRow).order_by(col(SubmissionRow.created_at).desc()).limit(limit)
    return tuple(_submission(tx, row) for row in tx.exec(query))


def _submission(tx: Transaction, row: SubmissionRow) -> Submission:
    ids = tx.exec(
        select(JobRow.id).where(JobRow.submission_id == row.id).order_by(col(JobRow.position))
    )
    return Submission(
        id=row.id,
        actor=row.actor,
        mode=Mode(row.mode),
        tier=Tier(row.tier),
        created_at=row.created_at,
        correlation_id=row.correlation_id,
        estimated_credits=row.estimated_credits,
        estimated_usd=usd_from_micros(row.estimated_micros),
        job_ids=tuple(ids),
        team=row.team,
    )
