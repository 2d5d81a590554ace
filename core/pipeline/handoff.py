"""Handing finished jobs to the next stage: an outbox, eight tries over hours, then a person decides."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core.blobs import path_of
from core.clock import Clock, new_id
from core.domain.counts import counted
from core.domain.documents import ParsedDocument
from core.domain.jobs import Actor, Job, JobStatus
from core.domain.routing import Mode
from core.errors import ConsoleError, NotAllowed
from core.store import Store, Transaction, handoffs, jobs
from core.store.handoffs import Downstream, Handoff, HandoffTry
from core.store.seal import Seal
from core.telemetry import log
from core.webhooks.outbound import ANSWER_WITHIN_S, Answer, post
from core.webhooks.standard import headers_for

__all__ = ["WAITS", "HandOff", "Standing", "again", "begin", "settle_job", "standing"]

_SYSTEM = Actor("system:hand-off", is_authenticated=True)
WAITS = tuple(timedelta(seconds=s) for s in (5, 60, 300, 900, 1800, 3600, 7200))
"""Between the eight tries: the last is about four hours after the first."""

_DISABLED_AFTER = timedelta(days=3)
_LEASE = timedelta(seconds=ANSWER_WITHIN_S) * 4
_AT_ONCE = 8
_GONE = 410
_KEPT_OF_ANSWER = 500
_MEND = "See Webhooks, Downstream: mend the receiver, then replay."


@dataclass(frozen=True, slots=True)
class Standing:
    """The status of a job whose earlier result stands, and why, where that needs words."""

    status: JobStatus
    reason: str = ""
    next_step: str = ""


def begin(tx: Transaction, job: Job, now: datetime) -> JobStatus:
    """Put the job's event into the outbox of each downstream; the status that the job has then.

    In the transaction that made the job ``parsed`` or ``failed_parse``, so that neither is without
    the other.
    """
    targets = handoffs.active(tx)
    body = _body(job, now)
    event_type = f"job.{job.status.value}"
    handoffs.add(
        tx, [_new(target, job, new_id("msg"), event_type, body, now) for target in targets]
    )
    if job.status is not JobStatus.PARSED:
        return job.status
    if not targets:
        cause = "no next stage is configured"
        return jobs.change_job(tx, job.id, JobStatus.COMPLETE, _SYSTEM, cause, now).status
    cause = f"handed to {counted(len(targets), 'downstream')}"
    return jobs.change_job(tx, job.id, JobStatus.HANDING_OFF, _SYSTEM, cause, now).status


def again(tx: Transaction, old: Handoff, actor: Actor, now: datetime) -> Handoff:
    """The same message once more; receivers know it by its id. One that waits for its next try goes now.

    Raises ``NotAllowed`` when the downstream is disabled, or the message was sent again meanwhile.
    """
    target = handoffs.downstream(tx, old.downstream_id)
    if target.disabled_at is not None:
        raise NotAllowed("This downstream is disabled.", "Enable it first.")
    # alone with the job: of two who ask at once the second sees what the first one sent
    job = jobs.locked(tx, old.job_id)
    newest = handoffs.newest_of_message(tx, old)
    if newest.id != old.id:
        raise NotAllowed(f"{newest.actor} sent it again meanwhile.", "Look at what came of that.")
    if newest.status == handoffs.PENDING:
        handoffs.bring_forward(tx, old.id, now)
        return handoffs.handoff(tx, old.id)
    new = _new(target, job, old.message_id, old.event_type, old.body, now, actor)
    # it is about the run that it was about before, which need not be the job's last
    new = replace(new, generation=old.generation)
    is_newest = old.generation == handoffs.newest_generation(tx, job.id)
    handoffs.add(tx, [new])
    if job.status is JobStatus.FAILED_HANDOFF and is_newest:
        cause = "handed on again"
        jobs.change_job(
            tx, job.id, JobStatus.HANDING_OFF, actor, cause, now, reason="", next_step=""
        )
    return new


def settle_job(tx: Transaction, job_id: str, generation: int, now: datetime) -> None:
    """Give a job that is being handed off the status that follows from its events."""
    # alone with the job: of two that end at once the second must see what the first wrote
    job = jobs.locked(tx, job_id)
    if job.status is not JobStatus.HANDING_OFF:
        return
    if generation != handoffs.newest_generation(tx, job_id):
        return
    states = _states(tx, job_id, generation)
    if handoffs.PENDING in states:
        return
    if handoffs.FAILED not in states:
        cause = "taken by every downstream"
        jobs.change_job(tx, job_id, JobStatus.COMPLETE, _SYSTEM, cause, now)
        return
    what = _not_taken(states)
    jobs.change_job(
        tx,
        job_id,
        JobStatus.FAILED_HANDOFF,
        _SYSTEM,
        what,
        now,
        reason=what,
        next_step=_MEND,
    )


def standing(tx: Transaction, job: Job, result: ParsedDocument) -> Standing:
    """What a job is when parsing it again brought nothing new: its ``result`` stands as before.

    Who was told of that result is not told again; a downstream that did not take it still has not.
    """
    if result.failed_pages:
        return Standing(JobStatus.PARTLY_PARSED)
    generation = handoffs.newest_generation(tx, job.id)
    states = _states(tx, job.id, generation) if generation is not None else []
    if handoffs.FAILED in states:
        return Standing(JobStatus.FAILED_HANDOFF, _not_taken(states), _MEND)
    return Standing(JobStatus.COMPLETE)


def _states(tx: Transaction, job_id: str, generation: int) -> list[str]:
    """How far each downstream's newest event about one run of a job is."""
    newest: dict[str, Handoff] = {}
    for one in sorted(handoffs.of_job(tx, job_id, generation), key=lambda h: h.created_at):
        newest[one.downstream_id] = one
    return [one.status for one in newest.values()]


