"""Driving one attempt: look at its row, do the one thing that is due, say when to look again.

The rows are the truth; the durable workflow around this is only the alarm clock. That is why a crash
at any point, a second worker and an upgrade all end the same way: somebody looks at the row again.
"""

import asyncio
from collections.abc import Sequence

from core.domain.jobs import (
    UNKNOWN_OUTCOME,
    Attempt,
    AttemptStatus,
    Job,
    JobStatus,
    newest_try,
)
from core.domain.routing import Mode
from core.errors import KeyMissing
from core.pipeline.driving import (
    billing,
    concluding,
    ending,
    fetching,
    following,
    not_taken,
    resolving,
    submitting,
)
from core.pipeline.driving.context import SYSTEM, Context, told
from core.pipeline.driving.resolving import LOOK_FOR_IT
from core.pipeline.driving.resources import Resources
from core.store import jobs
from core.telemetry import correlated

__all__ = ["SYSTEM", "UNKNOWN_OUTCOME", "Driver", "Resources"]


class Driver:
    """Moves attempts along. Belongs to the event loop it is first used on."""

    def __init__(self, resources: Resources, executor_id: str) -> None:
        self._ctx = Context(resources, executor_id)
        self._store = resources.store

    async def look(self, job_id: str, generation: int, which: int) -> tuple[int, float | None]:
        """Do all that is due for a run of a job, whose attempts are driven one after the other.

        ``which`` of them is under way, counted from 0, and seconds until the next look; None when the run
        has ended.
        """
        while True:
            job, attempts = await asyncio.to_thread(self._run, job_id, generation)
            # a retry by rule is driven in place of the attempt that it is for
            planned = [attempt for attempt in attempts if not attempt.retry_of]
            if which >= len(planned):
                break
            wait_s = await self._advance(job, newest_try(planned[which], attempts))
            if wait_s is None:
                which += 1
            elif wait_s > 0:
                return which, wait_s
        await self._conclude(job, attempts, generation)
        return which, None

    async def advance(self, attempt_id: str) -> float | None:
        """Do what is due; seconds until the next look, or None when the attempt needs none.

        An attempt that was tried again by rule stands for its newest retry.
        """
        return await self._advance(*await asyncio.to_thread(self._newest, attempt_id))

    async def _advance(self, job: Job, attempt: Attempt) -> float | None:
        with correlated(job.correlation_id, job_id=job.id, attempt_id=attempt.id):
            try:
                return await self._due(job, attempt)
            except KeyMissing as error:
                return await not_taken.without_key(self._ctx, job, attempt, error)

    async def _due(self, job: Job, attempt: Attempt) -> float | None:
        match attempt.status:
            case AttemptStatus.RESERVED:
                return await submitting.begin_or_wait(self._ctx, job, attempt)
            case AttemptStatus.SUBMITTING:
                cause = "the process ended while it was sending"
                return await not_taken.doubt(self._ctx, job, attempt, cause)
            case AttemptStatus.UNKNOWN:
                return await resolving.resolve(self._ctx, job, attempt)
            case AttemptStatus.RUNNING:
                return await following.check(self._ctx, job, attempt)
            case AttemptStatus.FETCHING:
                return await fetching.fetch(self._ctx, job, attempt)
            case _:
                return None

    async def conclude(self, job_id: str, generation: int) -> str:
        """Give the job the status that follows from its attempts; its result, when it has one."""
        job, attempts = await asyncio.to_thread(self._run, job_id, generation)
        return await self._conclude(job, attempts, generation)

    async def _conclude(self, job: Job, attempts: Sequence[Attempt], generation: int) -> str:
        if job.status is JobStatus.PARSE_QUEUED:
            await asyncio.to_thread(concluding.begin_ended, self._ctx, job.id, generation)
            job, attempts = await asyncio.to_thread(self._run, job.id, generation)
        if job.mode is Mode.HYBRID and job.generation == generation:
            opened = await asyncio.to_thread(concluding.stand_ins, self._ctx, job, attempts)
            for attempt_id in opened:
                await self._to_its_end(attempt_id)
            job, attempts = await asyncio.to_thread(self._run, job.id, generation)
        return await asyncio.to_thread(concluding.conclude, self._ctx, job, attempts, generation)

    async def _to_its_end(self, attempt_id: str) -> None:
        wait_s = await self.advance(attempt_id)
        while wait_s is not None:
            await asyncio.sleep(wait_s)
            wait_s = await self.advance(attempt_id)

    async def settle_late(self, attempt_id: str) -> bool:
        """Ask what a finished attempt was billed, when that was not known at once."""
        job, attempt = await asyncio.to_thread(self._facts, attempt_id)
        return await billing.settle_late(self._ctx, job, attempt)

    async def give_up(self, job_id: str, generation: int, which: int, what: str) -> int:
        """End the attempt under way, which met unexpected errors again and again; which follows it.

        What is parsed is never given up: its result is put together as soon as that can be done.
        """
        job, attempts = await asyncio.to_thread(self._run, job_id, generation)
        planned = [attempt for attempt in attempts if not attempt.retry_of]
        if which >= len(planned):
            return which
        attempt = newest_try(planned[which], attempts)
        if attempt.status in {AttemptStatus.SUBMITTING, AttemptStatus.UNKNOWN}:
            step = told(job, LOOK_FOR_IT)
            await ending.fail(self._ctx, job, attempt, UNKNOWN_OUTCOME, what, step, release=False)
        elif not attempt.status.is_final:
            step = "Retry it; if it fails again, see the log."
            await ending.fail(self._ctx, job, attempt, "internal", what, step)
        return which + 1

    def _run(self, job_id: str, generation: int) -> tuple[Job, tuple[Attempt, ...]]:
        with self._store.read() as tx:
            return jobs.job(tx, job_id), jobs.attempts(tx, job_id, generation)

    def _facts(self, attempt_id: str) -> tuple[Job, Attempt]:
        with self._store.read() as tx:
            attempt = jobs.attempt(tx, attempt_id)
            return jobs.job(tx, attempt.job_id), attempt

    def _newest(self, attempt_id: str) -> tuple[Job, Attempt]:
        with self._store.read() as tx:
            attempt = jobs.attempt(tx, attempt_id)
            attempts = jobs.attempts(tx, attempt.job_id, attempt.generation)
            return jobs.job(tx, attempt.job_id), newest_try(attempt, attempts)
