"""What the vendor says it billed, beside what the ledger says."""

import io
from datetime import date

import pytest

from core.console import Console
from core.domain.jobs import JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.simulator import SimulatorConfig
from core.store import balances, jobs, ledger
from core.store.usage import UsageRecord
from tests.factories import ALICE, finished, submitted
from tests.money.office import Maker


def _real_job(console: Console) -> tuple[str, str]:
    """A finished real job that reported 10 credits, and the vendor's id of it."""
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
    job_id = console.submissions.submit(quote, ALICE, "press").job_ids[0]
    attempt = console.jobs.view(job_id).attempts[0]
    with console.store.write() as tx:
        jobs.update_attempt(
            tx, attempt.id, status="done", vendor_job_id="pjb-1", reported_credits=10, submits=1
        )
    return job_id, "pjb-1"


def _record(vendor_job_id: str, credits_: int, number: int = 1) -> UsageRecord:
    return UsageRecord(
        f"u-{number}", date(2026, 11, 24), vendor_job_id, "pages_parsed", 1, credits_
    )


def test_usage_metrics_correct_the_ledger_once(make_console: Maker) -> None:
    """What the vendor billed is what counts; the same record again changes nothing."""
    console = make_console(api_key="llx-test")
    job_id, vendor_id = _real_job(console)
    assert console.drift.take_in([_record(vendor_id, 12), _record("pjb-other", 7, 2)]) == 1
    assert console.drift.take_in([_record(vendor_id, 12)]) == 0
    with console.store.read() as tx:
        assert ledger.billed_credits(tx, job_id) == 12
        assert balances.differences(tx) == ()
    day = console.drift.days(back=10_000)[0]
    assert (day.estimated, day.reported, day.billed, day.outside) == (10, 10, 12, 7)


def test_drift_past_its_share_is_told_and_can_freeze_real(make_console: Maker) -> None:
    """Bills far from reports raise an alert; when it is set so, real work waits until it is lifted."""
    console = make_console(api_key="llx-test")
    _job, vendor_id = _real_job(console)
    console.drift.set_share("10", ALICE, freezes=True)
    record = UsageRecord("u", console.clock().date(), vendor_id, "pages_parsed", 1, 20)
    console.drift.take_in([record])
    assert any("100% apart" in alert.what for alert in console.alerts.recent("real"))
    upload = console.submissions.preflight("b.txt", io.BytesIO(b"more"))
    quote = console.submissions.quote([upload], Tier.FAST, Mode.REAL)
    job_id = console.submissions.submit(quote, ALICE, "frozen").job_ids[0]
    job = console.jobs.view(job_id).job
    assert (job.status, "frozen" in job.reason) == (JobStatus.HELD, True)
    with pytest.raises(NotAllowed, match="reason"):
        console.drift.lift(ALICE, "")
    console.drift.lift(ALICE, "their page says the same")
    assert console.drift.frozen() == ""


def test_simulated_work_goes_on_while_real_is_frozen(make_console: Maker) -> None:
    """The freeze is about real money only."""
    console = make_console(api_key="llx-test")
    _job, vendor_id = _real_job(console)
    console.drift.set_share("10", ALICE, freezes=True)
    console.drift.take_in([UsageRecord("u", console.clock().date(), vendor_id, "x", 1, 90)])
    assert console.drift.frozen()
    job_id = submitted(console, {"m.txt": b"mock"}, key="mock").job_ids[0]
    assert console.jobs.view(job_id).job.status is JobStatus.PARSE_QUEUED


@pytest.mark.parametrize("share", ["x", "0", "-1", "101", "NaN"])
def test_a_wrong_share_is_refused(make_console: Maker, share: str) -> None:
    """A share is a percentage above zero."""
    with pytest.raises(NotAllowed):
        make_console().drift.set_share(share, ALICE, freezes=False)


def test_after_real_work_the_ledger_fits_to_the_credit(make_console: Maker) -> None:
    """Failed, cached and finished work end settled or released, and every sum fits."""
    console = make_console(worker=True, simulator=SimulatorConfig(pending_s=0.1))
    files = {f"{n}.txt": b"%d" % n for n in range(5)}
    view = finished(console, submitted(console, files).id)
    with console.store.read() as tx:
        assert balances.differences(tx) == ()
        assert all(ledger.billed_credits(tx, job.id) == job.billed_credits for job in view.jobs)
