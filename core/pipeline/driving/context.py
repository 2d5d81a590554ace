"""What the parts of the driver share."""

import asyncio

from core.domain.jobs import Actor, Job
from core.domain.routing import Mode
from core.domain.speaker import told_of
from core.pipeline.driving.resources import Resources
from core.store import jobs
from core.telemetry import log

__all__ = ["SYSTEM", "Context", "told"]

SYSTEM = Actor("system:pipeline", is_authenticated=True)


class Context:
    """What is at hand while an attempt is moved. Belongs to the event loop it is first used on."""

    def __init__(self, resources: Resources, executor_id: str) -> None:
        self.resources = resources
        self.executor_id = executor_id
        # bounds submits and fetches; waiting for the vendor takes no place
        self.busy = asyncio.Semaphore(resources.concurrency)
        self.log = log("pipeline")

    def update(self, attempt_id: str, **facts: object) -> None:
        """Write facts about an attempt that do not change its status."""
        with self.resources.store.write() as tx:
            jobs.update_attempt(tx, attempt_id, **facts)


def told(job: Job, sentence: str) -> str:
    """What LlamaParse did, told of the simulator where it was that."""
    return told_of(sentence, simulated=job.mode is Mode.MOCK)
