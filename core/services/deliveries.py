"""The webhook desk: what came in, why it was refused, what it changed."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.clock import Clock, is_recent
from core.domain.events import MalformedEvent, decoded, named_job
from core.domain.jobs import Job
from core.errors import NotAllowed, NotFound, WebhookRejected
from core.store import Store, Transaction, deliveries, inbox, jobs
from core.store.deliveries import ACCEPTED, DUPLICATE, Delivery
from core.store.inbox import DeliveryFilter, Line
from core.store.paging import Cursor, Page, page_of
from core.webhooks.forensics import Case, Finding, diagnose
from core.webhooks.outbound import Answer, check_target, post
from core.webhooks.signatures import VENDOR_HEADER, SigningSecret, sign, verify

__all__ = ["Check", "CheckState", "Counts", "Deliveries", "DeliveryView", "what_it_waits_for"]

_AFTER = {
    "asked: completed": "fetching",
    "asked: failed": "failed",
    "asked: cancelled": "cancelled",
}
_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
_COUNTS_LIVE = timedelta(seconds=2)
_LISTEN_S, _LATE_COMMIT = 0.2, timedelta(seconds=30)
_STEP_NAMES = ("size", "form", "signature", "event", "freshness")


class CheckState(StrEnum):
    """How one line of the checklist stands."""

    OK = "ok"
    FAILED = "failed"
    WAITING = "waiting"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the verdict: what was looked at, how it stands, what was found, how long it took."""

    name: str
    state: CheckState
    found: str
    took_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What the last 24 hours brought, by verdict, and how fast it comes now."""

    by_verdict: Mapping[str, int]
    last_minute: int
    last_hour: int

    @property
    def total(self) -> int:
        """All of the last 24 hours."""
        return sum(self.by_verdict.values())

    @property
    def refused(self) -> int:
        """Those that were told no."""
        known = deliveries.ANSWERED_OK | {deliveries.PARKED}
        return sum(count for verdict, count in self.by_verdict.items() if verdict not in known)


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """All that the page of one delivery shows. ``pretty`` is empty when the body is no JSON."""

    delivery: Delivery
    checks: tuple[Check, ...]
    pretty: str
    job: Job | None
    state_before: str
    state_after: str
    findings: tuple[Finding, ...]


class Deliveries:
    """Reads around deliveries. ``secrets`` answers the (scope, secret) pairs of today."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        secrets: Callable[[], Sequence[tuple[str, SigningSecret]]] = tuple,
    ) -> None:
        self._store = store
        self._clock = clock
        self._secrets = secrets
        self._counted: tuple[datetime, Counts | None] = (clock(), None)
        self._counted_until: tuple[datetime, Counter[str], int] | None = None

    def page(
        self, which: DeliveryFilter, *, at: Cursor | None = None, limit: int = 50
    ) -> Page[Line]:
        """One page of the inbox, newest first."""
        with self._store.read() as tx:
            lines = inbox.page(tx, which, at=at, limit=limit + 1)
        return page_of(lines, at, limit, lambda line: (line.received_at, line.id))

    def counts(self) -> Counts:
        """Numbers of the last 24 hours, hour and minute, at most two seconds old.

        So that any number of people who look on cost no more than one. Hour and day begin up to a minute
        early: what there is of them is counted once a minute, and each time only what came since.
        """
        now = self._clock()
        counted_at, counts = self._counted
        if counts is not None and now - counted_at < _COUNTS_LIVE:
            return counts
        with self._store.read() as tx:
            until, day, hour = self._counts_until(tx, now)
            newer = Counter(inbox.count_by_verdict(tx, until))
            minute = sum(inbox.count_by_verdict(tx, now - _MINUTE).values())
        counts = Counts(day + newer, minute, hour + newer.total())
        self._counted = (now, counts)
        return counts

    def _counts_until(self, tx: Transaction, now: datetime) -> tuple[datetime, Counter[str], int]:
        """Until when counted, the day by verdict, and the hour; what is dated later may still be under way."""
        until = now - _LATE_COMMIT
        if self._counted_until is None or not is_recent(self._counted_until[0], until, _MINUTE):
            day = Counter(inbox.count_by_verdict(tx, now - _DAY, until))
            hour = sum(inbox.count_by_verdict(tx, now - _HOUR, until).values())
            self._counted_until = until, day, hour
        return self._counted_until

    def event_types(self) -> Sequence[str]:
        """Every event type that was ever received."""
        with self._store.read() as tx:
            return inbox.event_types(tx)

    def view(self, delivery_id: str) -> DeliveryView:
        """One delivery and what came of it. Raises ``NotFound``."""
        with self._store.read() as tx:
            found = deliveries.delivery(tx, delivery_id)
            if found is None:
                raise NotFound("delivery", delivery_id)
            job = jobs.job(tx, found.job_id) if found.job_id else None
            given = _given_to_vendor(tx, found) if found.is_refused else ""
        before = found.attempt_before
        return DeliveryView(
            delivery=found,
            checks=_checks(found),
            pretty=_pretty(found.body),
            job=job,
            state_before=before,
            state_after=_AFTER.get(found.outcome, before),
            findings=self._findings(found, given),
        )

    def verify(self, body: bytes, header: str, value: str) -> tuple[str, tuple[Finding, ...]]:
        """Which secret of today signed these bytes, by its name; else the likely mistakes."""
        secrets = self._secrets()
        try:
            matched = verify({header: value}, body, [secret for _scope, secret in secrets])
        except WebhookRejected:
            known = [pair for pair in secrets if pair[0] != "test"]
            case = Case("bad_signature", body, True, [(header, value)], known, self._clock())
            return "", diagnose(case)
        return f"{matched.label} ({matched.fingerprint})", ()

    def signed_again(self, delivery: Delivery) -> dict[str, str]:
        """Headers for the original bytes, signed anew with the secret that held when they came.

        For the same bytes and secret that is the same signature. Raises ``NotAllowed`` when that
        secret is not configured any more.
        """
        by_print = {secret.fingerprint: secret for _scope, secret in self._secrets()}
        secret = by_print.get(delivery.secret_fingerprint)
        if secret is None:
            raise NotAllowed(
                f"The secret {delivery.secret_fingerprint or 'of a refused delivery'} is not configured.",
                "Have it signed anew with the secret of today.",
            )
        content_type = str(delivery.headers.get("content-type", "application/json"))
        return {"Content-Type": content_type, VENDOR_HEADER: sign(secret, delivery.body)}

    def forwarded(self, url: str) -> Iterator[tuple[Delivery, Answer]]:
        """Each delivery accepted from now on, once it was sent to ``url``, one by one; ends never.

        One that cannot be signed again is not sent, and its answer says why. Raises ``NotAllowed`` for an
        address that is none.
        """
        check_target(url, allow_private=True)
        since, seen = self._clock(), frozenset[str]()
        while True:
            looked_at = self._clock()
            with self._store.read() as tx:
                accepted = inbox.ids(
                    tx, DeliveryFilter(frozenset({ACCEPTED, deliveries.PARKED}), since=since)
                )
            for delivery_id in accepted:
                if delivery_id not in seen:
                    yield self._forwarded(delivery_id, url)
            # A batch that commits late is dated a little before others that were seen already; and however
            # long the sending took, what came meanwhile is still to be looked at.
            since, seen = max(since, looked_at - _LATE_COMMIT), frozenset(accepted)
            time.sleep(_LISTEN_S)

    def _forwarded(self, delivery_id: str, url: str) -> tuple[Delivery, Answer]:
        with self._store.read() as tx:
            delivery = deliveries.delivery(tx, delivery_id)
        if delivery is None:
            raise NotFound("delivery", delivery_id)
        try:
            headers = self.signed_again(delivery)
        except NotAllowed as error:
            return delivery, Answer(None, "", error.what, 0.0)
        return delivery, post(url, headers, delivery.body, allow_private=True)

    def _findings(self, delivery: Delivery, given_to_vendor: str) -> tuple[Finding, ...]:
        return diagnose(
            Case(
                verdict=delivery.verdict,
                body=delivery.body,
                body_is_whole=delivery.is_whole,
                presented=delivery.presented,
                secrets=self._secrets(),
                received_at=delivery.received_at,
                given_to_vendor=given_to_vendor,
            )
        )


