"""The tables. Rows never leave this package; domain objects and read models do."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

__all__ = [
    "AttemptRow",
    "BalanceRow",
    "DeliveryRow",
    "DocumentRow",
    "HealthChangeRow",
    "HealthRow",
    "JobRow",
    "LedgerRow",
    "ModeRow",
    "OutcomeRow",
    "PaceRow",
    "PolicyRow",
    "SettingRow",
    "SubmissionRow",
    "TransitionRow",
    "VisitRow",
    "WorkerRow",
]


class DocumentRow(SQLModel, table=True):
    """A file by its content, with what pre-flight learned; the bytes are a blob of the same name."""

    __tablename__ = "document"

    sha256: str = Field(primary_key=True)
    size_bytes: int = Field(sa_type=BigInteger)
    media_type: str
    page_count: int | None
    pages: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    inspected_at: datetime
    source_url: str


class SubmissionRow(SQLModel, table=True):
    """One press of Parse. ``key`` makes a double click or a second tab find the first one."""

    __tablename__ = "submission"

    id: str = Field(primary_key=True)
    key: str = Field(unique=True)
    actor: str
    mode: str
    tier: str
    created_at: datetime = Field(index=True)
    correlation_id: str
    estimated_credits: int
    estimated_micros: int = Field(sa_type=BigInteger)


class JobRow(SQLModel, table=True):
    """One document with options, and how far it has come."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_status_created", "status", "created_at"),
        Index("ix_job_document", "document_sha256", "options_key"),
    )

    id: str = Field(primary_key=True)
    submission_id: str = Field(foreign_key="submission.id", index=True)
    position: int
    document_sha256: str = Field(foreign_key="document.sha256")
    name: str
    status: str
    mode: str
    tier: str
    target_pages: str
    disable_cache: bool
    options_key: str
    plan: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    generation: int
    correlation_id: str
    created_at: datetime = Field(index=True)
    updated_at: datetime
    finished_at: datetime | None
    reason: str
    next_step: str
    page_count: int | None
    estimated_credits: int
    estimated_micros: int = Field(sa_type=BigInteger)
    billed_credits: int | None
    result_blob: str
    is_provisional: bool
    hold: str
    workflow_id: str = Field(index=True)
    max_pages: int | None


class AttemptRow(SQLModel, table=True):
    """One engine, one tier, a set of pages, at most one vendor job; also the intent to pay."""

    __tablename__ = "attempt"
    __table_args__ = (UniqueConstraint("job_id", "generation", "number"),)

    id: str = Field(primary_key=True)
    job_id: str = Field(foreign_key="job.id")
    generation: int
    number: int
    engine: str
    tier: str
    target_pages: str
    status: str = Field(index=True)
    created_at: datetime
    intent_at: datetime | None
    intent_owner: str
    submits: int
    vendor_job_id: str | None = Field(unique=True)
    submitted_at: datetime | None
    deadline_at: datetime | None
    asked_at: datetime | None
    polls: int
    finished_at: datetime | None
    error_kind: str
    error: str
    next_step: str
    estimated_credits: int
    reported_credits: int | None
    result_blob: str
    webhook_expected: bool
    webhook_secret: str
    cancel_requested_by: str
    version: str
    retry_of: str
    is_provisional: bool = False


class TransitionRow(SQLModel, table=True):
    """A line of a job's timeline: what changed, who caused it, why."""

    __tablename__ = "transition"

    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    attempt_id: str | None
    subject: str
    before: str
    after: str
    actor: str
    cause: str
    detail: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    at: datetime


