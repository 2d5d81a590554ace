"""The life of a Job and of its Attempts: statuses, which may follow which, and who said so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.documents import EngineName
from core.domain.money import Tier
from core.domain.routing import Mode, RoutePlan

__all__ = [
    "ATTEMPT_TRANSITIONS",
    "JOB_TRANSITIONS",
    "UNKNOWN_OUTCOME",
    "Actor",
    "Attempt",
    "AttemptStatus",
    "Job",
    "JobStatus",
    "ParseOptions",
    "Submission",
    "job_status_of",
    "newest_tries",
    "newest_try",
]


class AttemptStatus(StrEnum):
    """Where one attempt stands."""

    PLANNED = "planned"
    RESERVED = "reserved"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    RUNNING = "running"
    FETCHING = "fetching"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows without a named actor."""
        return self in _FINAL_ATTEMPT


class JobStatus(StrEnum):
    """Where one job stands."""

    UPLOADED = "uploaded"
    PARSE_QUEUED = "parse_queued"
    HELD = "held"
    PARSING = "parsing"
    PARSED = "parsed"
    PARTLY_PARSED = "partly_parsed"
    HANDING_OFF = "handing_off"
    COMPLETE = "complete"
    FAILED_PARSE = "failed_parse"
    FAILED_HANDOFF = "failed_handoff"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows without a named actor."""
        return self in _FINAL_JOB

    @property
    def is_settled(self) -> bool:
        """Whether who waits for the document waits no longer: final, or only being handed on."""
        return self.is_final or self.has_result

    @property
    def has_result(self) -> bool:
        """Whether there is markdown to read."""
        return self in _WITH_RESULT


_A, _J = AttemptStatus, JobStatus
_FINAL_ATTEMPT = frozenset({_A.DONE, _A.FAILED, _A.CANCELLED})
_FINAL_JOB = frozenset(
    {_J.COMPLETE, _J.FAILED_PARSE, _J.FAILED_HANDOFF, _J.CANCELLED, _J.PARTLY_PARSED}
)
_WITH_RESULT = frozenset(
    {_J.PARSED, _J.PARTLY_PARSED, _J.HANDING_OFF, _J.COMPLETE, _J.FAILED_HANDOFF}
)
_STANDING = frozenset({_J.COMPLETE, _J.PARTLY_PARSED, _J.FAILED_HANDOFF})

ATTEMPT_TRANSITIONS: Mapping[AttemptStatus, frozenset[AttemptStatus]] = {
    _A.PLANNED: frozenset({_A.RESERVED, _A.FAILED, _A.CANCELLED}),
    _A.RESERVED: frozenset({_A.SUBMITTING, _A.FAILED, _A.CANCELLED}),
    _A.SUBMITTING: frozenset({_A.RUNNING, _A.UNKNOWN, _A.RESERVED, _A.FAILED, _A.CANCELLED}),
    _A.UNKNOWN: frozenset({_A.RUNNING, _A.SUBMITTING, _A.FAILED, _A.CANCELLED}),
    _A.RUNNING: frozenset({_A.FETCHING, _A.FAILED, _A.CANCELLED}),
    _A.FETCHING: frozenset({_A.DONE, _A.FAILED, _A.CANCELLED}),
    _A.DONE: frozenset(),
    _A.FAILED: frozenset(),
    _A.CANCELLED: frozenset(),
}
"""What may follow without opening a new attempt.

``submitting -> reserved`` is a submit that the vendor is known not to have taken (refused before
the body was sent): the intent is withdrawn and may be made again.
"""

JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    _J.UPLOADED: frozenset({_J.PARSE_QUEUED, _J.HELD, _J.CANCELLED}),
    _J.PARSE_QUEUED: frozenset({_J.PARSING, _J.HELD, _J.FAILED_PARSE, _J.CANCELLED, *_STANDING}),
    _J.HELD: frozenset({_J.PARSE_QUEUED, _J.CANCELLED, *_STANDING}),
    _J.PARSING: frozenset(
        {_J.PARSED, _J.FAILED_PARSE, _J.CANCELLED, _J.HELD, _J.PARSE_QUEUED, *_STANDING}
    ),
    _J.PARSED: frozenset({_J.HANDING_OFF, _J.COMPLETE}),
    _J.PARTLY_PARSED: frozenset({_J.HANDING_OFF, _J.COMPLETE, _J.PARSE_QUEUED, _J.HELD}),
    _J.HANDING_OFF: frozenset({_J.COMPLETE, _J.FAILED_HANDOFF}),
    _J.COMPLETE: frozenset({_J.PARSE_QUEUED, _J.HELD}),
    _J.FAILED_PARSE: frozenset({_J.PARSE_QUEUED, _J.HELD}),
    _J.FAILED_HANDOFF: frozenset({_J.HANDING_OFF, _J.PARSE_QUEUED, _J.HELD}),
    _J.CANCELLED: frozenset({_J.PARSE_QUEUED, _J.HELD}),
}
"""What may follow; out of a final state only by a named person (a retry or a re-parse).