def _given_to_vendor(tx: Transaction, refused: Delivery) -> str:
    """The secret of the job that a refused delivery claims to be about; a claim, good for a hint only."""
    try:
        vendor_job_id = named_job(refused.body)
    except MalformedEvent:
        return ""
    attempt = jobs.attempt_by_vendor_id(tx, vendor_job_id)
    return attempt.webhook_secret if attempt else ""


def _checks(delivery: Delivery) -> tuple[Check, ...]:
    """The checklist: what was judged on arrival, then what became of it."""
    judged = {str(step[0]): step for step in delivery.steps}
    checks = []
    for name in _STEP_NAMES:
        step = judged.get(name)
        if step is None:
            checks.append(Check(name, CheckState.SKIPPED, "not looked at any more"))
            continue
        state = CheckState.OK if step[1] else CheckState.FAILED
        checks.append(Check(name, state, str(step[2]), float(step[3])))
    return (*checks, _first_time(delivery), _applied(delivery))


def _first_time(delivery: Delivery) -> Check:
    if delivery.is_refused:
        return Check("first time", CheckState.SKIPPED, "not looked at any more")
    if delivery.replay_of:
        return Check("first time", CheckState.OK, f"a replay by {delivery.actor}: may repeat")
    if delivery.verdict == DUPLICATE:
        return Check("first time", CheckState.FAILED, "this event was received before")
    return Check("first time", CheckState.OK, "this event is new")


def _applied(delivery: Delivery) -> Check:
    if delivery.verdict != ACCEPTED:
        return Check("applied", CheckState.SKIPPED, delivery.outcome or "changes nothing")
    if delivery.applied_at is None:
        return Check("applied", CheckState.WAITING, what_it_waits_for(delivery.job_id))
    waited_ms = (delivery.applied_at - delivery.received_at).total_seconds() * 1000
    return Check("applied", CheckState.OK, delivery.outcome, max(0.0, waited_ms))


def what_it_waits_for(job_id: str | None) -> str:
    """Why an accepted event is not applied yet."""
    return "its job will look at it" if job_id else "parked until its job is known"


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(dict(decoded(body)), indent=2, ensure_ascii=False)
    except (MalformedEvent, ValueError, RecursionError):
        return ""
