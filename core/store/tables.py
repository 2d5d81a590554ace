"""The tables. Rows never leave this package; domain objects and read models do."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

__all__ = [
    "AlertRow",
    "AlertTargetRow",
    "ApprovalRow",
    "AttemptRow",
    "AvailabilityRow",
    "BalanceRow",
    "DeliveryRow",
    "DocumentRow",
    "DownstreamRow",
    "HandoffRow",
    "HandoffTryRow",
    "HealthChangeRow",
    "HealthRow",
    "JobRow",
    "LedgerRow",
    "LimitChangeRow",
    "ModeRow",
    "OpenReservationRow",
    "OutcomeRow",
    "PaceRow",
    "PolicyRow",
    "PriceRow",
    "RollupRow",
    "SettingRow",
    "SubmissionRow",
    "TeamRow",
    "TransitionRow",
    "UsageRow",
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
    team: str


class JobRow(SQLModel, table=True):
    """One document with options, and how far it has come."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_status_created", "status", "created_at"),
        Index("ix_job_document", "document_sha256", "options_key"),
        # few results have stand-ins in them, and each round of the rule looks for those
        Index(
            "ix_job_stand_ins",
            "created_at",
            "id",
            sqlite_where=text("is_provisional IS 1"),
            postgresql_where=text("is_provisional IS true"),
        ),
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
    submitted_at: datetime | None = Field(index=True)
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
    """A webhook as it came in. ``event_key`` is set on accepted ones only, once per event, for ever.

    Some thousand come in a second at times. Of the indexes only two grow at random places, those on
    ``event_key`` and ``vendor_job_id``: ids begin with the time, and the others follow it.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_received", "received_at", "id"),
        Index("ix_delivery_vendor_job", "vendor_job_id", "verdict"),
        Index("ix_delivery_verdict_received", "verdict", "received_at", "id"),
        Index("ix_delivery_type_received", "event_type", "received_at", "id"),
        # what still waits to be applied is little, however much was applied already
        Index(
            "ix_delivery_waiting",
            "received_at",
            sqlite_where=text("applied_at IS NULL AND coalesce(verdict, '') = 'accepted'"),
            postgresql_where=text("applied_at IS NULL AND coalesce(verdict, '') = 'accepted'"),
        ),
        *(
            # deliveries of no known job are no part of these
            Index(
                f"ix_delivery_{name}",
                name,
                sqlite_where=text(f"{name} IS NOT NULL"),
                postgresql_where=text(f"{name} IS NOT NULL"),
            )
            for name in ("attempt_id", "job_id")
        ),
    )

    id: str = Field(primary_key=True)
    event_key: str | None = Field(unique=True)
    event_id: str
    event_type: str
    vendor_job_id: str
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
    attempt_id: str | None
    job_id: str | None
    replay_of: str
    actor: str


class LedgerRow(SQLModel, table=True):
    """An entry of the ledger; triggers refuse every update and delete.

    Each entry says by how much it changes what is reserved and what is settled; balances and
    roll-ups are sums of these columns. ``hour`` and ``day`` name the window of the *reservation* and
    never change, whatever becomes of the clock or the time zone.
    """

    __tablename__ = "ledger"
    __table_args__ = (
        # the database itself refuses a second reservation, and a second end of one
        Index(
            "ix_ledger_reserved_once",
            "attempt_id",
            unique=True,
            sqlite_where=text("kind = 'reserve'"),
            postgresql_where=text("kind = 'reserve'"),
        ),
        Index(
            "ix_ledger_closed_once",
            "attempt_id",
            unique=True,
            sqlite_where=text("kind IN ('settle', 'release')"),
            postgresql_where=text("kind IN ('settle', 'release')"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    book: str
    mode: str
    service: str
    engine: str
    tier: str
    team: str
    actor: str
    job_id: str = Field(index=True)
    attempt_id: str = Field(index=True)
    outcome: str
    is_repeat: bool
    pages: int
    reserved_credits: int = Field(sa_type=BigInteger)
    reserved_micros: int = Field(sa_type=BigInteger)
    reserved_submits: int
    settled_credits: int = Field(sa_type=BigInteger)
    settled_micros: int = Field(sa_type=BigInteger)
    settled_submits: int
    saved_micros: int = Field(sa_type=BigInteger)
    hour: str
    day: str
    page_price_id: int | None
    credit_price_id: int | None
    approval_id: int | None
    cause: str
    reserved_at: datetime
    at: datetime = Field(index=True)


class OpenReservationRow(SQLModel, table=True):
    """A reservation that is neither settled nor released; follows from the ledger."""

    __tablename__ = "open_reservation"

    attempt_id: str = Field(primary_key=True)
    entry_id: int


class BalanceRow(SQLModel, table=True):
    """What is reserved and settled in one window of one scope of a book; follows from the ledger."""

    __tablename__ = "balance"

    book: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    window: str = Field(primary_key=True)
    reserved_micros: int = Field(sa_type=BigInteger)
    settled_micros: int = Field(sa_type=BigInteger)
    reserved_submits: int = Field(sa_type=BigInteger)
    settled_submits: int = Field(sa_type=BigInteger)


class RollupRow(SQLModel, table=True):
    """Sums of the ledger by hour and by day for the Spend screen; follows from the ledger."""

    __tablename__ = "rollup"

    book: str = Field(primary_key=True)
    window: str = Field(primary_key=True)
    team: str = Field(primary_key=True)
    actor: str = Field(primary_key=True)
    service: str = Field(primary_key=True)
    engine: str = Field(primary_key=True)
    tier: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    reserved_micros: int = Field(sa_type=BigInteger)
    settled_micros: int = Field(sa_type=BigInteger)
    settled_credits: int = Field(sa_type=BigInteger)
    estimated_micros: int = Field(sa_type=BigInteger)
    saved_micros: int = Field(sa_type=BigInteger)
    pages: int = Field(sa_type=BigInteger)
    submits: int = Field(sa_type=BigInteger)


class LimitChangeRow(SQLModel, table=True):
    """A change of a limit; the newest that has not expired is in force. Never updated or deleted.

    ``revision`` counts the changes of one limit: two leads who both saw the same one collide here.
    """

    __tablename__ = "limit_change"
    __table_args__ = (UniqueConstraint("book", "scope", "window", "unit", "revision"),)

    id: int | None = Field(default=None, primary_key=True)
    book: str
    scope: str
    window: str
    unit: str
    revision: int
    before: int | None = Field(sa_type=BigInteger)
    after: int | None = Field(sa_type=BigInteger)
    actor: str
    reason: str
    at: datetime
    expires_at: datetime | None


class ApprovalRow(SQLModel, table=True):
    """A lead lets one generation of one job pass the limits. Never updated or deleted."""

    __tablename__ = "approval"

    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    generation: int
    actor: str
    reason: str
    at: datetime
    expires_at: datetime


class PriceRow(SQLModel, table=True):
    """A dated entry of the price book; a new price is a new entry. Never updated or deleted."""

    __tablename__ = "price"

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    key: str
    version: str
    valid_from: date
    amount: str | None
    actor: str
    reason: str
    at: datetime


class TeamRow(SQLModel, table=True):
    """A team that work can be booked on."""

    __tablename__ = "team"

    name: str = Field(primary_key=True)
    actor: str
    at: datetime


class AlertRow(SQLModel, table=True):
    """Something a lead was told about money; ``key`` makes it once per window."""

    __tablename__ = "alert"

    key: str = Field(primary_key=True)
    book: str
    kind: str
    what: str
    next_step: str
    at: datetime = Field(index=True)
    sent_at: datetime | None = Field(index=True)


class AlertTargetRow(SQLModel, table=True):
    """Where alerts go, as an apprise address (a secret), and how the last one fared."""

    __tablename__ = "alert_target"

    name: str = Field(primary_key=True)
    address: str
    actor: str
    added_at: datetime
    tried_at: datetime | None
    problem: str


class UsageRow(SQLModel, table=True):
    """What the vendor's usage metrics said: one record, by its id there."""

    __tablename__ = "usage_record"

    id: str = Field(primary_key=True)
    day: date = Field(index=True)
    vendor_job_id: str = Field(index=True)
    event_type: str
    pages: int
    credits: int
    recorded_at: datetime


