"""Receiving webhooks: raw bytes, signature, one durable row, then the answer.

Nothing here waits for the vendor, a workflow or a screen; the row is the truth, the nudge is a hint.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.clock import Clock, new_id_in_order
from core.errors import StoreUnavailable, WebhookRejected
from core.store import Store, deliveries, recording
from core.store.deliveries import ACCEPTED, DUPLICATE, KEPT_BYTES, UNKNOWN_TYPE, Delivery
from core.store.recording import Recorded
from core.telemetry import Metrics, log
from core.webhooks.committer import Committer
from core.webhooks.flood import RefusalBudget
from core.webhooks.judgement import Freshness, Judge, Judgement
from core.webhooks.latecomers import Latecomers
from core.webhooks.nudger import Nudger
from core.webhooks.screening import redacted, tame
from core.webhooks.signatures import SigningSecret, presented

__all__ = ["STATUS_CODES", "Receipt", "Receiver"]

STATUS_CODES = {
    "missing_signature": 401,
    "bad_signature": 401,
    "no_secret": 401,
    "malformed": 400,
    "stale": 400,
    "future": 400,
    "incomplete": 400,
    "too_slow": 408,
    "too_large": 413,
    "unsupported": 415,
    "flood": 429,
}
"""The answer to each refusal; everything else is answered 200, or 503 when it could not be recorded."""

_KEPT_ROWS = 10_000
_TIDY_EVERY = 500
_LONGEST_SIGNATURE, _MOST_SIGNATURES = 300, 5
_INLINE_BYTES = 64 * 1024
_USUAL = Freshness()
_UNKNOWN = "not about a parse job: kept, changes nothing"
_UNSIGNED = {"missing_signature", "bad_signature", "no_secret"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a delivery: HTTP status and body. Bodies leak nothing."""

    status_code: int
    status: str
    delivery_id: str
    duplicate: bool = False

    def as_json(self) -> bytes:
        """The body. Each part is a word of ours, so nothing in it needs an escape."""
        repeated = "true" if self.duplicate else "false"
        text = f'{{"status":"{self.status}","delivery_id":"{self.delivery_id}","duplicate":{repeated}}}'
        return text.encode()


