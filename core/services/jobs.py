"""Looking at jobs, and what a person can do to them: retry, cancel, download."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import PurePath
from typing import Any, Protocol

from core.clock import Clock
from core.domain.documents import Document, ParsedDocument, page_ranges
from core.domain.jobs import (
    Actor,
    Attempt,
    AttemptStatus,
    Job,
    JobStatus,
    Submission,
    newest_tries,
)
from core.domain.routing import Mode
from core.errors import ConsoleError, NotAllowed, UpstreamKind
from core.pipeline.admission import admit
from core.pipeline.driver import UNKNOWN_OUTCOME
from core.pipeline.handoff import Standing, standing
from core.pipeline.results import load
from core.pipeline.terms import Rules, Terms
from core.pipeline.withdrawal import withdraw
from core.store import Store, Transaction, deliveries, documents, jobs, ledger, queue
from core.store.jobs import Cause, JobFilter, TimelineEntry

__all__ = ["JobPage", "JobView", "Jobs", "SubmissionView", "file_stem"]

_ENOUGH_RUNS = 3
_RETRYABLE = {JobStatus.FAILED_PARSE, JobStatus.CANCELLED, JobStatus.PARTLY_PARSED, JobStatus.HELD}


class _Blobs(Protocol):
    def get(self, sha256: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of a list, and how many there are in all."""

    jobs: tuple[Job, ...]
    total: int


@dataclass(frozen=True, slots=True)
class JobView:
    """All that the job screen shows."""

    job: Job
    submission: Submission
    document: Document | None
    attempts: tuple[Attempt, ...]
    timeline: tuple[TimelineEntry, ...]
    deliveries: tuple[deliveries.Delivery, ...]


@dataclass(frozen=True, slots=True)
class SubmissionView:
    """One press of Parse and how its jobs do."""

    submission: Submission
    jobs: tuple[Job, ...]
    stages: Mapping[str, AttemptStatus]
    typical: timedelta | None

    @property
    def is_finished(self) -> bool:
        """Whether no job of it is under way."""
        return all(job.status.is_settled for job in self.jobs)


