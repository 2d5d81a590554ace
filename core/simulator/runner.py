"""The simulator's back office: takes jobs through their states and sends what they announce."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from core.clock import Clock
from core.domain.documents import Figure
from core.errors import DocumentRefused, RefusalReason
from core.simulator.config import Figures, Reader, SimulatorConfig
from core.simulator.faults import FaultName
from core.simulator.records import Delivery, SimJob
from core.simulator.results import StoredPage, dump, form_pages, load
from core.simulator.sender import Sender
from core.simulator.state import State
from core.telemetry import log

__all__ = ["FAILURE_CODES", "Runner"]

FAILURE_CODES = {
    RefusalReason.EMPTY: "NO_DATA_FOUND_IN_FILE",
    RefusalReason.NO_PAGES: "NO_DATA_FOUND_IN_FILE",
    RefusalReason.ENCRYPTED: "PDF_IS_PROTECTED",
    RefusalReason.BROKEN: "PDF_IS_BROKEN",
    RefusalReason.UNSUPPORTED: "UNSUPPORTED_FILE_TYPE",
    RefusalReason.WRONG_TYPE: "UNSUPPORTED_FILE_TYPE",
    RefusalReason.TOO_LARGE: "DOCUMENT_TOO_LARGE",
    RefusalReason.TIMED_OUT: "TIMEOUT",
}
_UNEXPECTED = "ERROR_DURING_PROCESSING"
_Work = Callable[[], Coroutine[None, None, None]]


class _JobFailed(Exception):
    """The document has no result, for the reason in the vendor's words."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(f"{code}: {what}")


class Runner:
    """Works on the event loop it is entered on; leaving it hands unfinished work to the next one."""

    def __init__(  # noqa: PLR0913 - what it works with, handed over by the application
        self,
        state: State,
        config: SimulatorConfig,
        reader: Reader,
        figures: Figures | None,
        sender: Sender,
        clock: Clock,
    ) -> None:
        self._state = state
        self._config = config
        self._reader = reader
        self._figures = figures
        self._sender = sender
        self._faults = sender.faults
        self._clock = clock
        self._reading = asyncio.Semaphore(config.readers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log("simulator")

    async def __aenter__(self) -> Self:
        """Go on with what was left unfinished, and keep looking for more."""
        self._spawn(self._keep_going)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and let go of what is not finished."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wrap_future(self._state.hold(0.0))

    def take(self, job: SimJob) -> None:
        """Work on this job until it ends; one that is stuck waits for its cancellation."""
        if not job.is_stuck:
            self._spawn(partial(self._work, job.id))

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Send these events, each at its own pace."""
        for delivery in deliveries:
            self._spawn(partial(self._sender.send, delivery))

    def now(self) -> float:
        """The present moment as it is stored."""
        return self._clock().timestamp()

    def _spawn(self, work: _Work) -> None:
        task = asyncio.create_task(self._steadily(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _steadily(self, work: _Work) -> None:
        """Try again while the disk is full or the file is busy: what was accepted is not lost."""
        while True:
            try:
                return await work()
            except (OSError, sqlite3.Error):
                self._log.exception("storage trouble")
                await asyncio.sleep(self._config.lease_s)

    async def _keep_going(self) -> None:
        lease_s = self._config.lease_s
        while True:
            now = self.now()
            held = self._state.hold(now + lease_s)
            adopted = self._state.adopt(now)  # both in one commit
            await asyncio.wrap_future(held)
            jobs, deliveries = await asyncio.wrap_future(adopted)
            for job in jobs:
                self.take(job)
            self.deliver(deliveries)
            await asyncio.sleep(lease_s / 3)

    async def _work(self, job_id: str) -> None:
        job = self._state.find(job_id)  # anew each time: it may be a second try
        if job is None or job.is_final:
            return
        waited_s = max(0.0, self.now() - job.created_at)
        await asyncio.sleep(max(0.0, self._config.pending_s - waited_s))
        async with self._reading:
            if job.status == "PENDING":
                started = await asyncio.wrap_future(self._state.start(job.id, self.now()))
                if started is None:
                    return
                self.deliver(started)
            self.deliver(await self._finish(job) or [])

    async def _finish(self, job: SimJob) -> list[Delivery] | None:
        try:
            data, credits_ = await self._result(job)
            pages = load(data)
            failed = self._failed(job, pages)
        except _JobFailed as failure:
            return await asyncio.wrap_future(self._state.fail(job.id, self.now(), str(failure)))
        now = self.now()
        late_s = self._config.billed_after_s + self._faults.seconds(FaultName.BILLED_LATE)
        completed = self._state.complete(
            job.id,
            now,
            data,
            pages=len(pages),
            credits_=credits_,
            failed_pages=failed,
            billed_at=now + late_s,
        )
        return await asyncio.wrap_future(completed)

    def _failed(self, job: SimJob, pages: list[StoredPage]) -> int:
        failed = sum(1 for page in pages if page.error)
        allowed = job.options.failure_ratio
        if failed > len(pages) * (self._config.failure_ratio if allowed is None else allowed):
            raise _JobFailed(_UNEXPECTED, f"{failed} of {len(pages)} pages failed.")
        return failed

    async def _result(self, job: SimJob) -> tuple[bytes, int]:
        if job.options.doomed:
            raise _JobFailed(*job.options.doomed.split(": ", 1))
        if job.cached_from is not None:
            cached = self._state.result(job.cached_from)
            if cached is not None:  # else deleted since: then it is parsed, and billed
                return cached, 0
        data = await self._read(job)
        pages = load(data)
        await asyncio.sleep(self._config.per_page_s * len(pages))
        forms = job.form_price * form_pages(pages) if job.form_price else 0
        return data, job.price * len(pages) + forms

    async def _read(self, job: SimJob) -> bytes:
        asked = job.options
        path = self._state.document_path(job.sha256, job.name)
        try:
            document = await self._reader(path, job.name, asked.target_pages)
        except DocumentRefused as refusal:
            code = FAILURE_CODES.get(refusal.reason, _UNEXPECTED)
            raise _JobFailed(code, refusal.what) from refusal
        except Exception as error:
            # Whatever a reader does, the job must end and the others go on.
            self._log.exception("reader failed", job=job.id)
            raise _JobFailed(_UNEXPECTED, "the document could not be processed.") from error
        pages = document.pages[: asked.max_pages]
        if not pages:
            raise _JobFailed(FAILURE_CODES[RefusalReason.EMPTY], "no pages to parse.")
        figures = await self._found(job, path, [page.number for page in pages])
        return dump(document, asked.max_pages, self._faults.broken(len(pages)), figures)

    async def _found(self, job: SimJob, path: Path, pages: Sequence[int]) -> Sequence[Figure]:
        """The pictures within these pages, where some of them were asked for."""
        wanted = job.options.embedded or job.options.layout
        if self._figures is None or not wanted:
            return ()
        try:
            return await asyncio.to_thread(self._figures.figures, path, pages)
        except DocumentRefused as refusal:
            # the service fails no job by this, unless it is told to
            self._log.warning("pictures not found", job=job.id, reason=refusal.reason)
            return ()
