"""Driving one attempt: look at its row, do the one thing that is due, say when to look again.

The rows are the truth; the durable workflow around this is only the alarm clock. That is why a crash
at any point, a second worker and an upgrade all end the same way: somebody looks at the row again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from core.clock import Clock, new_id
from core.domain.budgets import book_of
from core.domain.documents import EngineName, ParsedDocument
from core.domain.jobs import (
    Actor,
    Attempt,
    AttemptStatus,
    Job,
    JobStatus,
    newest_tries,
)
from core.domain.money import Tier, usd_from_micros
from core.domain.quality import with_receipt
from core.domain.routing import MAX_PAGES_UNKNOWN, Mode
from core.engines.protocol import (
    Content,
    EngineJob,
    EngineStatus,
    ParseEngine,
    ParseOrder,
    WebhookTarget,
)
from core.errors import ConsoleError, NotAllowed, UpstreamError, UpstreamKind
from core.pipeline.admission import Rules, open_retry
from core.pipeline.handoff import begin
from core.pipeline.results import dump, load
from core.pipeline.stand_ins import as_provisional, open_stand_ins, outcome_of
from core.store import Store, Transaction, alerts, deliveries, documents, jobs, ledger, prices
from core.telemetry import correlated, log
from core.webhooks.signatures import SigningSecret

__all__ = ["SYSTEM", "UNKNOWN_OUTCOME", "Driver", "Resources"]

SYSTEM = Actor("system:pipeline", is_authenticated=True)


UNKNOWN_OUTCOME = "unknown_outcome"
"""The ``error_kind`` of an attempt about which a person has to decide; its money stays reserved."""


@dataclass(frozen=True, slots=True)
class _Patience:
    """How long a request may stay on the wire after its timeout, and the time between two listings.

    Also how long a retry by rule waits, and by how much the waits for a late result are shortened.
    """

    margin: timedelta
    between_listings: timedelta
    before_retry: timedelta
    haste: float = 1.0


_FAR = _Patience(timedelta(seconds=30), timedelta(seconds=20), timedelta(seconds=30))
# Between two ports of one machine nothing stays on the wire.
_LOOPBACK = _Patience(timedelta(seconds=3), timedelta(seconds=2), timedelta(seconds=1), haste=20.0)
_DEADLINE_RULE = "system:deadline"
_OVERDUE_RETRIES = 1
# Five minutes in all: the result of a completed job has been seen to come late, and never.
_RESULT_WAITS_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
_SETTLES_IN = timedelta(minutes=2)
_MAX_SUBMITS = 3
_WORTH_TELLING_S = 2.0
_LISTINGS_NEEDED = 2
_STALLING = {UpstreamKind.UNAUTHORIZED, UpstreamKind.QUOTA, UpstreamKind.SIMULATOR}
_NOT_ASKED = _STALLING | {UpstreamKind.CONFLICT}
_DEADLINE = timedelta(hours=2)
_BYTES_PER_SECOND = 256 * 1024
_NO_MORE: float | None = None
"""The attempt has ended and needs no further look."""


class Blobs(Protocol):
    """The part of the blob store that the driver uses."""

    def put(self, data: bytes) -> str:
        """Store bytes, answer their SHA-256."""

    def get(self, sha256: str) -> bytes:
        """The bytes again."""

    def content(self, sha256: str, size_bytes: int) -> Content:
        """The bytes as a stream or a file."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the pipeline works with; built by the composition root."""

    store: Store
    blobs: Blobs
    engine_of: Callable[[Mode, EngineName], ParseEngine]
    webhook_of: Callable[[Mode], WebhookTarget | None]
    rules: Callable[[], Rules]
    timeout_s: float
    concurrency: int
    clock: Clock
    close_engines: Callable[[], Any] = field(default=lambda: None)
    gate: Callable[[Mode, EngineName], str] = field(default=lambda _mode, _engine: "")
    """May a document be sent now: empty, or why not."""
    stands_in: Callable[[Job], bool] = field(default=lambda _job: True)
    """Whether the local engine can read a job's document, should it have to stand in."""
    paused: Callable[[float], object] = field(default=lambda _seconds: None)
    """Hears for how many seconds the vendor asked not to be called."""
    room: Callable[[int], int] = field(default=lambda _at_most: 0)
    """How many of the jobs that wait for the vendor may be let go now."""
    text_layer: Callable[[Job], Mapping[int, str]] = field(default=lambda _job: {})
    """The text of a job's document by page, where the page has a sound text layer."""
    also_care: Callable[[], None] = field(default=lambda: None)
    """What else is done in each round of the care."""


