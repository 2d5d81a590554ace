"""Limits as changes on record: the newest that has not expired is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from core.domain.budgets import Limit, Unit, Window
from core.errors import Overtaken
from core.store.engine import Transaction
from core.store.tables import ApprovalRow, LedgerRow, LimitChangeRow

__all__ = [
    "Approval",
    "LimitChange",
    "add_approval",
    "approval_of",
    "approvals",
    "changes",
    "in_force",
    "record",
    "revision_of",
]


@dataclass(frozen=True, slots=True)
class LimitChange:
    """Who changed which limit of which book, from what to what, why, and until when.

    ``before`` None: nothing was stored; ``after`` None: no limit any more. Dollars in millionths.
    """

    book: str
    scope: str
    window: Window
    unit: Unit
    before: int | None
    after: int | None
    actor: str
    reason: str
    at: datetime
    expires_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Approval:
    """A lead lets one generation of one job pass the limits, once, until it expires."""

    id: int
    job_id: str
    generation: int
    actor: str
    reason: str
    at: datetime
    expires_at: datetime


def in_force(
    tx: Transaction, book: str, first: Sequence[Limit], now: datetime
) -> tuple[Limit, ...]:
    """The limits of a book now: the ``first`` ones, with what a person stored on top."""
    limits = {limit.key: limit for limit in first}
    query = (
        select(LimitChangeRow).where(LimitChangeRow.book == book).order_by(col(LimitChangeRow.id))
    )
    for row in tx.exec(query):
        if row.expires_at is not None and row.expires_at <= now:
            continue
        key = (row.scope, Window(row.window), Unit(row.unit))
        if row.after is None:
            limits.pop(key, None)
        else:
            limits[key] = Limit(key[1], key[2], row.after, row.scope)
    return tuple(limits.values())


def changes(
    tx: Transaction, book: str | None = None, *, limit: int = 100
) -> tuple[LimitChange, ...]:
    """The newest changes first, of one book or of both."""
    query = select(LimitChangeRow).order_by(col(LimitChangeRow.id).desc()).limit(limit)
    if book is not None:
        query = query.where(LimitChangeRow.book == book)
    return tuple(_change(row) for row in tx.exec(query))


def revision_of(tx: Transaction, book: str, scope: str, window: Window, unit: Unit) -> int:
    """How often this limit was changed so far."""
    newest = _newest(tx, book, scope, window, unit)
    return newest.revision if newest is not None else 0


def record(tx: Transaction, change: LimitChange, seen_revision: int) -> None:
    """Store a change made by someone who saw the limit at ``seen_revision``.

    Raises ``Overtaken`` when somebody else changed it since; nothing is overwritten.
    """
    newest = _newest(tx, change.book, change.scope, change.window, change.unit)
    if newest is not None and newest.revision != seen_revision:
        raise _overtaken(newest.actor, newest.reason)
    row = LimitChangeRow(
        book=change.book,
        scope=change.scope,
        window=change.window,
        unit=change.unit,
        revision=seen_revision + 1,
        before=change.before,
        after=change.after,
        actor=change.actor,
        reason=change.reason,
        at=change.at,
        expires_at=change.expires_at,
    )
    try:
        with tx.begin_nested():
            tx.add(row)
    except IntegrityError as error:
        # on Postgres the other change may become visible only now
        raise _overtaken("somebody else", "") from error


def add_approval(tx: Transaction, approval: Approval) -> Approval:
    """Put an approval on record; it comes back with its id."""
    facts = {name: getattr(approval, name) for name in ApprovalRow.model_fields if name != "id"}
    row = ApprovalRow(**facts)
    tx.add(row)
    tx.flush()
    return Approval(id=row.id or 0, **facts)


def approval_of(tx: Transaction, job_id: str, generation: int, now: datetime) -> Approval | None:
    """The approval that lets this generation of the job pass now, if there is one.

    It is good for one reservation: once that is made, whatever comes later asks anew.
    """
    used_up = select(LedgerRow.id).where(
        LedgerRow.job_id == job_id,
        LedgerRow.kind == "reserve",
        col(LedgerRow.approval_id) == col(ApprovalRow.id),
    )
    query = (
        select(ApprovalRow)
        .where(ApprovalRow.job_id == job_id, ApprovalRow.generation == generation)
        .where(col(ApprovalRow.expires_at) > now, ~used_up.exists())
        .order_by(col(ApprovalRow.id).desc())
    )
    row = tx.exec(query).first()
    return None if row is None else _approval(row)


def approvals(tx: Transaction, *, limit: int = 50) -> tuple[Approval, ...]:
    """The newest approvals."""
    query = select(ApprovalRow).order_by(col(ApprovalRow.id).desc()).limit(limit)
    return tuple(_approval(row) for row in tx.exec(query))


def _newest(
    tx: Transaction, book: str, scope: str, window: Window, unit: Unit
) -> LimitChangeRow | None:
    query = (
        select(LimitChangeRow)
        .where(LimitChangeRow.book == book, LimitChangeRow.scope == scope)
        .where(LimitChangeRow.window == window, LimitChangeRow.unit == unit)
        .order_by(col(LimitChangeRow.revision).desc())
    )
    return tx.exec(query).first()


def _overtaken(actor: str, reason: str) -> Overtaken:
    because = f" ({reason})" if reason else ""
    return Overtaken(
        f"{actor} changed this limit while you were at it{because}.",
        "Nothing was overwritten: look at the new value, then decide again.",
    )


def _change(row: LimitChangeRow) -> LimitChange:
    return LimitChange(
        book=row.book,
        scope=row.scope,
        window=Window(row.window),
        unit=Unit(row.unit),
        before=row.before,
        after=row.after,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        expires_at=row.expires_at,
        revision=row.revision,
    )


def _approval(row: ApprovalRow) -> Approval:
    facts = {name: getattr(row, name) for name in ApprovalRow.model_fields if name != "id"}
    return Approval(id=row.id or 0, **facts)