class Jobs:
    """Reads and mutations around jobs."""

    def __init__(  # noqa: PLR0913 - each is a collaborator of the composition root
        self,
        store: Store,
        blobs: _Blobs,
        enqueue: Callable[[str, str, int], None],
        nudge: Callable[[str], bool],
        rules: Callable[[], Rules],
        clock: Clock,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._enqueue = enqueue
        self._nudge = nudge
        self._rules = rules
        self._clock = clock

    def find(self, which: JobFilter, *, limit: int = 50, offset: int = 0) -> JobPage:
        """One page of jobs, newest first."""
        with self._store.read() as tx:
            found, total = jobs.jobs(tx, which, limit=limit, offset=offset)
        return JobPage(found, total)

    def counts(self, which: JobFilter = JobFilter()) -> dict[JobStatus, int]:  # noqa: B008 - frozen
        """How many jobs stand where."""
        with self._store.read() as tx:
            return jobs.count_by_status(tx, which)

    def view(self, job_id: str) -> JobView:
        """Everything about one job. Raises ``NotFound``."""
        with self._store.read() as tx:
            job = jobs.job(tx, job_id)
            attempts = jobs.attempts(tx, job_id)
            vendor_ids = [a.vendor_job_id for a in attempts if a.vendor_job_id]
            return JobView(
                job=job,
                submission=jobs.submission(tx, job.submission_id),
                document=documents.find(tx, job.document_sha256),
                attempts=attempts,
                timeline=jobs.timeline(tx, job_id),
                deliveries=deliveries.of_job(tx, vendor_ids),
            )

    def submission(self, submission_id: str) -> SubmissionView:
        """One submission with its jobs in order. Raises ``NotFound``."""
        with self._store.read() as tx:
            found = jobs.submission(tx, submission_id)
            page, _total = jobs.jobs(tx, JobFilter(submission_id=submission_id), limit=10_000)
            stages = jobs.stages(tx, [job.id for job in page])
            runs = jobs.latest_runs(tx, found.mode, found.tier)
        typical = sorted(runs)[len(runs) // 2] if len(runs) >= _ENOUGH_RUNS else None
        ordered = tuple(sorted(page, key=lambda job: job.position))
        return SubmissionView(found, ordered, stages, typical)

    def causes(self) -> tuple[Cause, ...]:
        """Why jobs failed that nobody mended, the most frequent cause first."""
        with self._store.read() as tx:
            return jobs.causes(tx, [JobStatus.FAILED_PARSE, JobStatus.FAILED_HANDOFF])

    def oldest_open(self) -> Job | None:
        """The job that has been under way for longest."""
        under_way = [JobStatus.PARSE_QUEUED, JobStatus.PARSING, JobStatus.HANDING_OFF]
        with self._store.read() as tx:
            return next(iter(jobs.unfinished(tx, under_way, limit=1)), None)

    def submissions(self, *, limit: int = 10) -> tuple[Submission, ...]:
        """The newest submissions."""
        with self._store.read() as tx:
            return jobs.submissions(tx, limit=limit)

    def result(self, job: Job) -> ParsedDocument:
        """What was parsed. Raises ``NotAllowed`` while there is nothing, ``BlobError`` when it is lost."""
        if not job.result_blob:
            raise NotAllowed(f"{job.name} has no result yet.", "Wait until it is parsed.")
        return load(self._blobs.get(job.result_blob))

    def original(self, job: Job) -> bytes:
        """The document as it was uploaded."""
        return self._blobs.get(job.document_sha256)

    def markdown_of(self, job: Job) -> bytes:
        """The download: markdown, with a first line that marks simulated and provisional results."""
        result = self.result(job)
        return (_mark(job, result) + result.markdown + "\n").encode()

    def json_of(self, job: Job) -> bytes:
        """The download: pages with their engine, and where they come from."""
        payload = {
            "job": job.id,
            "document": job.name,
            "sha256": job.document_sha256,
            "mode": job.mode,
            "simulated": job.mode is Mode.MOCK,
            "provisional": job.is_provisional,
            "tier": job.options.tier,
            **_without_pictures(asdict(self.result(job))),
        }
        return json.dumps(payload, ensure_ascii=False, indent=2).encode()

    def zip_of(self, chosen: Sequence[Job]) -> bytes:
        """The results of these jobs, and a list of what failed and why."""
        buffer, taken, failures = io.BytesIO(), set[str](), []
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for job in chosen:
                try:
                    stem = file_stem(job, taken)
                    archive.writestr(f"{stem}.md", self.markdown_of(job))
                    archive.writestr(f"{stem}.json", self.json_of(job))
                except ConsoleError as error:
                    failures.append(f"{job.name}: {job.reason or error.what} {job.next_step}")
            if failures:
                archive.writestr("NOT-PARSED.txt", "\n".join(failures) + "\n")
        return buffer.getvalue()

    def retry(self, job_ids: Sequence[str], actor: Actor) -> tuple[Job, ...]:
        """Open a new generation of attempts for failed, cancelled or held jobs, within the limits.

        Raises ``NotAllowed`` when a job is under way or complete; nothing is changed then.
        """
        now = self._clock()
        with self._store.write() as tx:
            queue.lock_attempts(tx, job_ids)
            terms = Terms(tx, self._rules(), now)
            admitted = tuple(
                admit(terms, self._reopened(tx, job_id, actor), actor) for job_id in job_ids
            )
        for job in admitted:
            if job.status is JobStatus.PARSE_QUEUED:
                self._enqueue(job.workflow_id, job.id, job.generation)
        return admitted

    def _reopened(self, tx: Transaction, job_id: str, actor: Actor) -> Job:
        job = jobs.job(tx, job_id)
        if job.status not in _RETRYABLE:
            raise NotAllowed(
                f"{job.name} is {job.status.value.replace('_', ' ')}.",
                "Only what failed, was cancelled or is held can be retried.",
            )
        # a held job may still own a reservation: it is given back before the new one is asked for
        self._stop(tx, job, actor)
        before = newest_tries(jobs.attempts(tx, job.id, job.generation))
        for attempt in before:
            if attempt.error_kind == UNKNOWN_OUTCOME:
                # by retrying, the person says that the vendor does not have it
                self._release(tx, attempt, f"{actor} looked for it and retries")
        facts: dict[str, object] = {"generation": job.generation + 1}
        if any(attempt.error_kind == UpstreamKind.RESULT_MISSING for attempt in before):
            # the vendor's cache would answer with the same result that is not there
            facts["disable_cache"] = True
        jobs.update_job(tx, job_id, **facts)
        return jobs.job(tx, job_id)

    def cancel(self, job_ids: Sequence[str], actor: Actor) -> None:
        """Stop jobs: at once when nothing was sent yet, else the vendor is asked to stop.

        Raises ``NotAllowed`` when a job is finished already.
        """
        now = self._clock()
        to_wake = []
        with self._store.write() as tx:
            queue.lock_attempts(tx, job_ids)
            for job_id in job_ids:
                job = jobs.job(tx, job_id)
                if job.status.is_final:
                    raise NotAllowed(f"{job.name} is finished already.")
                if job.status is JobStatus.PARSING:
                    to_wake.append(job.workflow_id)
                self._stop(tx, job, actor)
                if job.status is not JobStatus.PARSING:
                    left = self._without_another_try(tx, job)
                    jobs.change_job(
                        tx,
                        job_id,
                        left.status,
                        actor,
                        "cancelled",
                        now,
                        reason=left.reason,
                        next_step=left.next_step,
                    )
        for workflow_id in to_wake:
            self._nudge(workflow_id)

    def _without_another_try(self, tx: Transaction, job: Job) -> Standing:
        """What a job is that is not parsed (again): an earlier result stays."""
        if not job.result_blob:
            return Standing(JobStatus.CANCELLED)
        return standing(tx, job, self.result(job))

    def _stop(self, tx: Transaction, job: Job, actor: Actor) -> None:
        now = self._clock()
        withdraw(tx, job, actor, now)
        for attempt in jobs.attempts(tx, job.id, job.generation):
            if not attempt.status.is_final:
                jobs.update_attempt(tx, attempt.id, cancel_requested_by=str(actor))
                jobs.note(
                    tx,
                    job.id,
                    "attempt",
                    "cancel requested",
                    actor,
                    "a person asked",
                    now,
                    attempt_id=attempt.id,
                )

    def _release(self, tx: Transaction, attempt: Attempt, cause: str) -> None:
        outcome = attempt.status.value if attempt.status.is_final else "cancelled"
        ledger.release(tx, attempt.id, self._clock(), cause, outcome)


def file_stem(job: Job, taken: set[str], *, is_marked: bool = True) -> str:
    """A file name without extension that is not taken yet: ``STEM``, ``STEM-2``.

    ``is_marked`` writes into the name that a result is simulated.
    """
    stem = PurePath(job.name).stem or "document"
    if is_marked and job.mode is Mode.MOCK:
        stem = f"{stem}.simulated"
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.lower())
    return name


def _without_pictures(result: dict[str, Any]) -> dict[str, Any]:
    """Where page pictures lie is of use in here only."""
    for page in result["pages"]:
        del page["picture_blob"]
    return result


def _mark(job: Job, result: ParsedDocument) -> str:
    if job.mode is Mode.MOCK:
        return "<!-- simulated: made by Parsedeck's MOCK mode, not by LlamaParse -->\n\n"
    if job.is_provisional:
        pages = [page.number for page in result.pages if page.is_provisional]
        which = f"pages {page_ranges(pages)} were " if 0 < len(pages) < len(result.pages) else ""
        return f"<!-- provisional: {which}made by the local engine, not by LlamaParse -->\n\n"
    return ""