def _not_taken(states: Sequence[str]) -> str:
    return f"{states.count(handoffs.FAILED)} of {len(states)} downstreams did not take it."


@dataclass(frozen=True, slots=True)
class _Next:
    status: str
    at: datetime | None
    disable: str = ""


class HandOff:
    """Sends what is due, each downstream in a thread of its own: who is slow holds up nobody else.

    The threads end with the process: what is not answered by then is sent again once its lease is over.
    """

    def __init__(self, store: Store, seal: Seal, clock: Clock, *, allow_private: bool) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._allow_private = allow_private
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._log = log("handoff")

    def kick(self) -> None:
        """Begin to send what is due, to whom that is not under way already. Raises ``StoreUnavailable``."""
        for downstream_id in self._due():
            with self._lock:
                if downstream_id in self._busy:
                    continue
                self._busy.add(downstream_id)
            _in_thread(self._work, downstream_id)

    def send_due(self) -> int:
        """Send what is due now, and wait for the answers; how much that was."""
        return sum(self._send_to(downstream_id) for downstream_id in self._due())

    def _due(self) -> tuple[str, ...]:
        with self._store.read() as tx:
            return handoffs.due_downstreams(tx, self._clock())

    def _work(self, downstream_id: str) -> None:
        try:
            while self._send_to(downstream_id):
                pass
        except ConsoleError as error:
            self._log.warning("hand-off is late", error=str(error))
        except Exception:  # the next round tries again
            self._log.exception("hand-off failed")
        finally:
            with self._lock:
                self._busy.discard(downstream_id)

    def _send_to(self, downstream_id: str) -> int:
        with self._store.write() as tx:
            due = handoffs.claim_due(tx, downstream_id, self._clock(), _LEASE, limit=_AT_ONCE)
        sending = [_in_thread(self._send_one, one) for one in due]
        for thread in sending:
            thread.join()
        return len(due)

    def _send_one(self, one: Handoff) -> None:
        try:
            self._send(one)
        except ConsoleError as error:  # it is sent again once its lease is over
            self._log.warning("hand-off is late", handoff_id=one.id, error=str(error))
        except Exception:
            self._log.exception("hand-off failed", handoff_id=one.id)

    def _send(self, one: Handoff) -> None:
        with self._store.read() as tx:
            target = handoffs.downstream(tx, one.downstream_id)
            about = {
                "job_id": one.job_id,
                "correlation_id": jobs.job(tx, one.job_id).correlation_id,
            }
        began = self._clock()
        answer = self._posted(target, one, began) if target.disabled_at is None else None
        now = self._clock()
        follows = _next(one, target, answer, now)
        tried = HandoffTry(
            number=one.tries + 1,
            at=began,
            status=answer.status if answer else None,
            answer=answer.text[:_KEPT_OF_ANSWER] if answer else "",
            error=answer.error if answer else "The downstream is disabled.",
            took_ms=answer.took_ms if answer else 0.0,
        )
        with self._store.write() as tx:
            if not handoffs.record_try(
                tx, one.id, tried, status=follows.status, next_at=follows.at, at=now
            ):
                return
            self._judge(tx, target, answer, follows, now)
            settle_job(tx, one.job_id, one.generation, now)
        self._log.info(
            "handed off", handoff_id=one.id, status=tried.status, verdict=follows.status, **about
        )

    def _posted(self, target: Downstream, one: Handoff, now: datetime) -> Answer:
        try:
            url, secret = self._seal.open(target.url), self._seal.open(target.secret)
            headers = headers_for(secret, one.message_id, now, one.body)
            return post(url, headers, one.body, allow_private=self._allow_private)
        except NotAllowed as error:
            return Answer(None, "", str(error), 0.0)

    def _judge(
        self,
        tx: Transaction,
        target: Downstream,
        answer: Answer | None,
        follows: _Next,
        now: datetime,
    ) -> None:
        if answer is None:
            return
        if answer.is_success:
            handoffs.update_downstream(tx, target.id, failing_since=None)
        elif follows.disable:
            handoffs.disable(tx, target.id, follows.disable, now)
        elif target.failing_since is None:
            handoffs.update_downstream(tx, target.id, failing_since=now)


