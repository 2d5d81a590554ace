"""When to look again, and how long to be patient."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.jobs import Attempt, Job
from core.domain.routing import Mode

__all__ = [
    "BILL_WAITS",
    "DEADLINE",
    "NO_MORE",
    "RESULT_WAITS_S",
    "Patience",
    "deadline_of",
    "next_poll",
    "patience_of",
    "result_wait_s",
]

NO_MORE: float | None = None
"""The attempt has ended and needs no further look."""

DEADLINE = timedelta(hours=2)
"""How long a job may take at the vendor, from its submit on."""

BILL_WAITS = timedelta(days=3)
"""How long a bill is waited for after a job's end; from then on its reservation does not stay open.

The usage metrics are read three days back, so that whatever came in time is known by then.
"""

RESULT_WAITS_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Five minutes in all: the result of a completed job has been seen to come late, and never."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request may stay on the wire after its timeout, and the time between two listings.

    Also how long a retry by rule waits, and by how much the waits for a late result are shortened.
    """

    margin: timedelta
    between_listings: timedelta
    before_retry: timedelta
    haste: float = 1.0


_FAR = Patience(timedelta(seconds=30), timedelta(seconds=20), timedelta(seconds=30))
# Between two ports of one machine nothing stays on the wire.
_LOOPBACK = Patience(timedelta(seconds=3), timedelta(seconds=2), timedelta(seconds=1), haste=20.0)


def patience_of(job: Job) -> Patience:
    """The patience with the service that a job is sent to."""
    return _LOOPBACK if job.mode is Mode.MOCK else _FAR


def deadline_of(attempt: Attempt, now: datetime) -> datetime:
    """The attempt's deadline, later by the time in which nobody could ask the vendor about it."""
    heard_at = attempt.asked_at or attempt.submitted_at or now
    planned = timedelta(seconds=next_poll(attempt, attempt.webhook_expected))
    in_the_dark = now - heard_at - planned
    deadline = attempt.deadline_at or now + DEADLINE
    return deadline + in_the_dark if in_the_dark > _FAR.margin else deadline


def next_poll(attempt: Attempt, webhook: bool) -> float:
    """Gentle: with a webhook under way the first look is late, and looks grow rarer to 60 s."""
    if webhook:
        return float(min(60.0, 8.0 * 1.5 ** min(attempt.polls, 8)))
    return float(min(30.0, 1.0 + attempt.polls))


def result_wait_s(job: Job, attempt: Attempt) -> float:
    """Seconds until a result that was not there is asked for again."""
    which = min(attempt.polls, len(RESULT_WAITS_S) - 1)
    return RESULT_WAITS_S[which] / patience_of(job).haste
