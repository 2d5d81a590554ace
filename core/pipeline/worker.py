"""The process that runs workflows: launched on DBOS's own loop, with heartbeat, take-over, sweeps."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from dbos import DBOS, DBOSConfig

from core.clock import is_recent, new_id
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.routing import Mode
from core.errors import ConsoleError, NotFound, StoreUnavailable
from core.pipeline.admission import admit, release_held
from core.pipeline.driver import SYSTEM, Driver, Resources
from core.pipeline.handoff import HandOff
from core.pipeline.queue import APP, APP_VERSION, NUDGE, QUEUE, WORKFLOW, JobQueue
from core.pipeline.sweep import sweep_orphans, sweep_sums
from core.pipeline.terms import Rules, Terms
from core.store import deliveries, expectations, jobs, ledger, queue, workers
from core.telemetry import log

__all__ = ["DEAD_AFTER", "PipelineWorker", "has_live_worker", "is_alive"]

DEAD_AFTER = timedelta(seconds=15)
"""A process not heard of for so long is dead; on the same machine its absence is noticed at once."""

_BEAT_S, _PATIENCE_S = 2.0, 10.0
_LATE_AFTER = timedelta(seconds=5)
_TRIES = 20
_ABANDONED_EVERY = timedelta(seconds=10)
_SWEEP_EVERY, _SUM_EVERY = timedelta(minutes=1), timedelta(hours=1)
_UNHEARD_SINCE = timedelta(hours=3)
_RELEASED_AT_ONCE = 1000
_BILLS_AT_ONCE, _BILL_WITHIN_S = 10, 5.0
_SOONEST, _RAREST = timedelta(seconds=5), timedelta(hours=1)


class PipelineWorker:
    """Runs workflows until it is stopped. One per process."""

    def __init__(
        self,
        resources: Resources,
        queue: JobQueue,
        url: str,
        rules: Callable[[], Rules],
        handoff: HandOff,
    ) -> None:
        self.executor_id = new_id("exe")
        self._r = resources
        self._queue = queue
        self._url = url
        self._rules = rules
        now = resources.clock()
        self._me = workers.Worker(self.executor_id, socket.gethostname(), os.getpid(), now, now)
        self._log = log("worker")
        self._stopping = threading.Event()
        self._launcher = threading.Thread(target=self._launch, name="launch")
        self._caretaker = threading.Thread(target=self._take_care, name="caretaker", daemon=True)
        self._handoff = handoff
        self._dbos: DBOS | None = None
        self._driver: Driver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bill_asked_at: dict[str, datetime] = {}
        self._abandoned_looked_at = resources.clock()
        self._swept_at: datetime | None = None
        self._summed_at: datetime | None = None
        self._unheard_looked_at = resources.clock()
        self._polled: set[str] = set()

    def start(self) -> None:
        """Announce the process, take over what dead ones left, launch the workflows."""
        with self._r.store.write() as tx:
            workers.start(tx, self._me)
        self._launcher.start()
        self._launcher.join()
        self._caretaker.start()

    def stop(self) -> None:
        """Stop in an orderly way; what is in flight goes on in another process or at the next start."""
        self._stopping.set()
        # a start that was interrupted is undone as far as it came
        for thread in (self._launcher, self._caretaker):
            if thread.ident is not None:
                thread.join(timeout=_PATIENCE_S)
        self._leave_queue()
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._close_engines(), self._loop).result(
                timeout=_PATIENCE_S
            )
        DBOS.destroy(destroy_registry=True)
        try:
            # whoever runs next, or is beside us, finds what waited here in the queue
            self._queue.take_over([self.executor_id])
            with self._r.store.write() as tx:
                workers.stop(tx, self.executor_id, self._r.clock())
        except Exception as error:  # DBOS passes on whatever the database driver raises
            # the database is gone: whoever starts next takes over what is no longer heard of
            self._log.warning("could not be taken off the record", error=str(error))

    def _leave_queue(self) -> None:
        """Take up no more workflows, and see those begun that were taken up.

        DBOS itself stops its loop first: a thread that is just handing out then waits for it in vain.
        """
        if self._dbos is None:
            return
        for stop in self._dbos.background_thread_stop_events:
            stop.set()
        for thread in threading.enumerate():
            if thread.name == f"queue-worker-{QUEUE}":
                thread.join(timeout=_PATIENCE_S)

    async def _close_engines(self) -> None:
        await self._r.close_engines()

    def _launch(self) -> None:
        # in a thread without an event loop, so that DBOS makes its own and no route ever waits for it
        config: DBOSConfig = {
            "name": APP,
            "system_database_url": self._url,
            "application_version": APP_VERSION,
            "executor_id": self.executor_id,
            "log_level": "ERROR",
            "notification_listener_polling_interval_sec": 0.2,
            "scheduler_polling_interval_sec": 3600.0,
        }
        self._dbos = DBOS(config=config)
        logging.getLogger("dbos").setLevel(logging.ERROR)
        DBOS.workflow(name=WORKFLOW)(self._workflow())
        DBOS.launch()
        DBOS.register_queue(QUEUE, polling_interval_sec=0.2, on_conflict="always_update")

    def _workflow(self) -> Callable[..., Any]:
        async def parse_job(job_id: str, generation: int) -> None:
            which, troubles = 0, 0
            while True:
                which, wait_s, trouble = await DBOS.run_step_async(
                    {"name": "look"}, self._look, job_id, generation, which
                )
                if wait_s is None:
                    return
                troubles = troubles + 1 if trouble else 0
                if troubles > _TRIES:
                    which = await DBOS.run_step_async(
                        {"name": "give_up"}, self._give_up, job_id, generation, which, trouble
                    )
                    troubles = 0
                await DBOS.recv_async(NUDGE, timeout_seconds=wait_s)

        return parse_job

    async def _look(
        self, job_id: str, generation: int, which: int
    ) -> tuple[int, float | None, str]:
        try:
            return *await self._here().look(job_id, generation, which), ""
        except NotFound:
            # the database is another one, as after a restore: there is nothing to look at any more
            return which, None, ""
        except ConsoleError as error:
            self._log.warning("job waits", job_id=job_id, error=str(error))
            return which, 5.0, str(error)
        except Exception as error:  # a defect must not leave the job without anyone who looks at it
            self._log.exception("unexpected error", job_id=job_id)
            return which, 5.0, f"An unexpected error: {type(error).__name__}."

    async def _give_up(self, job_id: str, generation: int, which: int, what: str) -> int:
        return await self._here().give_up(job_id, generation, which, what)

    def _here(self) -> Driver:
        if self._driver is None:
            self._loop = asyncio.get_running_loop()
            self._driver = Driver(self._r, self.executor_id)
        return self._driver

    # -- care ---------------------------------------------------------------------------------------

    def _take_care(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            pause_s = _BEAT_S
            try:
                self.care()
            except ConsoleError as error:
                self._log.warning("care is late", error=str(error))
            except (
                Exception
            ):  # the next round tries again; a dead caretaker would be noticed by nobody
                self._log.exception("care failed")

    def care(self) -> None:
        """One round: heartbeat, dead processes, jobs without a workflow, events not applied, bills."""
        self._r.compare_clocks()
        now = self._r.clock()
        with self._r.store.write() as tx:
            workers.beat(tx, self._me, now)
        for part in (
            self._take_over,
            self._enqueue_forgotten,
            self._restart_abandoned,
            self._release_held,
            self._release_for_vendor,
            lambda _now: self._r.also_care(),
            self._remind,
            self._poll_unheard,
            lambda _now: self._handoff.kick(),
            self._settle_late,
            self._sweep,
        ):
            self._do(part, now)

    def _do(self, part: Callable[[datetime], object], now: datetime) -> None:
        """One part of the care: what goes wrong in it does not keep the others from being done."""
        try:
            part(now)
        except StoreUnavailable:
            raise
        except ConsoleError as error:
            self._log.warning("a part of the care is late", error=str(error))
        except Exception:  # the next round tries again
            self._log.exception("a part of the care failed")

    def _take_over(self, now: datetime) -> None:
        with self._r.store.read() as tx:
            others = [w for w in workers.known(tx) if w.executor_id != self.executor_id]
        dead = [w.executor_id for w in others if not is_alive(w, now)]
        if not dead:
            return
        count = self._queue.take_over(dead)
        with self._r.store.write() as tx:
            for executor_id in dead:
                workers.stop(tx, executor_id, now)
        self._log.info("took over", processes=len(dead), workflows=count)

    def _enqueue_forgotten(self, now: datetime) -> None:
        with self._r.store.read() as tx:
            waiting = jobs.unfinished(tx, [JobStatus.PARSE_QUEUED])
        late = [job for job in waiting if not is_recent(job.updated_at, now, _LATE_AFTER)]
        known = self._queue.alive([job.workflow_id for job in late]) if late else {}
        for job in late:
            if job.workflow_id not in known:
                self._queue.enqueue(job.workflow_id, job.id, job.generation)

    def _restart_abandoned(self, now: datetime) -> None:
        """Jobs whose workflow ended without them, as an upgrade can do: a new one looks at the rows."""
        if is_recent(self._abandoned_looked_at, now, _ABANDONED_EVERY):
            return
        self._abandoned_looked_at = now
        with self._r.store.read() as tx:
            open_ = jobs.unfinished(tx, [JobStatus.PARSE_QUEUED, JobStatus.PARSING])
        alive = self._queue.alive([job.workflow_id for job in open_]) if open_ else {}
        for job in open_:
            if job.workflow_id not in alive:
                # it was lost, as after a power cut or with a restored copy of one database
                self._queue.enqueue(job.workflow_id, job.id, job.generation)
                continue
            if alive[job.workflow_id]:
                continue
            # the id follows from the last one: whoever else sees the same starts the same workflow
            restarted = f"{job.workflow_id}+"
            with self._r.store.write() as tx:
                fresh = jobs.job(tx, job.id)
                if fresh.status.is_final or fresh.workflow_id != job.workflow_id:
                    continue
                jobs.update_job(tx, job.id, workflow_id=restarted)
            self._queue.enqueue(restarted, job.id, job.generation)
            self._log.warning("workflow restarted", job_id=job.id)

    def _release_held(self, now: datetime) -> None:
        for job in release_held(self._r.store, self._rules(), SYSTEM, now):
            self._queue.enqueue(job.workflow_id, job.id, job.generation)

    def _sweep(self, now: datetime) -> None:
        """Prove that the ledger fits the work; the sums, which takes longer, more rarely."""
        if self._swept_at is None or not is_recent(self._swept_at, now, _SWEEP_EVERY):
            self._swept_at = now
            sweep_orphans(self._r.store, self._rules(), SYSTEM, now)
        if self._summed_at is None or not is_recent(self._summed_at, now, _SUM_EVERY):
            self._summed_at = now
            sweep_sums(self._r.store, now)

    def _release_for_vendor(self, now: datetime) -> None:
        """Jobs that wait for LlamaParse: a few at a time, so that its first minute is no stampede."""
        room = self._r.room(_RELEASED_AT_ONCE)
        if room <= 0:
            return
        with self._r.store.read() as tx:
            held = queue.for_vendor(tx, room)
        for job_id in held:
            with self._r.store.write() as tx:
                queue.lock_attempts(tx, [job_id])
                fresh = jobs.job(tx, job_id)
                if fresh.status is not JobStatus.HELD or fresh.mode is Mode.MOCK:
                    continue
                released = admit(Terms(tx, self._rules(), now), fresh, SYSTEM)
                if released.status is not JobStatus.PARSE_QUEUED:
                    continue
                # its first workflow has ended; this id follows from it, whoever else sees the same
                restarted = f"{fresh.workflow_id}+"
                jobs.update_job(tx, job_id, workflow_id=restarted)
            self._queue.enqueue(restarted, job_id, fresh.generation)

    def _remind(self, now: datetime) -> None:
        """Events that nobody applied: wake their workflow, or write down that they change nothing."""
        with self._r.store.read() as tx:
            waiting = deliveries.applicable(tx)
            owners = [(d, jobs.attempt_by_vendor_id(tx, d.vendor_job_id)) for d in waiting]
        for delivery, attempt in owners:
            if attempt is None:
                continue
            with self._r.store.read() as tx:
                job = jobs.job(tx, attempt.job_id)
            # it came before its job was known, so that nobody saw whose it is
            outcome = deliveries.why_not_its_own(delivery.scope, job.mode)
            if not outcome and (
                attempt.status.is_final or attempt.status is AttemptStatus.FETCHING
            ):
                outcome = f"late: the attempt was {attempt.status.value} already, nothing changed"
            if outcome:
                with self._r.store.write() as tx:
                    applied = deliveries.apply(
                        tx,
                        delivery.vendor_job_id,
                        delivery.scope,
                        job_id=attempt.job_id,
                        attempt_id=attempt.id,
                        outcome=outcome,
                        at=now,
                    )
                    for event in applied:
                        jobs.note(
                            tx,
                            attempt.job_id,
                            "webhook",
                            event.event_type,
                            SYSTEM,
                            f"event {event.event_id[:8]}… verified{event.marks}, {outcome}",
                            event.received_at,
                            attempt_id=attempt.id,
                            detail={"delivery_id": event.id, "outcome": outcome},
                        )
            elif not is_recent(delivery.received_at, now, _LATE_AFTER):
                self._queue.nudge(job.workflow_id)

    def _poll_unheard(self, now: datetime) -> None:
        """Attempts whose event is late against their tier's history: have the vendor asked now, once."""
        if is_recent(self._unheard_looked_at, now, _ABANDONED_EVERY):
            return
        self._unheard_looked_at = now
        with self._r.store.read() as tx:
            running = [
                one
                for one in expectations.unheard(tx, now - _UNHEARD_SINCE)
                if one.status == AttemptStatus.RUNNING
            ]
            unpolled = [one for one in running if one.attempt_id not in self._polled]
            usual = {
                kind: expectations.usual_wait(tx, *kind)
                for kind in {(one.mode, one.tier) for one in unpolled}
            }
            late = [one for one in unpolled if now - one.submitted_at > usual[one.mode, one.tier]]
        self._polled &= {one.attempt_id for one in running}
        for one in late:
            self._polled.add(one.attempt_id)
            self._log.warning("event is late", job_id=one.job_id)
            self._queue.nudge(one.workflow_id)

    def _settle_late(self, now: datetime) -> None:
        """Ask what ended attempts were billed: soon at first, then ever more rarely, up to hourly."""
        loop, driver = self._loop, self._driver
        if loop is None or driver is None:
            return
        with self._r.store.read() as tx:
            waiting = ledger.unsettled(tx)
        self._bill_asked_at = {
            attempt_id: self._bill_asked_at.get(attempt_id, finished_at)
            for attempt_id, finished_at in waiting
        }
        due = [
            (self._bill_asked_at[attempt_id], attempt_id)
            for attempt_id, finished_at in waiting
            for waited in [self._bill_asked_at[attempt_id] - finished_at]
            if not is_recent(
                self._bill_asked_at[attempt_id], now, min(_RAREST, max(_SOONEST, waited / 2))
            )
        ]
        # a few at a time, those asked longest ago first: the heartbeat must not wait for them
        for _asked_at, attempt_id in sorted(due)[:_BILLS_AT_ONCE]:
            self._bill_asked_at[attempt_id] = now
            settling = asyncio.run_coroutine_threadsafe(driver.settle_late(attempt_id), loop)
            try:
                settling.result(timeout=_BILL_WITHIN_S)
            except TimeoutError:
                settling.cancel()
                return


def has_live_worker(known: tuple[workers.Worker, ...], now: datetime) -> bool:
    """Whether any process runs workflows now."""
    return any(is_alive(worker, now) for worker in known)


def is_alive(worker: workers.Worker, now: datetime) -> bool:
    """Whether a process was heard of lately, and, of one on this machine, whether it is still there.

    A heartbeat from well ahead of now is no better than an old one: it was noted by a wrong clock.
    """
    if abs(now - worker.heartbeat_at) > DEAD_AFTER:
        return False
    if worker.host != socket.gethostname():
        return True
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
