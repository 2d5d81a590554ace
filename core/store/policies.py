"""The rules of HYBRID, each change kept with who made it and why."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from core.domain.route_policy import RoutePolicy
from core.store.engine import Transaction
from core.store.tables import PolicyRow

__all__ = ["PolicyChange", "add", "history", "in_force"]


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Rules somebody set; the newest are in force."""

    policy: RoutePolicy
    actor: str
    reason: str
    at: datetime


def add(tx: Transaction, change: PolicyChange) -> None:
    """Put rules in force for all processes."""
    tx.add(
        PolicyRow(
            rules=change.policy.as_json(), actor=change.actor, reason=change.reason, at=change.at
        )
    )


def history(tx: Transaction, *, limit: int = 20) -> tuple[PolicyChange, ...]:
    """The changes, newest first."""
    rows = tx.exec(select(PolicyRow).order_by(col(PolicyRow.id).desc()).limit(limit))
    return tuple(
        PolicyChange(RoutePolicy.from_json(r.rules), r.actor, r.reason, r.at) for r in rows
    )


def in_force(tx: Transaction) -> RoutePolicy:
    """The newest rules, or those a new installation begins with."""
    newest = history(tx, limit=1)
    return newest[0].policy if newest else RoutePolicy()
