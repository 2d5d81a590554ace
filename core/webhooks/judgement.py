"""Judging a delivery, step by step, each step on record with what it found and how long it took."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


class Judgement:
    """The verdict on a delivery, and everything that was found out on the way.

    ``steps`` are (name, whether it held, what was found, milliseconds), as far as it came.
    """

    __slots__ = ("_began", "event", "refusal", "scope", "secret", "steps", "verdict")

    def __init__(self) -> None:
        self.verdict = ACCEPTED
        self.refusal: WebhookRejected | None = None
        self.scope = ""
        self.secret: SigningSecret | None = None
        self.event: ParseEvent | None = None
        self.steps: list[list[Any]] = []
        self._began = time.perf_counter_ns()

    def note(self, found: str, *, holds: bool = True) -> None:
        """The step that is due came to this."""
        ended = time.perf_counter_ns()
        took_ms = (ended - self._began) // 1000 / 1000
        self.steps.append([STEPS[len(self.steps)], holds, found, took_ms])
        self._began = ended

    def refuse(self, refusal: WebhookRejected) -> None:
        """The verdict, and the step that is due the last one."""
        self.refusal, self.verdict = refusal, refusal.reason
        self.note(tame(refusal.what), holds=False)


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
        note = judged.note
        try:
            note(_size(body, trouble))
            note(check_form(headers))
            note(self._signature(judged, headers, body))
            note(_event(judged, body))
            note(self._freshness(judged, is_replay=is_replay))
        except WebhookRejected as refusal:
            judged.refuse(refusal)
        else:
            if judged.event is not None and _is_foreign(judged.event):
                judged.verdict = UNKNOWN_TYPE
        return judged

    def _signature(self, judged: Judgement, headers: Mapping[str, str], body: bytes) -> str:
        pairs = self._secrets()
        matched = verify(headers, body, [secret for _scope, secret in pairs])
        for scope, secret in pairs:
            if secret is matched:
                judged.scope, judged.secret = scope, matched
                break
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
        what = str(error)
        raise WebhookRejected("malformed", f"{what[:1].upper()}{what[1:]}.") from error
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
