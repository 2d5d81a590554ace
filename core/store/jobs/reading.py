"""Rows as the domain knows them."""

from typing import Any

from core.domain.documents import EngineName
from core.domain.jobs import Job, JobStatus, ParseOptions
from core.domain.money import Tier, usd_from_micros
from core.domain.routing import Mode, PlannedAttempt, RoutePlan
from core.store.tables import JobRow

__all__ = ["job_of", "plan_from_json", "plan_to_json"]


def job_of(row: JobRow) -> Job:
    """The job of a row."""
    return Job(
        id=row.id,
        submission_id=row.submission_id,
        position=row.position,
        document_sha256=row.document_sha256,
        name=row.name,
        status=JobStatus(row.status),
        mode=Mode(row.mode),
        options=ParseOptions(Tier(row.tier), row.target_pages, row.disable_cache, row.max_pages),
        plan=plan_from_json(row.plan),
        generation=row.generation,
        correlation_id=row.correlation_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        reason=row.reason,
        next_step=row.next_step,
        page_count=row.page_count,
        estimated_credits=row.estimated_credits,
        estimated_usd=usd_from_micros(row.estimated_micros),
        billed_credits=row.billed_credits,
        result_blob=row.result_blob,
        is_provisional=row.is_provisional,
        hold=row.hold,
        workflow_id=row.workflow_id,
    )


def plan_to_json(plan: RoutePlan) -> dict[str, Any]:
    """A plan as its column keeps it."""
    return {
        "reason": plan.reason,
        "is_provisional": plan.is_provisional,
        "attempts": [
            {
                "engine": a.engine,
                "tier": a.tier,
                "target_pages": list(a.target_pages),
                "credits": a.credits,
                "reason": a.reason,
                "is_provisional": a.is_provisional,
            }
            for a in plan.attempts
        ],
    }


def plan_from_json(plan: dict[str, Any]) -> RoutePlan:
    """A plan out of its column, also one that an earlier version wrote."""
    return RoutePlan(
        attempts=tuple(
            PlannedAttempt(
                EngineName(a["engine"]),
                Tier(a["tier"]),
                tuple(a["target_pages"]),
                a["credits"],
                a.get("reason", ""),
                # plans of the first versions say it of the whole
                a.get("is_provisional", plan["is_provisional"]),
            )
            for a in plan["attempts"]
        ),
        reason=plan["reason"],
    )