class SettingRow(SQLModel, table=True):
    """A setting stored from the console; wins over the environment."""

    __tablename__ = "setting"

    name: str = Field(primary_key=True)
    value: str
    actor: str
    at: datetime


class SettingChangeRow(SQLModel, table=True):
    """A setting that was stored from the console or taken back; append only."""

    __tablename__ = "setting_change"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    before: str | None
    after: str | None
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
    """A process that runs workflows (``worker``) or only receives (``api``), and when it was last heard of."""

    __tablename__ = "worker"

    executor_id: str = Field(primary_key=True)
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None
    role: str


class VisitRow(SQLModel, table=True):
    """When a person was last at a screen."""

    __tablename__ = "visit"

    actor: str = Field(primary_key=True)
    seen_at: datetime


class PaceRow(SQLModel, table=True):
    """The turns that calls on one key took last, in seconds since 1970; all processes share it.

    ``asked_at`` is what the clock said when this was written: it may have been set back since.
    """

    __tablename__ = "pace"

    key: str = Field(primary_key=True)
    turns: list[float] = Field(sa_column=Column(JSON, nullable=False))
    not_before: float
    asked_at: float


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


class AvailabilityRow(SQLModel, table=True):
    """The calls to an engine in an hour that is over, summed once; kept for a week as they are."""

    __tablename__ = "availability"

    engine: str = Field(primary_key=True)
    start: datetime = Field(primary_key=True)
    calls: int
    failed: int
    slow: int
    p50_s: float | None
    p95_s: float | None


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


class DownstreamRow(SQLModel, table=True):
    """Who is told of finished jobs. Its URL and its secret are never shown in full."""

    __tablename__ = "downstream"

    id: str = Field(primary_key=True)
    url: str
    secret: str
    actor: str
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str


class HandoffRow(SQLModel, table=True):
    """One event for one downstream; tried until it is taken or given up."""

    __tablename__ = "handoff"
    __table_args__ = (
        Index("ix_handoff_due", "status", "next_at"),
        # the last columns are there to be counted without a look at the rows, which hold bodies
        Index("ix_handoff_created", "created_at", "id", "status", "event_type"),
        Index("ix_handoff_status_created", "status", "created_at", "id", "event_type"),
        Index("ix_handoff_downstream", "downstream_id", "created_at", "id", "status", "event_type"),
    )

    id: str = Field(primary_key=True)
    message_id: str
    downstream_id: str
    job_id: str = Field(index=True)
    generation: int
    event_type: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: str
    created_at: datetime
    next_at: datetime | None
    tries: int
    finished_at: datetime | None
    actor: str
    leased_until: datetime | None


class HandoffTryRow(SQLModel, table=True):
    """One request to a downstream, and its answer."""

    __tablename__ = "handoff_try"

    id: int | None = Field(default=None, primary_key=True)
    handoff_id: str = Field(index=True)
    number: int
    at: datetime
    status: int | None
    answer: str
    error: str
    took_ms: float
