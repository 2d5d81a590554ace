"""What was tried for a job, and how far each attempt is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from core.domain.documents import EngineName
from core.domain.jobs import ATTEMPT_TRANSITIONS, Actor, Attempt, AttemptStatus
from core.domain.money import Tier
from core.errors import NotAllowed, NotFound
from core.store.engine import Transaction
from core.store.jobs.timeline import record
from core.store.rows import held
from core.store.tables import AttemptRow

__all__ = [
    "add_attempt",
    "attempt",
    "attempt_by_vendor_id",
    "attempts",
    "attempts_of",
    "change_attempt",
    "claim_intent",
    "locked_attempt",
    "stages",
    "update_attempt",
]


def add_attempt(tx: Transaction, attempt_: Attempt, actor: Actor, cause: str) -> None:
    """Record a new attempt."""
    tx.add(AttemptRow(**{name: getattr(attempt_, name) for name in AttemptRow.model_fields}))
    tx.flush()
    record(
        tx,
        attempt_.job_id,
        attempt_.id,
        "attempt",
        "",
        attempt_.status,
        actor,
        cause,
        attempt_.created_at,
    )


def attempt(tx: Transaction, attempt_id: str) -> Attempt:
    """One attempt. Raises ``NotFound``."""
    return _attempt(_attempt_row(tx, attempt_id))


def locked_attempt(tx: Transaction, attempt_id: str) -> Attempt:
    """One attempt as it is now; nobody else changes it until the transaction ends. Raises ``NotFound``."""
    return _attempt(_attempt_row(tx, attempt_id, lock=True))


def attempt_by_vendor_id(tx: Transaction, vendor_job_id: str) -> Attempt | None:
    """The attempt that owns this vendor job, if it is known yet."""
    row = tx.exec(select(AttemptRow).where(AttemptRow.vendor_job_id == vendor_job_id)).first()
    return None if row is None else _attempt(row)


def attempts(tx: Transaction, job_id: str, generation: int | None = None) -> tuple[Attempt, ...]:
    """A job's attempts in order; only those of one generation when it is given."""
    query = (
        select(AttemptRow)
        .where(AttemptRow.job_id == job_id)
        .order_by(col(AttemptRow.generation), col(AttemptRow.number))
    )
    if generation is not None:
        query = query.where(AttemptRow.generation == generation)
    return tuple(_attempt(row) for row in tx.exec(query))


def attempts_of(tx: Transaction, job_ids: Sequence[str]) -> dict[str, tuple[Attempt, ...]]:
    """The attempts of each of these jobs in order."""
    query = (
        select(AttemptRow)
        .where(col(AttemptRow.job_id).in_(list(job_ids)))
        .order_by(col(AttemptRow.generation), col(AttemptRow.number))
    )
    found: dict[str, list[Attempt]] = {job_id: [] for job_id in job_ids}
    for row in tx.exec(query):
        found[row.job_id].append(_attempt(row))
    return {job_id: tuple(tried) for job_id, tried in found.items()}


def stages(tx: Transaction, job_ids: Sequence[str]) -> dict[str, AttemptStatus]:
    """How far the newest attempt of each of these jobs is."""
    query = (
        select(AttemptRow.job_id, AttemptRow.status)
        .where(col(AttemptRow.job_id).in_(list(job_ids)))
        .order_by(col(AttemptRow.generation), col(AttemptRow.number))
    )
    return {job_id: AttemptStatus(status) for job_id, status in tx.exec(query)}


def change_attempt(  # noqa: PLR0913 - a transition is before, after, who, why and when
    tx: Transaction,
    attempt_id: str,
    after: AttemptStatus,
    actor: Actor,
    cause: str,
    now: datetime,
    *,
    detail: dict[str, Any] | None = None,
    **facts: object,
) -> Attempt | None:
    """Move an attempt to another status; None, and nothing changed, when it is already final or there.

    Raises ``NotFound``, and ``NotAllowed`` when the present status cannot be followed by ``after``.
    """
    row = _attempt_row(tx, attempt_id, lock=True)
    before = AttemptStatus(row.status)
    if before.is_final or before is after:
        return None
    if after not in ATTEMPT_TRANSITIONS[before]:
        raise NotAllowed(f"An attempt that is {before.value} cannot become {after.value}.")
    row.status = after
    if after.is_final:
        row.finished_at = now
    for name, value in facts.items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()
    record(tx, row.job_id, row.id, "attempt", before, after, actor, cause, now, detail)
    return _attempt(row)


def update_attempt(tx: Transaction, attempt_id: str, **facts: object) -> None:
    """Add facts to an attempt without a change of status."""
    row = _attempt_row(tx, attempt_id, lock=True)
    for name, value in facts.items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()


def claim_intent(
    tx: Transaction, attempt_id: str, *, expected_owner: str, owner: str, now: datetime
) -> bool:
    """Take over the right to submit, if nobody else did since ``expected_owner`` was read.

    What was called off meanwhile is not submitted.
    """
    result = tx.execute(
        update(AttemptRow)
        .where(
            col(AttemptRow.id) == attempt_id,
            col(AttemptRow.intent_owner) == expected_owner,
            col(AttemptRow.cancel_requested_by) == "",
            col(AttemptRow.status).in_([AttemptStatus.RESERVED, AttemptStatus.UNKNOWN]),
        )
        .values(intent_owner=owner, intent_at=now, submits=AttemptRow.submits + 1)
        .execution_options(synchronize_session=False)
    )
    tx.expire_all()
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _attempt_row(tx: Transaction, attempt_id: str, *, lock: bool = False) -> AttemptRow:
    row = held(tx, AttemptRow, attempt_id) if lock else tx.get(AttemptRow, attempt_id)
    if row is None:
        raise NotFound("attempt", attempt_id)
    return row


def _attempt(row: AttemptRow) -> Attempt:
    facts = {name: getattr(row, name) for name in AttemptRow.model_fields}
    facts.update(
        engine=EngineName(row.engine), tier=Tier(row.tier), status=AttemptStatus(row.status)
    )
    return Attempt(**facts)