class Driver:
    """Moves attempts along. Belongs to the event loop it is first used on."""

    def __init__(self, resources: Resources, executor_id: str) -> None:
        self._r = resources
        self._executor_id = executor_id
        # bounds submits and fetches; waiting for the vendor takes no place
        self._busy = asyncio.Semaphore(resources.concurrency)
        self._log = log("pipeline")

    async def attempts_of(self, job_id: str, generation: int) -> list[str]:
        """Ids of the attempts to drive, in order."""

        def read() -> list[str]:
            with self._r.store.read() as tx:
                # a retry by rule is driven in place of the attempt that it is for
                return [a.id for a in jobs.attempts(tx, job_id, generation) if not a.retry_of]

        return await asyncio.to_thread(read)

    async def advance(self, attempt_id: str) -> float | None:
        """Do what is due; seconds until the next look, or None when the attempt needs none.

        An attempt that was tried again by rule stands for its newest retry.
        """
        job, attempt = await asyncio.to_thread(self._newest, attempt_id)
        with correlated(job.correlation_id, job_id=job.id, attempt_id=attempt.id):
            match attempt.status:
                case AttemptStatus.RESERVED:
                    return await self._begin_or_wait(job, attempt)
                case AttemptStatus.SUBMITTING:
                    return await self._doubt(job, attempt, "the process ended while it was sending")
                case AttemptStatus.UNKNOWN:
                    return await self._resolve(job, attempt)
                case AttemptStatus.RUNNING:
                    return await self._check(job, attempt)
                case AttemptStatus.FETCHING:
                    return await self._fetch(job, attempt)
                case _:
                    return None

    async def conclude(self, job_id: str, generation: int) -> str:
        """Give the job the status that follows from its attempts; its result, when it has one."""
        await asyncio.to_thread(self._begin_ended, job_id, generation)
        for attempt_id in await asyncio.to_thread(self._stand_ins, job_id, generation):
            await self._to_its_end(attempt_id)
        return await asyncio.to_thread(self._conclude, job_id, generation)

    async def _to_its_end(self, attempt_id: str) -> None:
        wait_s = await self.advance(attempt_id)
        while wait_s is not None:
            await asyncio.sleep(wait_s)
            wait_s = await self.advance(attempt_id)

    async def give_up(self, attempt_id: str, what: str) -> None:
        """End an attempt that met the same unexpected error again and again."""
        job, attempt = await asyncio.to_thread(self._newest, attempt_id)
        if attempt.status in {AttemptStatus.SUBMITTING, AttemptStatus.UNKNOWN}:
            step = "Look for it in LlamaParse's own history; retry when it is not there."
            await self._fail(job, attempt, UNKNOWN_OUTCOME, what, step, release=False)
        elif not attempt.status.is_final:
            await self._fail(
                job, attempt, "internal", what, "Retry it; if it fails again, see the log."
            )

    # -- reserved ---------------------------------------------------------------------------------

    async def _begin_or_wait(self, job: Job, attempt: Attempt) -> float | None:
        closed = await asyncio.to_thread(self._r.gate, job.mode, attempt.engine)
        if closed and not attempt.cancel_requested_by:
            return await self._closed(job, attempt, closed)
        return await self._submit(job, attempt)

    async def _submit(
        self, job: Job, attempt: Attempt, owner_before: str | None = None
    ) -> float | None:
        if attempt.cancel_requested_by and attempt.status is AttemptStatus.RESERVED:
            return await self._cancelled(job, attempt, attempt.cancel_requested_by)
        engine = self._r.engine_of(job.mode, attempt.engine)
        # before the intent: from then on the request must be on its way within its timeout
        try:
            version = attempt.version or await self._version(job, engine, attempt.tier)
        except UpstreamError as error:
            if attempt.status is AttemptStatus.UNKNOWN:
                return error.retry_after_s or 15.0
            return await self._not_taken(job, attempt, error)
        await self._wait_for_turn(job, await engine.turn())
        async with self._busy:
            # whatever can fail on our side fails before the intent is recorded
            order = await asyncio.to_thread(self._order, job, attempt, version)
            intent_at = await asyncio.to_thread(self._claim, job, attempt, owner_before, version)
            if intent_at is None:
                return 1.0
            send_by = intent_at + _patience(job).margin / 2
            try:
                taken = await engine.submit(replace(order, send_by=send_by))
            except UpstreamError as error:
                return await self._not_taken(job, attempt, error)
        has_event = await asyncio.to_thread(
            self._taken, attempt, taken, order.webhook is not None, "accepted"
        )
        self._log.info("submitted", vendor_job_id=taken.vendor_job_id)
        return (
            0.0
            if has_event or taken.status.is_final
            else _next_poll(attempt, order.webhook is not None)
        )

    async def _version(self, job: Job, engine: ParseEngine, tier: Tier) -> str:
        known = engine.known_version(tier)
        if known is not None:
            return known
        await self._wait_for_turn(job, await engine.turn())
        return await engine.ask_version(tier)

    async def _closed(self, job: Job, attempt: Attempt, why: str) -> float | None:
        """LlamaParse cannot be used now: the job waits, or in HYBRID goes on here if it can."""
        if job.mode is Mode.HYBRID and await asyncio.to_thread(self._r.stands_in, job):
            await asyncio.to_thread(self._begin, job, why)
            step = "Parse it again when LlamaParse is back, if it matters."
            return await self._fail(job, attempt, "unavailable", why, step)
        step = "It goes on by itself when LlamaParse can be used again."
        error = UpstreamError(UpstreamKind.CONNECTION, why, step)
        await asyncio.to_thread(self._hold, job, attempt, error)
        return None

    def _begin(self, job: Job, cause: str) -> None:
        with self._r.store.write() as tx:
            if jobs.job(tx, job.id).status is JobStatus.PARSE_QUEUED:
                jobs.change_job(
                    tx, job.id, JobStatus.PARSING, SYSTEM, cause, self._r.clock(), reason=""
                )

    def _begin_ended(self, job_id: str, generation: int) -> None:
        """Attempts can end before one was sent: their job ends too, and is not queued for ever."""
        with self._r.store.write() as tx:
            job = jobs.job(tx, job_id)
            if job.status is not JobStatus.PARSE_QUEUED or job.generation != generation:
                return
            ended = [a.status.is_final for a in jobs.attempts(tx, job_id, generation)]
            if ended and all(ended):
                cause, now = "its attempts ended before one was sent", self._r.clock()
                jobs.change_job(tx, job_id, JobStatus.PARSING, SYSTEM, cause, now)

    async def _wait_for_turn(self, job: Job, wait_s: float) -> None:
        if wait_s <= 0:
            return
        if wait_s > _WORTH_TELLING_S:
            until = self._r.clock() + timedelta(seconds=wait_s)
            reason = (
                f"Waits for its turn until {until:%H:%M:%S} UTC: calls to LlamaParse are paced."
            )
            await asyncio.to_thread(self._tell, job.id, reason)
        await asyncio.sleep(wait_s)

    def _tell(self, job_id: str, reason: str) -> None:
        with self._r.store.write() as tx:
            jobs.update_job(tx, job_id, reason=reason, next_step="")

    def _claim(
        self, job: Job, attempt: Attempt, owner_before: str | None, version: str
    ) -> datetime | None:
        """Record the intent, unless somebody else did; the moment it was recorded."""
        now = self._r.clock()
        with self._r.store.write() as tx:
            owner = new_id(self._executor_id)
            expected = attempt.intent_owner if owner_before is None else owner_before
            if not jobs.claim_intent(tx, attempt.id, expected_owner=expected, owner=owner, now=now):
                return None
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.SUBMITTING,
                SYSTEM,
                f"intent recorded, version {version}" if version else "intent recorded",
                now,
                webhook_secret=self._signs_with(job, attempt),
                version=version,
            )
            if jobs.job(tx, job.id).status is JobStatus.PARSE_QUEUED:
                jobs.change_job(
                    tx, job.id, JobStatus.PARSING, SYSTEM, "first attempt begins", now, reason=""
                )
        return now

    def _signs_with(self, job: Job, attempt: Attempt) -> str:
        """Which secret the vendor is given for this attempt's events, by its fingerprint."""
        target = self._r.webhook_of(job.mode)
        if target is None or attempt.engine is not EngineName.LLAMAPARSE:
            return ""
        return SigningSecret("given to the vendor", target.secret).fingerprint

    def _order(self, job: Job, attempt: Attempt, version: str = "") -> ParseOrder:
        with self._r.store.read() as tx:
            document = documents.find(tx, job.document_sha256)
        if document is None:
            raise NotAllowed(f"{job.name} has no stored document.")
        return ParseOrder(
            attempt_id=attempt.id,
            name=job.name,
            media_type=document.media_type,
            content=None
            if document.source_url
            else self._r.blobs.content(document.sha256, document.size_bytes),
            tier=attempt.tier,
            version=version or "latest",
            source_url=document.source_url,
            page_count=document.page_count,
            target_pages=attempt.target_pages,
            max_pages=(job.options.max_pages or MAX_PAGES_UNKNOWN)
            if document.page_count is None
            else None,
            deadline_s=_DEADLINE.total_seconds(),
            disable_cache=job.options.disable_cache,
            webhook=self._r.webhook_of(job.mode)
            if attempt.engine is EngineName.LLAMAPARSE
            else None,
        )

    def _taken(self, attempt: Attempt, taken: EngineJob, webhook: bool, cause: str) -> bool:
        """Store the vendor's id; true when an event for it came in before."""
        now = self._r.clock()
        with self._r.store.write() as tx:
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.RUNNING,
                SYSTEM,
                f"{cause} as {taken.vendor_job_id}",
                now,
                detail={"vendor_job_id": taken.vendor_job_id},
                vendor_job_id=taken.vendor_job_id,
                submitted_at=now,
                deadline_at=now + _DEADLINE,
                webhook_expected=webhook,
                asked_at=now,
                polls=0,
            )
            jobs.update_job(tx, attempt.job_id, reason="", next_step="")
        # after the commit: whoever records an event meanwhile looks for its job after theirs
        with self._r.store.read() as tx:
            return deliveries.is_waiting(tx, taken.vendor_job_id)

    async def _not_taken(self, job: Job, attempt: Attempt, error: UpstreamError) -> float | None:
        if error.outcome_unknown:
            return await self._doubt(job, attempt, error.what)
        if error.retry_after_s:
            self._r.paused(error.retry_after_s)
        if error.kind in _STALLING:
            if job.mode is Mode.HYBRID and await asyncio.to_thread(self._r.stands_in, job):
                await asyncio.to_thread(self._begin, job, error.what)
                return await self._fail(job, attempt, error.kind, error.what, error.next_step)
            await asyncio.to_thread(self._hold, job, attempt, error)
            return None
        if not error.retryable:
            return await self._refused(job, attempt, error)
        wait = error.retry_after_s or min(60.0, 2.0 ** min(attempt.polls, 6))
        await asyncio.to_thread(self._withdraw, job, attempt, error)
        return wait

    def _withdraw(self, job: Job, attempt: Attempt, error: UpstreamError) -> None:
        now = self._r.clock()
        with self._r.store.write() as tx:
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.RESERVED,
                SYSTEM,
                error.what,
                now,
                detail=_said_by(error),
                # known not to be taken: only submits whose outcome is not known are counted
                submits=attempt.submits,
            )
            jobs.update_attempt(tx, attempt.id, polls=attempt.polls + 1)
            jobs.update_job(tx, job.id, reason=error.what, next_step=error.next_step)

    def _hold(self, job: Job, attempt: Attempt, error: UpstreamError) -> None:
        now = self._r.clock()
        with self._r.store.write() as tx:
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.RESERVED,
                SYSTEM,
                error.what,
                now,
                detail=_said_by(error),
                submits=attempt.submits,
            )
            if jobs.job(tx, job.id).status is JobStatus.HELD:
                return
            jobs.change_job(
                tx,
                job.id,
                JobStatus.HELD,
                SYSTEM,
                error.what,
                now,
                reason=error.what,
                next_step=error.next_step,
                hold="vendor",
            )

    # -- unknown ----------------------------------------------------------------------------------

    async def _doubt(self, job: Job, attempt: Attempt, cause: str) -> float:
        def write() -> None:
            with self._r.store.write() as tx:
                reason = "It is not known whether LlamaParse took it; looking for it."
                jobs.change_attempt(
                    tx,
                    attempt.id,
                    AttemptStatus.UNKNOWN,
                    SYSTEM,
                    cause,
                    self._r.clock(),
                    polls=0,
                    asked_at=None,
                )
                jobs.update_job(tx, job.id, reason=reason, next_step="")

        await asyncio.to_thread(write)
        return 0.0

    async def _resolve(self, job: Job, attempt: Attempt) -> float | None:
        """Adopt the vendor job that carries the attempt's id; submit again only by the rule."""
        engine, began = self._r.engine_of(job.mode, attempt.engine), self._r.clock()
        try:
            found = await engine.find(attempt.id, attempt.created_at)
        except UpstreamError as error:
            return error.retry_after_s or 15.0
        if found is not None:
            has_webhook = self._r.webhook_of(job.mode) is not None
            await asyncio.to_thread(
                self._taken, attempt, found, has_webhook, "found at the vendor, adopted"
            )
            return 0.0
        return await self._resubmit(job, attempt, began)

    async def _resubmit(self, job: Job, attempt: Attempt, listed_at: datetime) -> float | None:
        """Judge by a listing that began at ``listed_at``, was complete, and did not show the job."""
        document_s = await asyncio.to_thread(self._upload_s, job)
        patience = _patience(job)
        arrives_until = (attempt.intent_at or attempt.created_at) + document_s + patience.margin
        if listed_at < arrives_until:
            # the request may have come in after this listing began
            return max(1.0, min(15.0, (arrives_until - listed_at).total_seconds()))
        apart = patience.between_listings
        if attempt.asked_at is not None and listed_at < attempt.asked_at + apart:
            # looked at too soon, woken by a nudge: it counts no more than the one before
            return max(1.0, (attempt.asked_at + apart - listed_at).total_seconds())
        listings = attempt.polls + 1
        await asyncio.to_thread(self._update, attempt.id, polls=listings, asked_at=listed_at)
        if listings < _LISTINGS_NEEDED:
            return apart.total_seconds()
        if attempt.submits >= _MAX_SUBMITS:
            what = "The outcome of the submit stayed unknown after three tries."
            step = "Look for it in LlamaParse's own history; retry when it is not there."
            return await self._fail(job, attempt, UNKNOWN_OUTCOME, what, step, release=False)
        if attempt.cancel_requested_by:
            return await self._cancelled(job, attempt, attempt.cancel_requested_by)
        return await self._submit(job, attempt, attempt.intent_owner)

    def _upload_s(self, job: Job) -> timedelta:
        with self._r.store.read() as tx:
            document = documents.find(tx, job.document_sha256)
        size = document.size_bytes if document else 0
        return timedelta(seconds=self._r.timeout_s + size / _BYTES_PER_SECOND)

    # -- running ----------------------------------------------------------------------------------

    async def _check(self, job: Job, attempt: Attempt) -> float | None:
        engine = self._r.engine_of(job.mode, attempt.engine)
        vendor_job_id = attempt.vendor_job_id or ""
        try:
            if attempt.cancel_requested_by:
                await engine.cancel(vendor_job_id)
            order = await asyncio.to_thread(self._order, job, attempt, attempt.version)
            async with self._busy:
                said = await engine.look(vendor_job_id, order)
        except UpstreamError as error:
            if error.retryable or error.kind in _NOT_ASKED or self._is_new(attempt, error):
                # not asked is not failed: nothing is decided while the vendor cannot be reached
                await asyncio.to_thread(self._not_asked, job, attempt, error)
                return error.retry_after_s or min(60.0, 5.0 * (attempt.polls + 1))
            return await self._refused(job, attempt, error)
        return await self._said(job, attempt, said)

    def _is_new(self, attempt: Attempt, error: UpstreamError) -> bool:
        """Whether the service may just not know yet what it took a moment ago."""
        taken_at = attempt.submitted_at or attempt.created_at
        return error.kind is UpstreamKind.NOT_FOUND and self._r.clock() < taken_at + _SETTLES_IN

    def _not_asked(self, job: Job, attempt: Attempt, error: UpstreamError) -> None:
        what, step = error.what, error.next_step
        if attempt.cancel_requested_by and error.kind is UpstreamKind.CONFLICT:
            what = "LlamaParse refuses to cancel the job, and does not end it either."
            step = "It is asked again; LlamaParse's support can say what it does."
        with self._r.store.write() as tx:
            jobs.update_attempt(tx, attempt.id, polls=attempt.polls + 1)
            jobs.update_job(tx, job.id, reason=what, next_step=step)

    async def _said(self, job: Job, attempt: Attempt, said: EngineJob) -> float | None:
        match said.status:
            case EngineStatus.COMPLETED:
                return await asyncio.to_thread(self._completed, job, attempt, said.result)
            case EngineStatus.CANCELLED:
                if attempt.cancel_requested_by == _DEADLINE_RULE:
                    return await self._overdue(job, attempt)
                return await self._cancelled(
                    job, attempt, attempt.cancel_requested_by or "the vendor"
                )
            case EngineStatus.FAILED:
                code = said.error_code or "vendor_failure"
                return await self._fail(
                    job,
                    attempt,
                    code,
                    said.error_message or code,
                    said.next_step,
                    retries=said.retries,
                )
        now = self._r.clock()
        deadline = _deadline(attempt, now)
        await asyncio.to_thread(self._still_running, job, attempt, said, deadline)
        if now > deadline and not attempt.cancel_requested_by:
            await asyncio.to_thread(self._update, attempt.id, cancel_requested_by=_DEADLINE_RULE)
            self._log.warning("deadline passed", job_id=job.id)
            return 0.0
        return _next_poll(attempt, attempt.webhook_expected)

    async def _overdue(self, job: Job, attempt: Attempt) -> float | None:
        """The deadline passed, and that the job is cancelled is confirmed: it cannot cost twice."""
        what = "LlamaParse did not finish it in time, so it was cancelled there."
        step = "Retry it, or split the document into parts."
        return await self._fail(job, attempt, "overdue", what, step, retries=_OVERDUE_RETRIES)

    def _still_running(
        self, job: Job, attempt: Attempt, said: EngineJob, deadline: datetime
    ) -> None:
        now = self._r.clock()
        with self._r.store.write() as tx:
            jobs.update_attempt(
                tx, attempt.id, polls=attempt.polls + 1, asked_at=now, deadline_at=deadline
            )
            jobs.update_job(tx, job.id, reason="", next_step="")
            self._apply_events(tx, job, attempt, f"asked: {said.status.value}")

    def _completed(self, job: Job, attempt: Attempt, result: ParsedDocument | None) -> float | None:
        self._follow(job, attempt, AttemptStatus.FETCHING, "completed")
        if result is None:
            return 0.0
        self._keep(job, attempt, result)
        return _NO_MORE

    def _follow(self, job: Job, attempt: Attempt, after: AttemptStatus, answer: str) -> None:
        """One transaction: the events are applied and the attempt moves because of them."""
        with self._r.store.write() as tx:
            applied = self._apply_events(tx, job, attempt, f"asked: {answer}")
            cause = f"the vendor said {answer}" + (
                ", told by a webhook" if applied else ", asked by polling"
            )
            jobs.change_attempt(tx, attempt.id, after, SYSTEM, cause, self._r.clock(), polls=0)
            jobs.update_job(tx, job.id, reason="", next_step="")

    def _apply_events(self, tx: Transaction, job: Job, attempt: Attempt, outcome: str) -> int:
        now = self._r.clock()
        scope = "mock" if job.mode is Mode.MOCK else "real"
        applied = deliveries.apply(
            tx,
            attempt.vendor_job_id or "",
            scope,
            job_id=job.id,
            attempt_id=attempt.id,
            outcome=outcome,
            at=now,
        )
        for event in applied:
            jobs.note(
                tx,
                job.id,
                "webhook",
                event.event_type,
                SYSTEM,
                f"event {event.event_id[:8]}… verified{event.marks}{_after(event.event_at, event.received_at)}",
                event.received_at,
                attempt_id=attempt.id,
                detail={"delivery_id": event.id, "event_id": event.event_id, "outcome": outcome},
            )
        return len(applied)

    # -- fetching ---------------------------------------------------------------------------------

    async def _fetch(self, job: Job, attempt: Attempt) -> float | None:
        engine = self._r.engine_of(job.mode, attempt.engine)
        order = await asyncio.to_thread(self._order, job, attempt, attempt.version)
        async with self._busy:
            try:
                result = await engine.fetch(attempt.vendor_job_id or "", order)
            except UpstreamError as error:
                looks = len(_RESULT_WAITS_S) if error.kind is UpstreamKind.RESULT_MISSING else 0
                if error.retryable or error.kind in _STALLING or attempt.polls < looks:
                    await asyncio.to_thread(self._not_asked, job, attempt, error)
                    return error.retry_after_s or _result_wait_s(job, attempt)
                return await self._refused(job, attempt, error)
            except ConsoleError as error:
                return await self._fail(job, attempt, "document", error.what, error.next_step)
            await asyncio.to_thread(self._keep, job, attempt, result)
        return _NO_MORE

    def _keep(self, job: Job, attempt: Attempt, result: ParsedDocument) -> None:
        if attempt.is_provisional:
            result = as_provisional(result)
        blob = self._r.blobs.put(dump(result))
        now = self._r.clock()
        with self._r.store.write() as tx:
            jobs.change_attempt(
                tx,
                attempt.id,
                AttemptStatus.DONE,
                SYSTEM,
                f"{len(result.pages)} pages stored",
                now,
                result_blob=blob,
                reported_credits=result.credits,
            )
            jobs.update_job(tx, job.id, reason="", next_step="")
            if result.credits is not None or attempt.engine is EngineName.LOCAL:
                self._settle(tx, job, attempt, result.credits or 0, now, len(result.pages))

    def _settle(  # noqa: PLR0913 - what was billed, for what, when
        self,
        tx: Transaction,
        job: Job,
        attempt: Attempt,
        credits_: int,
        now: datetime,
        pages: int | None = None,
    ) -> None:
        """Bring the ledger to what the attempt was billed; said again it changes nothing."""
        fresh = jobs.attempt(tx, attempt.id)
        what = ledger.Bill(
            credits_,
            outcome=fresh.status.value,
            was_sent=fresh.submits > 0,
            cause=f"{fresh.status.value}, {credits_} credits billed",
            pages=pages,
        )
        entry = ledger.bill(tx, attempt.id, what, prices.book(tx), now)
        if entry is not None and entry.over_micros:
            over = f"billed ${usd_from_micros(entry.over_micros):.4f} more than was reserved"
            jobs.note(tx, job.id, "money", "over", SYSTEM, over, now, attempt_id=attempt.id)
            key, words = f"over:{attempt.id}", f"{job.name} was {over}."
            step = "The limits count what was billed; look at its receipt."
            alerts.record(tx, alerts.Alert(key, book_of(job.mode), "over", words, step, now))
            self._log.warning("billed more than reserved", over_micros=entry.over_micros)
        jobs.update_job(tx, job.id, billed_credits=ledger.billed_credits(tx, job.id))

    async def settle_late(self, attempt_id: str) -> bool:
        """Ask what a finished attempt was billed, when that was not known at once."""
        job, attempt = await asyncio.to_thread(self._facts, attempt_id)
        engine = self._r.engine_of(job.mode, attempt.engine)
        try:
            said = await engine.status(attempt.vendor_job_id or "")
        except UpstreamError:
            return False
        if said.credits is None:
            return False
        await asyncio.to_thread(self._bill, job, attempt, said.credits)
        return True

    def _bill(self, job: Job, attempt: Attempt, credits_: int) -> None:
        with self._r.store.write() as tx:
            jobs.update_attempt(tx, attempt.id, reported_credits=credits_)
            self._settle(tx, job, attempt, credits_, self._r.clock())

    # -- ends -------------------------------------------------------------------------------------

    async def _refused(self, job: Job, attempt: Attempt, error: UpstreamError) -> float | None:
        what = error.what
        if error.kind is UpstreamKind.INVALID and error.vendor_message:
            what = f"{what} It said: {error.vendor_message}"
        said = _said_by(error)
        return await self._fail(job, attempt, error.kind, what, error.next_step, said=said)

    async def _fail(  # noqa: PLR0913 - what failed, why, what to do, what of the money
        self,
        job: Job,
        attempt: Attempt,
        kind: str,
        what: str,
        next_step: str,
        *,
        release: bool = True,
        retries: int = 0,
        said: dict[str, object] | None = None,
    ) -> float | None:
        def write() -> bool:
            now = self._r.clock()
            with self._r.store.write() as tx:
                applied = (
                    self._apply_events(tx, job, attempt, "asked: failed")
                    if attempt.vendor_job_id
                    else 0
                )
                via = ", told by a webhook" if applied else ""
                ended = jobs.change_attempt(
                    tx,
                    attempt.id,
                    AttemptStatus.FAILED,
                    SYSTEM,
                    f"{what}{via}",
                    now,
                    detail=said,
                    error_kind=str(kind),
                    error=what,
                    next_step=next_step,
                )
                # what a vendor job cost is settled when the vendor says so, also when it failed
                if release and attempt.vendor_job_id is None:
                    self._settle(tx, job, attempt, 0, now)
                return ended is not None and self._try_again(tx, ended, retries, now)

        tried_again = await asyncio.to_thread(write)
        self._log.warning("attempt failed", kind=str(kind), tried_again=tried_again)
        return _patience(job).before_retry.total_seconds() if tried_again else _NO_MORE

    def _try_again(self, tx: Transaction, failed: Attempt, retries: int, now: datetime) -> bool:
        """By rule, a new attempt with an intent of its own: as often as the failure is worth it."""
        job = jobs.job(tx, failed.job_id)
        count = _tries_before(jobs.attempts(tx, job.id, failed.generation), failed) + 1
        if count > retries or failed.generation != job.generation or job.status.is_final:
            return False
        if failed.cancel_requested_by not in {"", _DEADLINE_RULE}:
            return False
        cause = f"retry {count} of {retries} by rule, after: {failed.error_kind}"
        refusal = open_retry(tx, job, failed, self._r.rules(), cause, now)
        if refusal:
            step = f"It was not tried again by rule: {refusal} Retry it when the limit allows."
            jobs.update_attempt(tx, failed.id, next_step=step)
            return False
        reason = f"{failed.error} It is tried again ({count} of {retries})."
        jobs.update_job(tx, job.id, reason=reason, next_step="")
        return True

    async def _cancelled(self, job: Job, attempt: Attempt, by: str) -> float | None:
        def write() -> None:
            now = self._r.clock()
            with self._r.store.write() as tx:
                if attempt.vendor_job_id:
                    self._apply_events(tx, job, attempt, "asked: cancelled")
                jobs.change_attempt(
                    tx,
                    attempt.id,
                    AttemptStatus.CANCELLED,
                    Actor(by, is_authenticated=True),
                    "cancelled",
                    now,
                )
                if attempt.vendor_job_id is None:
                    self._settle(tx, job, attempt, 0, now)

        await asyncio.to_thread(write)
        return _NO_MORE

    def _stand_ins(self, job_id: str, generation: int) -> list[str]:
        """Open what the local engine has to stand in for; ids of those not ended yet."""
        with self._r.store.read() as tx:
            job = jobs.job(tx, job_id)
            attempts = jobs.attempts(tx, job_id, generation)
        if job.mode is not Mode.HYBRID or job.generation != generation:
            return []
        results = {a.id: self._result_of(a) for a in attempts if a.result_blob}
        with self._r.store.write() as tx:
            if jobs.job(tx, job_id).status is JobStatus.PARSING:
                open_stand_ins(tx, job, results, SYSTEM, self._r.clock())
            attempts = jobs.attempts(tx, job_id, generation)
        opened = [a for a in attempts if a.is_provisional and not a.retry_of]
        return [a.id for a in opened if not a.status.is_final]

    def _result_of(self, attempt: Attempt) -> ParsedDocument:
        return load(self._r.blobs.get(attempt.result_blob))

    def _conclude(self, job_id: str, generation: int) -> str:
        with self._r.store.read() as tx:
            job = jobs.job(tx, job_id)
            attempts = jobs.attempts(tx, job_id, generation)
        if job.generation != generation or job.status is not JobStatus.PARSING:
            return job.status
        attempts = newest_tries(attempts)
        results = {a.id: self._result_of(a) for a in attempts if a.result_blob}
        before = load(self._r.blobs.get(job.result_blob)) if job.result_blob else None
        whole, status = outcome_of(job, attempts, results, before)
        if results:
            whole = with_receipt(whole, self._r.text_layer(job))
        blob = self._r.blobs.put(dump(whole)) if results else ""
        failed = next((a for a in attempts if a.error), None)
        now = self._r.clock()
        with self._r.store.write() as tx:
            facts: dict[str, object] = {"result_blob": blob} if blob else {}
            if blob:
                facts["page_count"] = len(whole.pages)
            facts["is_provisional"] = any(page.is_provisional for page in whole.pages)
            if failed is not None:
                facts.update(reason=failed.error, next_step=failed.next_step)
            cause = failed.error if failed else "every attempt is done"
            if status is JobStatus.CANCELLED:
                cause = "every attempt is cancelled"
            concluded = jobs.change_job(tx, job_id, status, SYSTEM, cause, now, **facts)
            if status in {JobStatus.PARSED, JobStatus.FAILED_PARSE}:
                status = begin(tx, concluded, now)
        return status

    # -- small ------------------------------------------------------------------------------------

    def _facts(self, attempt_id: str) -> tuple[Job, Attempt]:
        with self._r.store.read() as tx:
            attempt = jobs.attempt(tx, attempt_id)
            return jobs.job(tx, attempt.job_id), attempt

    def _newest(self, attempt_id: str) -> tuple[Job, Attempt]:
        with self._r.store.read() as tx:
            attempt = jobs.newest_try(tx, attempt_id)
            return jobs.job(tx, attempt.job_id), attempt

    def _update(self, attempt_id: str, **facts: object) -> None:
        with self._r.store.write() as tx:
            jobs.update_attempt(tx, attempt_id, **facts)