class DeliveryRow(SQLModel, table=True):
    """A webhook as it came in. ``event_key`` is set on accepted ones only, once per event, for ever."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_received", "received_at", "id"),
        Index("ix_delivery_verdict_received", "verdict", "received_at", "id"),
        Index("ix_delivery_type_received", "event_type", "received_at", "id"),
        # what still waits to be applied is little, however much was applied already
        Index(
            "ix_delivery_waiting",
            "vendor_job_id",
            sqlite_where=text("applied_at IS NULL AND verdict = 'accepted'"),
            postgresql_where=text("applied_at IS NULL AND verdict = 'accepted'"),
        ),
    )

    id: str = Field(primary_key=True)
    event_key: str | None = Field(unique=True)
    event_id: str
    event_type: str
    vendor_job_id: str = Field(index=True)
    scope: str
    verdict: str
    reason: str
    secret_label: str
    secret_fingerprint: str
    signature: str
    headers: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body_size: int
    steps: list[list[Any]] = Field(sa_column=Column(JSON, nullable=False))
    received_at: datetime
    duration_ms: float
    event_at: datetime | None
    applied_at: datetime | None
    outcome: str
    attempt_before: str
    attempt_id: str | None = Field(index=True)
    job_id: str | None = Field(index=True)
    replay_of: str
    actor: str


class LedgerRow(SQLModel, table=True):
    """An entry of the ledger; never updated, never deleted."""

    __tablename__ = "ledger"

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    mode: str
    job_id: str = Field(index=True)
    attempt_id: str = Field(index=True)
    tier: str
    actor: str
    credits: int
    micros: int = Field(sa_type=BigInteger)
    submits: int
    reserved_at: datetime
    at: datetime = Field(index=True)


class BalanceRow(SQLModel, table=True):
    """What is reserved and settled in one window of one scope; follows from the ledger."""

    __tablename__ = "balance"

    scope: str = Field(primary_key=True)
    window: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    reserved: int = Field(sa_type=BigInteger)
    settled: int = Field(sa_type=BigInteger)


class SettingRow(SQLModel, table=True):
    """A setting stored from the console; wins over the environment."""

    __tablename__ = "setting"

    name: str = Field(primary_key=True)
    value: str
    actor: str
    at: datetime


class ModeRow(SQLModel, table=True):
    """A switch of mode; the newest is in force."""

    __tablename__ = "mode"

    id: int | None = Field(default=None, primary_key=True)
    mode: str
    actor: str
    reason: str
    at: datetime


class WorkerRow(SQLModel, table=True):
    """A process that runs workflows, and when it was last heard of."""

    __tablename__ = "worker"

    executor_id: str = Field(primary_key=True)
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None


class VisitRow(SQLModel, table=True):
    """When a person was last at a screen."""

    __tablename__ = "visit"

    actor: str = Field(primary_key=True)
    seen_at: datetime


class PaceRow(SQLModel, table=True):
    """The turns that calls on one key took last, in seconds since 1970; all processes share it."""

    __tablename__ = "pace"

    key: str = Field(primary_key=True)
    turns: list[float] = Field(sa_column=Column(JSON, nullable=False))
    not_before: float


class PolicyRow(SQLModel, table=True):
    """The rules of HYBRID as somebody set them; the newest are in force."""

    __tablename__ = "policy"

    id: int | None = Field(default=None, primary_key=True)
    rules: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    actor: str
    reason: str
    at: datetime


class HealthRow(SQLModel, table=True):
    """The breaker of one engine, shared by all processes; also who probes it and when next."""

    __tablename__ = "health"

    engine: str = Field(primary_key=True)
    state: str
    since: datetime | None
    reason: str
    words: str
    until: datetime | None
    openings: int
    granted: int
    granted_at: datetime | None
    passed: int
    next_probe_at: datetime | None
    prober: str
    hold_until: datetime | None
    hold_by: str
    hold_reason: str


class OutcomeRow(SQLModel, table=True):
    """What one call to an engine came to; kept for a week."""

    __tablename__ = "outcome"
    __table_args__ = (Index("ix_outcome_engine_at", "engine", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    engine: str
    at: datetime
    operation: str
    signal: str
    seconds: float


class HealthChangeRow(SQLModel, table=True):
    """A change of an engine's health: never updated, never deleted."""

    __tablename__ = "healthchange"

    id: int | None = Field(default=None, primary_key=True)
    engine: str = Field(index=True)
    at: datetime
    before: str
    after: str
    reason: str
    actor: str
