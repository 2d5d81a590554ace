"""What every route works with, and the one way by which jobs are accepted."""

import asyncio
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TypeVar

from starlette.requests import Request

from core.simulator.config import SimulatorConfig
from core.simulator.faults import FaultName, Faults
from core.simulator.links import Links
from core.simulator.outputs import Archive, Finished
from core.simulator.records import NewJob, SimJob
from core.simulator.refusals import Refused
from core.simulator.runner import Runner
from core.simulator.state import State

__all__ = ["Desk", "desk_of", "durable"]

_T = TypeVar("_T")


async def durable(change: "Future[_T]") -> _T:
    """What the change answers, once it is on the disk."""
    return await asyncio.wrap_future(change)


@dataclass(frozen=True, slots=True)
class Desk:
    """All that a route works with. Belongs to one event loop."""

    config: SimulatorConfig
    state: State
    runner: Runner
    faults: Faults
    archive: Archive
    links: Links
    _arrivals: deque[float] = field(default_factory=deque)

    def job(self, request: Request) -> SimJob:
        """The job that the path names. Raises ``Refused`` when there is none."""
        job = self.state.find(request.path_params["job_id"])
        if job is None:
            raise Refused(404, "Parse job not found")
        return job

    def finished(self, job: SimJob) -> Finished:
        """The job with its result. Raises ``Refused`` when there is none yet."""
        finished = self.archive.finished(job) if job.status == "COMPLETED" else None
        if finished is None:
            raise Refused(404, "Result not found. Check job status to see if it has completed.")
        return finished

    def now(self) -> float:
        """The present moment as it is stored."""
        return self.runner.now()

    def today(self) -> date:
        """The day that prices are looked up for."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    def admit(self) -> None:
        """Raises ``Refused`` when the plan's credits (402) or its rate of uploads (429) are used up."""
        budget, rate = self.config.credit_budget, self.config.uploads_per_s
        if budget is not None and self.state.spent() >= budget:
            raise Refused(402, "You've exceeded the maximum number of credits for your plan.")
        if not rate:
            return
        now = time.monotonic()
        while self._arrivals and self._arrivals[0] <= now - 1:
            self._arrivals.popleft()
        if len(self._arrivals) >= rate:
            limit = f"The file upload limit is {rate} requests per second."
            raise Refused(429, f"Rate limit exceeded. {limit}")
        self._arrivals.append(now)

    async def accept(self, new: NewJob) -> SimJob:
        """Record the job and begin with it."""
        cache_s = self.config.cache_s if self.config.cache else None
        new = replace(new, is_stuck=self.faults.hits(FaultName.STUCK_PENDING))
        job, deliveries = await durable(self.state.create(new, self.now(), cache_s))
        self.runner.take(job)
        self.runner.deliver(deliveries)
        return job


def desk_of(request: Request) -> Desk:
    """The desk of the application that serves the request."""
    desk: Desk = request.app.state.desk
    return desk
