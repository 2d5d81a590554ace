"""What a delivery would do, said before it does it: the verdict, and the change to its job."""

from dataclasses import dataclass

from core.domain.jobs import Job
from core.domain.routing import Mode
from core.store import Transaction, deliveries, jobs
from core.store.deliveries import ACCEPTED
from core.webhooks.judgement import Judgement
from core.webhooks.receiver import STATUS_CODES

__all__ = ["Foresight", "foresee"]


@dataclass(frozen=True, slots=True)
class Foresight:
    """``moves`` says whether a job may change at all; it costs nothing in any case."""

    status_code: int
    verdict: str
    change: str
    moves: bool
    job: Job | None = None


def foresee(tx: Transaction, judged: Judgement, *, is_replay: bool = False) -> Foresight:
    """What would come of a delivery that was judged so."""
    if judged.refusal is not None:
        status = STATUS_CODES[judged.refusal.reason]
        return Foresight(status, judged.verdict, f"{judged.refusal.what} Nothing changes.", False)
    event = judged.event
    if event and not is_replay and deliveries.is_known(tx, judged.scope, event.event_id):
        return Foresight(200, "duplicate", "It was received before: nothing changes.", False)
    if event is None or judged.verdict != ACCEPTED:
        return Foresight(200, "parked", "It is kept and shown; no job changes by it.", False)
    return _on_job(tx, judged.scope, event.vendor_job_id)


def _on_job(tx: Transaction, scope: str, vendor_job_id: str) -> Foresight:
    attempt = jobs.attempt_by_vendor_id(tx, vendor_job_id)
    if attempt is None:
        change = "No job here has that id yet: it is parked, and applied if the id appears."
        return Foresight(200, "parked", change, False)
    job = jobs.job(tx, attempt.job_id)
    if deliveries.why_not_its_own(scope, job.mode.value):
        kind = {"test": "signed for tests", "mock": "signed for MOCK"}.get(scope, "real")
        change = f"It is {kind}: a {job.mode.value.upper()} job never changes by it."
        return Foresight(200, "parked", change, False, job)
    if attempt.status.is_final:
        words = attempt.status.value
        change = f"Its attempt is {words} already, which is final: recorded, nothing changes."
        return Foresight(200, "accepted", change, False, job)
    who = "the simulator" if job.mode is Mode.MOCK else "LlamaParse"
    change = (
        f"Its job is woken and asks {who}; it changes to what the answer says, from "
        f"“{attempt.status.value}”, whatever the event claims."
    )
    return Foresight(200, "accepted", change, True, job)