def _in_thread(act: Callable[[Any], None], what: object) -> threading.Thread:
    thread = threading.Thread(target=act, args=(what,), name="hand-off", daemon=True)
    thread.start()
    return thread


def _next(one: Handoff, target: Downstream, answer: Answer | None, now: datetime) -> _Next:
    """What follows from an answer: done, another try, the end, or the downstream's end."""
    if answer is None:
        return _Next(handoffs.FAILED, None)
    if answer.is_success:
        return _Next(handoffs.DELIVERED, None)
    if answer.status == _GONE:
        return _Next(handoffs.FAILED, None, "It answered 410: gone for good.")
    if target.failing_since is not None and now - target.failing_since > _DISABLED_AFTER:
        return _Next(handoffs.FAILED, None, f"It took nothing for {_DISABLED_AFTER.days} days.")
    if one.tries >= len(WAITS):
        return _Next(handoffs.FAILED, None)
    return _Next(handoffs.PENDING, now + WAITS[one.tries])


def _new(  # noqa: PLR0913 - the parts of one event
    target: Downstream,
    job: Job,
    message_id: str,
    event_type: str,
    body: bytes,
    now: datetime,
    actor: Actor = _SYSTEM,
) -> Handoff:
    return Handoff(
        id=new_id("hof"),
        message_id=message_id,
        downstream_id=target.id,
        job_id=job.id,
        generation=job.generation,
        event_type=event_type,
        body=body,
        status=handoffs.PENDING,
        created_at=now,
        next_at=now,
        actor=str(actor),
    )


def _body(job: Job, now: datetime) -> bytes:
    """The event: job, document, where the result lies, checksums, credits; never the text itself."""
    result = {"blob": path_of(job.result_blob), "sha256": job.result_blob}
    payload = {
        "type": f"job.{job.status.value}",
        "timestamp": now.isoformat(),
        "data": {
            "job_id": job.id,
            "submission_id": job.submission_id,
            "correlation_id": job.correlation_id,
            "status": job.status.value,
            "mode": job.mode.value,
            "simulated": job.mode is Mode.MOCK,
            "provisional": job.is_provisional,
            "tier": job.options.tier.value,
            "document": {
                "name": job.name,
                "sha256": job.document_sha256,
                "blob": path_of(job.document_sha256),
                "pages": job.page_count,
            },
            "result": result if job.result_blob else None,
            "credits": {"estimated": job.estimated_credits, "billed": job.billed_credits},
            "reason": job.reason,
        },
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
