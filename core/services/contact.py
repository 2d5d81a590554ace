"""First contact with the service: one page parsed for real, and each fact confirmed or not.

Goes through the console's own pipeline, so that limits, ledger and webhooks hold as always.
"""

import io
import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from core.domain.jobs import Actor, Attempt, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.engines.llamaparse import LiveFact, Verdict
from core.errors import NotAllowed
from core.samples import pdf_of_text
from core.services.jobs import Jobs, JobView
from core.services.quotes import Quote
from core.services.submit import Submissions
from core.settings import REGIONS, Settings
from core.store.deliveries import ACCEPTED, Delivery

__all__ = ["FirstContact"]

_TIER = Tier.COST_EFFECTIVE
_POLL_S = 0.5
_PARSED_WITHIN_S = 600.0
_TOLD_WITHIN_S = 30.0
_EVENTS = {
    f"parse.{name}"
    for name in ("pending", "running", "success", "error", "partial_success", "cancelled")
}
_HEADERS = {"x-webhook-event-id", "x-webhook-event-type"}
_KEPT = LiveFact(
    "delete",
    Verdict.UNKNOWN,
    "Not tried before the bill is known: the job stays at LlamaParse. Delete it there (--wait asks longer).",
)
_WEBHOOK = ("webhook", "signature", "body format", "event names", "webhook headers")


