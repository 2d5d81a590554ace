"""Receiving webhooks: raw bytes, signature, one durable row, then the answer.

Nothing here waits for the vendor, a workflow or a screen; the row is the truth, the nudge is a hint.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.clock import Clock, new_id
from core.domain.events import MalformedEvent, ParseEvent, read_event
from core.errors import WebhookRejected
from core.store import Store, deliveries, jobs
from core.telemetry import Metrics, log
from core.webhooks.signatures import SigningSecret, verify

__all__ = ["Receipt", "Receiver"]

_STATUS = {
    "missing_signature": 401,
    "bad_signature": 401,
    "no_secret": 401,
    "malformed": 400,
    "too_large": 413,
}
_KEPT_OF_REFUSED = 4096
_SECRET_HEADERS = {
    "authorization",
    "cookie",
    "proxy-authorization",
    "lc-signature",
    "x-webhook-signature",
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a delivery: HTTP status and body. Bodies leak nothing."""

    status_code: int
    status: str
    delivery_id: str
    duplicate: bool = False

    def as_json(self) -> dict[str, object]:
        """The body."""
        return {"status": self.status, "delivery_id": self.delivery_id, "duplicate": self.duplicate}


class Receiver:
    """Accepts signed events. ``secrets`` answers (scope, secret) pairs, asked anew for each delivery."""

    def __init__(  # noqa: PLR0913 - each is a collaborator that tests replace
        self,
        store: Store,
        secrets: Callable[[], Sequence[tuple[str, SigningSecret]]],
        nudge: Callable[[str], object],
        *,
        max_bytes: int,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._nudge = nudge
        self.max_bytes = max_bytes
        self._clock = clock
        self._metrics = metrics
        self._log = log("webhooks")

    def receive(self, headers: Mapping[str, str], body: bytes, *, is_cut: bool = False) -> Receipt:
        """Judge, record, answer. ``is_cut`` says that the body was longer than ``max_bytes``.

        Raises ``StoreUnavailable``: an event that could not be recorded must not be answered 2xx.
        """
        began = time.perf_counter()
        try:
            self._check_size(is_cut=is_cut)
            scope, secret = self._verified(headers, body)
            event = _event(body)
        except WebhookRejected as refusal:
            return self._refuse(headers, body, refusal, began)
        return self._accept(headers, body, scope, secret, event, began)

    def _check_size(self, *, is_cut: bool) -> None:
        if is_cut:
            raise WebhookRejected("too_large", f"the body is over {self.max_bytes:,} bytes")

    def _verified(self, headers: Mapping[str, str], body: bytes) -> tuple[str, SigningSecret]:
        pairs = self._secrets()
        matched = verify(headers, body, [secret for _scope, secret in pairs])
        scope = next(scope for scope, secret in pairs if secret is matched)
        return scope, matched

    def _refuse(
        self, headers: Mapping[str, str], body: bytes, refusal: WebhookRejected, began: float
    ) -> Receipt:
        delivery = deliveries.Delivery(
            id=new_id("dlv"),
            event_id="",
            event_type="",
            vendor_job_id="",
            scope="",
            verdict=refusal.reason,
            reason=refusal.what,
            secret_label="",
            headers=_redacted(headers),
            body=body[:_KEPT_OF_REFUSED],
            body_size=len(body),
            received_at=self._clock(),
            duration_ms=(time.perf_counter() - began) * 1000,
            event_at=None,
        )
        with self._store.write() as tx:
            deliveries.add(tx, delivery)
        self._metrics.count_webhook(refusal.reason)
        self._log.warning("refused", verdict=refusal.reason, delivery_id=delivery.id)
        return Receipt(_STATUS.get(refusal.reason, 400), refusal.reason, delivery.id)

    def _accept(  # noqa: PLR0913 - the parts of one delivery
        self,
        headers: Mapping[str, str],
        body: bytes,
        scope: str,
        secret: SigningSecret,
        event: ParseEvent,
        began: float,
    ) -> Receipt:
        delivery = deliveries.Delivery(
            id=new_id("dlv"),
            event_id=event.event_id,
            event_type=event.event_type,
            vendor_job_id=event.vendor_job_id,
            scope=scope,
            verdict="accepted",
            reason="",
            secret_label=secret.label,
            headers=_redacted(headers),
            body=body,
            body_size=len(body),
            received_at=self._clock(),
            duration_ms=(time.perf_counter() - began) * 1000,
            event_at=event.at,
        )
        with self._store.write() as tx:
            is_new = deliveries.add(tx, delivery)
            attempt = jobs.attempt_by_vendor_id(tx, event.vendor_job_id)
            job = None if attempt is None else jobs.job(tx, attempt.job_id)
        self._metrics.count_webhook("accepted" if is_new else "duplicate")
        correlation_id = job.correlation_id if job else ""
        self._log.info(
            "accepted" if is_new else "duplicate",
            event_id=event.event_id,
            event_type=event.event_type,
            correlation_id=correlation_id,
            delivery_id=delivery.id,
        )
        if is_new and job is not None:
            self._nudge(job.workflow_id)
        status = "duplicate" if not is_new else ("accepted" if job else "parked")
        return Receipt(200, status, delivery.id, duplicate=not is_new)


def _event(body: bytes) -> ParseEvent:
    try:
        return read_event(body)
    except MalformedEvent as error:
        reason = "malformed"
        raise WebhookRejected(reason, str(error)) from error


def _redacted(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {}
    for name, value in list(headers.items())[:60]:
        lower = name.lower()
        kept[lower[:100]] = (
            f"({len(value)} characters)" if lower in _SECRET_HEADERS else value[:500]
        )
    return kept