What is parsed again may go back to the result it has.
"""


UNKNOWN_OUTCOME = "unknown_outcome"
"""The ``error_kind`` of an attempt about which a person has to decide; its money stays reserved."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused something: a person, or a part of the system such as ``system:pipeline``."""

    name: str
    is_authenticated: bool = False

    @property
    def is_person(self) -> bool:
        """Whether a person stands behind it."""
        return not self.name.startswith("system:")

    def __str__(self) -> str:
        """The name as it is recorded and shown."""
        return (
            self.name
            if self.is_authenticated or not self.is_person
            else f"{self.name} (not logged in)"
        )


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """What was asked of the parse: everything that changes the result or its price.

    ``max_pages`` is the ceiling for a document whose length nobody knows before it is parsed.
    """

    tier: Tier = Tier.AGENTIC
    target_pages: str = ""
    disable_cache: bool = False
    max_pages: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One engine, one tier, a set of pages, at most one vendor job.

    ``version`` is the tier's version that was ordered; ``retry_of`` names the failed attempt of the
    same generation that this one was opened for by rule.
    """

    id: str
    job_id: str
    generation: int
    number: int
    engine: EngineName
    tier: Tier
    target_pages: str
    status: AttemptStatus
    created_at: datetime
    intent_at: datetime | None = None
    intent_owner: str = ""
    submits: int = 0
    vendor_job_id: str | None = None
    submitted_at: datetime | None = None
    deadline_at: datetime | None = None
    asked_at: datetime | None = None
    polls: int = 0
    finished_at: datetime | None = None
    error_kind: str = ""
    error: str = ""
    next_step: str = ""
    estimated_credits: int = 0
    reported_credits: int | None = None
    result_blob: str = ""
    webhook_expected: bool = False
    webhook_secret: str = ""
    cancel_requested_by: str = ""
    version: str = ""
    retry_of: str = ""
    is_provisional: bool = False

    @property
    def is_called_off(self) -> bool:
        """Whether a person asked to stop it."""
        return bool(self.cancel_requested_by) and Actor(self.cancel_requested_by).is_person


@dataclass(frozen=True, slots=True)
class Job:
    """One document with options, and how far it has come."""

    id: str
    submission_id: str
    position: int
    document_sha256: str
    name: str
    status: JobStatus
    mode: Mode
    options: ParseOptions
    plan: RoutePlan
    generation: int
    correlation_id: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    reason: str = ""
    next_step: str = ""
    page_count: int | None = None
    estimated_credits: int = 0
    estimated_usd: Decimal = Decimal(0)
    billed_credits: int | None = None
    result_blob: str = ""
    is_provisional: bool = False
    hold: str = ""
    workflow_id: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """One press of Parse: who, when, at what price, which jobs."""

    id: str
    actor: str
    mode: Mode
    tier: Tier
    created_at: datetime
    correlation_id: str
    estimated_credits: int
    estimated_usd: Decimal
    job_ids: tuple[str, ...] = field(default=())
    team: str = ""


def newest_try(attempt: Attempt, attempts: Iterable[Attempt]) -> Attempt:
    """The attempt, or the last of the retries among ``attempts`` that the rule opened for it."""
    retries = {each.retry_of: each for each in attempts if each.retry_of}
    while attempt.id in retries:
        attempt = retries[attempt.id]
    return attempt


def newest_tries(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Of each attempt and the retries that the rule opened for it, the last one, in order."""
    found = list(attempts)
    tried_again = {attempt.retry_of for attempt in found}
    return tuple(attempt for attempt in found if attempt.id not in tried_again)


def job_status_of(attempts: Iterable[AttemptStatus], *, failed_pages: bool = False) -> JobStatus:
    """What a job's status is, given the attempts of its present generation.

    ``failed_pages`` says that an engine returned a result in which single pages failed.
    """
    states = list(attempts)
    if not states or all(state in {_A.PLANNED, _A.RESERVED} for state in states):
        return _J.PARSE_QUEUED
    if not all(state.is_final for state in states):
        return _J.PARSING
    done = [state for state in states if state is _A.DONE]
    if len(done) == len(states):
        return _J.PARTLY_PARSED if failed_pages else _J.PARSED
    if done:
        return _J.PARTLY_PARSED
    return _J.CANCELLED if all(state is _A.CANCELLED for state in states) else _J.FAILED_PARSE