class FirstContact:
    """Quotes one page, parses it in REAL, and reports."""

    def __init__(
        self,
        settings: Settings,
        submissions: Submissions,
        jobs: Jobs,
        wire_facts: Callable[[str, str], tuple[LiveFact, ...]],
        removal_fact: Callable[[str], LiveFact],
    ) -> None:
        self._settings = settings
        self._submissions = submissions
        self._jobs = jobs
        self._wire_facts = wire_facts
        self._removal_fact = removal_fact

    def quote(self) -> Quote:
        """The price of the one page; nothing is sent. Raises ``NotAllowed`` without a key."""
        if self._settings.api_key is None:
            raise NotAllowed("There is no key to ask LlamaParse with.", "Set LLAMAPARSE_API_KEY.")
        # words of its own each time: what the vendor's cache answers costs nothing and shows less
        page = pdf_of_text([f"First contact\nThis page was made for {uuid.uuid4()}."])
        upload = self._submissions.preflight("first-contact.pdf", io.BytesIO(page))
        return self._submissions.quote([upload], _TIER, Mode.REAL, parse_again=True)

    def run(self, quote: Quote, actor: Actor, *, billed_within_s: float = 120.0) -> list[LiveFact]:
        """Parse it, report, and delete it at the service; a worker must run.

        Waits so long at most for the bill. What is not billed yet is not deleted: it could not say
        any more what it cost.
        """
        submission = self._submissions.submit(quote, actor, f"contact-{uuid.uuid4().hex}")
        job_id = submission.job_ids[0]
        view = self._until(job_id, _is_at_rest, _PARSED_WITHIN_S)
        if not view.job.status.has_result:
            reason = f"{view.job.reason} {view.job.next_step}".strip()
            what = reason or f"The job is {view.job.status.value} still."
            ended = self._until(job_id, _is_billed, billed_within_s)
            return [LiveFact("parse", Verdict.DIFFERENT, what), *self._removed(ended)]
        attempt = view.attempts[-1]
        facts = [*self._asked(view, attempt), *self._wire_facts(_vendor_id(attempt), attempt.id)]
        facts += self._told(job_id, _TOLD_WITHIN_S)
        facts.append(self._billed(job_id, attempt, billed_within_s))
        return [*facts, *self._removed(self._jobs.view(job_id))]

    def _asked(self, view: JobView, attempt: Attempt) -> list[LiveFact]:
        url = self._settings.base_url
        region = next((name for name, known in REGIONS.items() if known == url), "")
        took = view.job.updated_at - view.job.created_at
        pages = len(self._jobs.result(view.job).pages)
        return [
            LiveFact("auth", Verdict.CONFIRMED, "The key is accepted as a bearer."),
            LiveFact(
                "region",
                Verdict.CONFIRMED if region else Verdict.UNKNOWN,
                f"The key is good in {region.upper()}." if region else f"{url} is no region known.",
            ),
            LiveFact.judged(
                "parse",
                f"One page at {_TIER}, version {attempt.version}, in {_seconds(took)}.",
                "" if pages == 1 else f"{pages} pages came back for one.",
            ),
        ]

    def _told(self, job_id: str, within_s: float) -> list[LiveFact]:
        if not self._settings.sends_webhooks:
            why = "No webhook was asked for: PARSEDECK_PUBLIC_URL (https) and LLAMAPARSE_WEBHOOK_SECRET are needed."
            return [LiveFact(topic, Verdict.UNKNOWN, why) for topic in _WEBHOOK]
        view = self._until(job_id, lambda v: bool(v.deliveries), within_s)
        events = [delivery for delivery in view.deliveries if delivery.verdict == ACCEPTED]
        if not events:
            why = f"None arrived within {within_s:.0f} s; see the Webhooks screen for refused ones."
            return [LiveFact(topic, Verdict.UNKNOWN, why) for topic in _WEBHOOK]
        first, ended = events[0], view.attempts[-1].finished_at or view.job.updated_at
        after = _seconds(first.received_at - ended) if first.received_at > ended else "in time"
        return [
            LiveFact("webhook", Verdict.CONFIRMED, f"It arrived ({after})."),
            LiveFact("signature", Verdict.CONFIRMED, f"It holds with {first.secret_label}."),
            LiveFact.judged("body format", "A JSON object, as asked for.", _odd_body(first)),
            LiveFact.judged("event names", _names(events), _odd_names(events)),
            LiveFact.judged("webhook headers", "As documented.", _odd_headers(first)),
        ]

    def _billed(self, job_id: str, attempt: Attempt, within_s: float) -> LiveFact:
        view = self._until(job_id, lambda v: v.attempts[-1].reported_credits is not None, within_s)
        credits_ = view.attempts[-1].reported_credits
        if credits_ is None:
            return LiveFact(
                "usage",
                Verdict.UNKNOWN,
                f"Not billed within {within_s:.0f} s; the job shows it when it is (--wait asks longer).",
            )
        waited = time.time() - (attempt.finished_at or attempt.created_at).timestamp()
        fine = f"{credits_} credits, known {max(0.0, waited):.0f} s after the result."
        expected = attempt.estimated_credits
        problem = "" if credits_ == expected else f"{fine} The quote said {expected}."
        return LiveFact.judged("usage", fine, problem)

    def _removed(self, view: JobView) -> list[LiveFact]:
        """What was seen when each job that the service made of the page was deleted there."""
        return [
            self._removal_fact(_vendor_id(attempt)) if _is_settled(attempt) else _KEPT
            for attempt in _made(view)
        ]

    def _until(self, job_id: str, holds: Callable[[JobView], bool], within_s: float) -> JobView:
        """The job once this holds, or as it is when the time is up."""
        deadline = time.monotonic() + within_s
        while True:
            view = self._jobs.view(job_id)
            if holds(view) or time.monotonic() > deadline:
                return view
            time.sleep(_POLL_S)


def _is_at_rest(view: JobView) -> bool:
    return view.job.status.is_final or view.job.status is JobStatus.HELD


def _made(view: JobView) -> list[Attempt]:
    return [attempt for attempt in view.attempts if attempt.vendor_job_id]


def _is_billed(view: JobView) -> bool:
    return all(map(_is_settled, _made(view)))


def _is_settled(attempt: Attempt) -> bool:
    return attempt.status.is_final and attempt.reported_credits is not None


def _vendor_id(attempt: Attempt) -> str:
    return attempt.vendor_job_id or ""


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.1f} s"


def _odd_body(delivery: Delivery) -> str:
    body = json.loads(delivery.body)
    return "" if isinstance(body, dict) else "The event is encoded once more, as a JSON string."


def _names(events: list[Delivery]) -> str:
    return f"{', '.join(sorted({event.event_type for event in events}))}."


def _odd_names(events: list[Delivery]) -> str:
    odd = sorted({event.event_type for event in events} - _EVENTS)
    return f"Not in the documentation: {', '.join(odd)}." if odd else ""


def _odd_headers(delivery: Delivery) -> str:
    missing = sorted(_HEADERS - delivery.headers.keys())
    return f"Missing: {', '.join(missing)}." if missing else ""