def _deadline(attempt: Attempt, now: datetime) -> datetime:
    """The attempt's deadline, later by the time in which nobody could ask the vendor about it."""
    heard_at = attempt.asked_at or attempt.submitted_at or now
    planned = timedelta(seconds=_next_poll(attempt, attempt.webhook_expected))
    in_the_dark = now - heard_at - planned
    deadline = attempt.deadline_at or now + _DEADLINE
    return deadline + in_the_dark if in_the_dark > _FAR.margin else deadline


def _patience(job: Job) -> _Patience:
    return _LOOPBACK if job.mode is Mode.MOCK else _FAR


def _result_wait_s(job: Job, attempt: Attempt) -> float:
    which = min(attempt.polls, len(_RESULT_WAITS_S) - 1)
    return _RESULT_WAITS_S[which] / _patience(job).haste


def _tries_before(attempts: Sequence[Attempt], attempt: Attempt) -> int:
    """How many attempts this one is a retry of, one for the other."""
    by_id = {each.id: each for each in attempts}
    count = 0
    while attempt.retry_of in by_id:
        count, attempt = count + 1, by_id[attempt.retry_of]
    return count


def _said_by(error: UpstreamError) -> dict[str, object]:
    """What the vendor's support needs to know, for the timeline."""
    facts = {
        "status": error.status,
        "request_id": error.request_id,
        "vendor_message": error.vendor_message,
    }
    return {name: value for name, value in facts.items() if value}


def _next_poll(attempt: Attempt, webhook: bool) -> float:
    """Gentle: with a webhook under way the first look is late, and looks grow rarer to 60 s."""
    if webhook:
        return float(min(60.0, 8.0 * 1.5 ** min(attempt.polls, 8)))
    return float(min(30.0, 1.0 + attempt.polls))


def _after(sent: datetime | None, received: datetime) -> str:
    return "" if sent is None else f", +{max(0.0, (received - sent).total_seconds()):.1f} s"
