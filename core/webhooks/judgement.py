"""Judging a delivery, step by step, each step on record with what it found and how long it took."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from core.clock import Clock
from core.domain.events import EventKind, MalformedEvent, ParseEvent, read_event
from core.errors import WebhookRejected
from core.store.deliveries import ACCEPTED, UNKNOWN_TYPE
from core.webhooks.screening import check_form, tame
from core.webhooks.signatures import SigningSecret, verify

__all__ = ["STEPS", "Freshness", "Judge", "Judgement"]

STEPS = ("size", "form", "signature", "event", "freshness")
"""What is judged before anything is recorded, in this order; the first that fails is the verdict."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the moment in a signed event may lie ahead of and behind our clock."""

    ahead: timedelta = timedelta(minutes=5)
    behind: timedelta = timedelta(hours=24)


@dataclass(slots=True)
class Judgement:
    """The verdict on a delivery, and everything that was found out on the way."""

    verdict: str = ACCEPTED
    refusal: WebhookRejected | None = None
    scope: str = ""
    secret: SigningSecret | None = None
    event: ParseEvent | None = None
    steps: list[list[Any]] = field(default_factory=list)


class Judge:
    """Judges with the secrets and the clock of the moment; ``replay`` skips what a repeat cannot fulfil."""

    def __init__(
        self,
        secrets: Callable[[], Sequence[tuple[str, SigningSecret]]],
        freshness: Freshness,
        clock: Clock,
    ) -> None:
        self._secrets = secrets
        self._window = freshness
        self._clock = clock

    def judge(
        self,
        headers: Mapping[str, str],
        body: bytes,
        trouble: WebhookRejected | None = None,
        *,
        is_replay: bool = False,
    ) -> Judgement:
        """The verdict; a refusal is part of it and never raised."""
        judged = Judgement()
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("size", lambda: _size(body, trouble)),
            ("form", lambda: check_form(headers)),
            ("signature", lambda: self._signature(judged, headers, body)),
            ("event", lambda: _event(judged, body)),
            ("freshness", lambda: self._freshness(judged, is_replay=is_replay)),
        )
        began = time.perf_counter()
        for name, step in steps:
            try:
                found, holds = step(), True
            except WebhookRejected as refusal:
                judged.refusal, judged.verdict = refusal, refusal.reason
                found, holds = tame(refusal.what), False
            ended = time.perf_counter()
            judged.steps.append([name, holds, found, round((ended - began) * 1000, 3)])
            began = ended
            if not holds:
                return judged
        if judged.event is not None and _is_foreign(judged.event):
            judged.verdict = UNKNOWN_TYPE
        return judged

    def _signature(self, judged: Judgement, headers: Mapping[str, str], body: bytes) -> str:
        pairs = self._secrets()
        matched = verify(headers, body, [secret for _scope, secret in pairs])
        judged.scope = next(scope for scope, secret in pairs if secret is matched)
        judged.secret = matched
        return f"made with {matched.label} ({matched.fingerprint})"

    def _freshness(self, judged: Judgement, *, is_replay: bool) -> str:
        if is_replay:
            return "a replay may be of any age"
        at = judged.event.at if judged.event else None
        if at is None:
            return "the event does not say when it was made"
        age = self._clock() - at
        if age > self._window.behind:
            raise WebhookRejected("stale", f"The event was made {_span(age)} ago, too long.")
        if -age > self._window.ahead:
            raise WebhookRejected("future", f"The event is from {_span(-age)} ahead of our clock.")
        return f"made {_span(abs(age))} {'ago' if age >= timedelta(0) else 'ahead of our clock'}"


def _size(body: bytes, trouble: WebhookRejected | None) -> str:
    if trouble is not None:
        raise trouble
    return f"{len(body):,} bytes"


def _event(judged: Judgement, body: bytes) -> str:
    try:
        event = read_event(body)
    except MalformedEvent as error:
        raise WebhookRejected("malformed", f"{str(error).capitalize()}.") from error
    if judged.scope == "test" and not event.is_test:
        # the secret for tests opens nothing else: told as any other secret that does not fit
        judged.secret, judged.scope = None, ""
        raise WebhookRejected(
            "bad_signature", "Signed with the secret for tests, but not marked as a test."
        )
    judged.event = event
    return f"{event.event_type} for {event.vendor_job_id or 'no job'}"


def _is_foreign(event: ParseEvent) -> bool:
    """Whether it is about something else than a parse job."""
    is_parse = event.event_type.startswith(("parse.", "flat."))
    return event.kind is EventKind.OTHER and not (is_parse and event.vendor_job_id)


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    if seconds < 120:  # noqa: PLR2004 - people count so
        return f"{seconds:.1f} s"
    if seconds < 7200:  # noqa: PLR2004
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:,.0f} days"  # noqa: PLR2004