class Receiver:
    """Accepts signed events. ``secrets`` answers (scope, secret) pairs, asked anew for each delivery.

    ``refusals`` is how many refused deliveries are recorded in a row before the bound sets in.
    """

    def __init__(  # noqa: PLR0913 - each is a collaborator that tests replace
        self,
        store: Store,
        secrets: Callable[[], Sequence[tuple[str, SigningSecret]]],
        nudge: Callable[[str], object],
        *,
        max_bytes: int,
        clock: Clock,
        metrics: Metrics,
        freshness: Freshness = _USUAL,
        refusals: int = 100,
    ) -> None:
        self.max_bytes = max_bytes
        self._store = store
        self._judge = Judge(secrets, freshness, clock)
        self._committer = Committer(store, self._committed)
        self._nudger = Nudger(nudge)
        self._latecomers = Latecomers(self._wake_late)
        self._clock = clock
        self._metrics = metrics
        self._budget = RefusalBudget(self._record_flood, burst=refusals)
        self._untidy = 0
        self._log = log("webhooks")

    def close(self) -> None:
        """Write what waits, then stop."""
        self._budget.flush()
        self._committer.close()
        self._latecomers.close()
        self._nudger.close()

    def judge(
        self, headers: Mapping[str, str], body: bytes, *, is_replay: bool = False
    ) -> Judgement:
        """The verdict that these would get now; nothing is recorded."""
        too_large = len(body) > self.max_bytes
        what = f"The body is over {self.max_bytes:,} bytes."
        trouble = WebhookRejected("too_large", what) if too_large else None
        return self._judge.judge(headers, body, trouble, is_replay=is_replay)

    async def receive(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        trouble: WebhookRejected | None = None,
        size: int | None = None,
    ) -> Receipt:
        """Judge, record, answer. ``trouble`` is what stopped the body from being read to its end.

        ``size`` is how long the body is said to be, when it was not read. Raises ``StoreUnavailable``:
        an event that could not be recorded must not be answered 2xx.
        """
        began = time.perf_counter()
        if len(body) <= _INLINE_BYTES:
            judged = self._judge.judge(headers, body, trouble)
        else:
            judged = await asyncio.to_thread(self._judge.judge, headers, body, trouble)
        if judged.refusal is not None and not self._may_record(judged):
            return self._not_recorded(judged)
        delivery = self._delivery(headers, body, judged, began, size)
        return _receipt(delivery, await self._committer.commit(delivery))

    def replay(
        self, headers: Mapping[str, str], body: bytes, replay_of: str, actor: str
    ) -> Receipt:
        """The same for a recorded delivery that ``actor`` sends again: of any age, repeated on purpose.

        Raises ``StoreUnavailable``.
        """
        began = time.perf_counter()
        judged = self.judge(headers, body, is_replay=True)
        new = self._delivery(headers, body, judged, began)
        new = replace(new, replay_of=replay_of, actor=actor)
        return _receipt(new, self._committer.put(new).result(timeout=60))

    def _may_record(self, judged: Judgement) -> bool:
        # what a known sender signed is always recorded: nobody else can make it come in masses
        return judged.secret is not None or self._budget.take()

    def _not_recorded(self, judged: Judgement) -> Receipt:
        """Too many refusals: counted by the budget, which has one row a minute say how many."""
        self._metrics.count_webhooks("flood", 1)
        answer = "flood" if judged.verdict in _UNSIGNED else judged.verdict
        return Receipt(STATUS_CODES[answer], answer, "")

    def _record_flood(self, count: int) -> None:
        what = f"{count:,} more were refused within a minute; they were answered and not kept."
        self._log.warning("flood", refused=count)
        judged = Judgement()
        judged.verdict, judged.refusal = "flood", WebhookRejected("flood", what)
        self._committer.put(self._delivery({}, b"", judged, time.perf_counter()))

    def _delivery(
        self,
        headers: Mapping[str, str],
        body: bytes,
        judged: Judgement,
        began: float,
        size: int | None = None,
    ) -> Delivery:
        event, secret, refusal = judged.event, judged.secret, judged.refusal
        now = self._clock()
        return Delivery(
            id=new_id_in_order("dlv", now),
            event_id=event.event_id if event else "",
            event_type=event.event_type if event else "",
            vendor_job_id=event.vendor_job_id if event else "",
            scope=judged.scope,
            verdict=judged.verdict,
            reason=tame(refusal.what) if refusal else "",
            secret_label=secret.label if secret else "",
            secret_fingerprint=secret.fingerprint if secret else "",
            signature=_kept_signatures(headers) if refusal else "",
            headers=redacted(headers),
            body=body[:KEPT_BYTES] if refusal else body,
            body_size=min(size if size is not None else len(body), 2**31 - 1),
            steps=judged.steps,
            received_at=now,
            duration_ms=(time.perf_counter() - began) * 1000,
            event_at=event.at if event else None,
            outcome=_UNKNOWN if judged.verdict == UNKNOWN_TYPE else "",
        )

    # -- on the committer's thread ------------------------------------------------------------------

    def _committed(self, batch: Sequence[tuple[Delivery, Recorded]]) -> None:
        verdicts = Counter(d.verdict if r.is_new else DUPLICATE for d, r in batch)
        for verdict, count in verdicts.items():
            self._metrics.count_webhooks(verdict, count)
        self._untidy += verdicts[DUPLICATE]
        strangers = 0
        for delivery, recorded in batch:
            if delivery.is_refused:
                self._untidy += 1
                self._log.warning("refused", verdict=delivery.verdict, delivery_id=delivery.id)
            elif recorded.correlation_id:
                self._log.info(
                    delivery.verdict if recorded.is_new else DUPLICATE,
                    event_id=delivery.event_id,
                    event_type=delivery.event_type,
                    correlation_id=recorded.correlation_id,
                    delivery_id=delivery.id,
                )
            else:
                strangers += 1
            if recorded.is_new and recorded.workflow_id:
                self._nudger.put(recorded.workflow_id)
        if not self._store.is_sqlite:  # there one of the two transactions is always the later
            parked = [
                d for d, r in batch if d.verdict == ACCEPTED and r.is_new and not r.workflow_id
            ]
            self._latecomers.put(parked)
        if strangers:
            # one line for all: each has its row, and none has a document to follow through the log
            self._log.info("accepted, of no known job", deliveries=strangers)
        if self._untidy >= _TIDY_EVERY:
            self._untidy = 0
            self._tidy()

    def _wake_late(self, parked: Sequence[Delivery]) -> None:
        """Jobs that got their vendor id while its event was recorded: neither saw the other."""
        with self._store.read() as tx:
            for workflow_id in recording.workflows_of(tx, parked):
                self._nudger.put(workflow_id)

    def _tidy(self) -> None:
        try:
            with self._store.write() as tx:
                deliveries.forget(tx, keep=_KEPT_ROWS)
        except StoreUnavailable:
            self._log.warning("refused and repeated deliveries are tidied up later")


def _receipt(delivery: Delivery, recorded: Recorded) -> Receipt:
    if delivery.is_refused:
        return Receipt(STATUS_CODES[delivery.verdict], delivery.verdict, delivery.id)
    if not recorded.is_new:
        return Receipt(200, DUPLICATE, delivery.id, duplicate=True)
    is_known = delivery.verdict == ACCEPTED and recorded.workflow_id
    return Receipt(200, ACCEPTED if is_known else "parked", delivery.id)


def _kept_signatures(headers: Mapping[str, str]) -> str:
    """One line for each signature that was presented, as ``name: value``."""
    lines = [f"{name}: {value}"[:_LONGEST_SIGNATURE] for name, value in presented(headers)]
    return tame("\n".join(lines[:_MOST_SIGNATURES]))
