"""Usage metrics end to end: what the vendor's records say of our jobs, of others, and too late."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import select, text

from core.clock import utc_now
from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import UpstreamError
from core.pipeline.driver import Driver
from core.pipeline.driving.timing import BILL_WAITS
from core.services.usage_source import UsageSource
from core.serving import Served
from core.simulator import SimulatorConfig
from core.store import Store, balances, jobs, ledger, queue
from core.store.tables import AttemptRow
from core.store.usage import UsageRecord
from tests.factories import ALICE, wait_until
from tests.money.office import Maker
from tests.pipeline.vendor import Vendor, World, tell
from tests.vendor import Switches, a_vendor, pages_that

DAY = date(2026, 11, 24)


@contextmanager
def _vendor(
    folder: Path, config: SimulatorConfig, switches: Switches | None = None
) -> Iterator[str]:
    app = a_vendor(folder / "vendor", switches or Switches(), pages_that(2), config)
    with Served(app) as service:
        yield service.url


def _parsed(console: Console, name: str) -> str:
    """A document of two pages, parsed and paid in REAL."""
    upload = console.submissions.preflight(f"{name}.txt", io.BytesIO(name.encode()))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
    job_id = console.submissions.submit(quote, ALICE, name).job_ids[0]
    wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.COMPLETE, within_s=60)
    return job_id


def _read_usage(console: Console) -> None:
    """The hourly reading, as the watch does it, at its first moment."""
    moment = [utc_now()]
    source = UsageSource(
        console.drift, lambda: console.llamaparse.client(Mode.REAL), lambda: moment[-1]
    )
    moment.append(moment[0] + timedelta(minutes=10))
    source.look()


def test_usage_is_read_corrects_the_ledger_and_freezes_real(
    make_console: Maker, tmp_path: Path
) -> None:
    """Bills above the reports are adjusted, told and freeze REAL; work of others is shown as outside."""
    with _vendor(tmp_path, SimulatorConfig(metered_extra_credits=5)) as url:
        console = make_console(worker=True, api_key="llx-key", base_url=url)
        console.drift.set_share("10", ALICE, freezes=True)
        job_id = _parsed(console, "ours")
        files = {"file": ("theirs.txt", b"theirs", "text/plain")}
        configuration = {"configuration": '{"tier": "fast", "version": "latest"}'}
        other = (
            httpx.post(
                f"{url}/api/v2/parse/upload",
                files=files,
                data=configuration,
                headers={"Authorization": "Bearer llx-key"},
            )
            .raise_for_status()
            .json()["id"]
        )
        wait_until(
            lambda: any(
                job["id"] == other and job["credits"] is not None
                for job in httpx.get(f"{url}/__simulator/ledger").json()["jobs"]
            )
        )
        for _ in range(2):
            _read_usage(console)
        (day,) = console.drift.days()
        assert (day.estimated, day.reported, day.billed) == (10, 20, 25)
        assert day.outside == 2 + 5
        assert console.jobs.view(job_id).job.billed_credits == 25
        assert any("25% apart" in alert.what for alert in console.alerts.recent("real"))
        asked = console.drift.last_asked()
        assert asked is not None
        assert asked[1] == ""
        upload = console.submissions.preflight("next.txt", io.BytesIO(b"next"))
        quote = console.submissions.quote([upload], Tier.FAST, Mode.REAL)
        held = console.submissions.submit(quote, ALICE, "next").job_ids[0]
        assert "frozen" in console.jobs.view(held).job.reason
        with console.store.read() as tx:
            assert balances.differences(tx) == ()


def test_why_usage_cannot_be_read_is_shown(make_console: Maker, tmp_path: Path) -> None:
    """A key that may not read usage is told on Limits, not swallowed by a log."""
    with _vendor(tmp_path, SimulatorConfig(), Switches(status=401)) as url:
        console = make_console(api_key="llx-key", base_url=url)
        with pytest.raises(UpstreamError):
            _read_usage(console)
    asked = console.drift.last_asked()
    assert asked is not None
    assert "key" in asked[1]


def _one_paid(console: Console, status: AttemptStatus, reported: int | None = 10) -> str:
    """A real job of ten credits in this state, known to the vendor as ``pjb-1``; its id."""
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
    job_id = console.submissions.submit(quote, ALICE, "press").job_ids[0]
    attempt = console.jobs.view(job_id).attempts[0]
    with console.store.write() as tx:
        jobs.update_attempt(
            tx,
            attempt.id,
            status=status,
            vendor_job_id="pjb-1",
            reported_credits=reported,
            submits=1,
            finished_at=console.clock(),
        )
    return job_id


def _record(credits_: int, vendor_job_id: str = "pjb-1", number: int = 1) -> UsageRecord:
    return UsageRecord(f"u-{number}", DAY, vendor_job_id, "pages_parsed", 1, credits_)


def test_usage_of_a_job_under_way_waits_for_its_end(make_console: Maker) -> None:
    """A record that comes while the job runs settles nothing; the next time it comes, it does."""
    console = make_console(api_key="llx-test")
    job_id = _one_paid(console, AttemptStatus.RUNNING)
    assert console.drift.take_in([_record(4)]) == 0
    with console.store.read() as tx:
        assert [entry.kind for entry in ledger.entries_of(tx, job_id)] == ["reserve"]
    with console.store.write() as tx:
        attempt = jobs.attempts(tx, job_id)[0]
        jobs.update_attempt(tx, attempt.id, status=AttemptStatus.DONE)
    assert console.drift.take_in([_record(12)]) == 1
    with console.store.read() as tx:
        last = ledger.entries_of(tx, job_id)[-1]
    assert (last.kind, last.outcome, last.settled_credits) == ("settle", "done", 12)


def test_a_job_that_never_reported_is_no_drift(make_console: Maker) -> None:
    """Only bills of jobs that said what they cost can be apart from what they said."""
    console = make_console(api_key="llx-test")
    _one_paid(console, AttemptStatus.DONE, reported=None)
    console.drift.take_in([_record(10)])
    (day,) = console.drift.days(back=10_000)
    assert (day.billed, day.unreported, day.reported, day.apart) == (10, 10, 0, 0)


def test_usage_and_the_pipeline_do_not_wait_for_each_other(
    store: Store, make_console: Maker
) -> None:
    """Taking in usage locks the attempts before the book, as the pipeline does: else both would stand."""
    if store.is_sqlite:
        pytest.skip("on SQLite one write transaction is alone")
    console = make_console(api_key="llx-test")
    job_id = _one_paid(console, AttemptStatus.DONE)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'"
    )

    def is_waiting() -> bool:
        with store.read() as tx:
            return bool(tx.execute(waiting).scalar())

    failures: list[Exception] = []

    def take_in() -> None:
        try:
            console.drift.take_in([_record(12)])
        except Exception as error:
            failures.append(error)

    with console.store.write() as tx:
        queue.lock_attempts(tx, [job_id])
        jobs.update_job(tx, job_id, reason="the pipeline is at it")
        reader = threading.Thread(target=take_in)
        reader.start()
        wait_until(is_waiting)
        # with the book locked first by the other, this is where Postgres would end one of the two
        ledger.lock(tx, "real")
    reader.join(timeout=30)
    assert failures == []
    assert console.jobs.view(job_id).job.billed_credits == 12


def test_a_job_is_billed_when_all_its_paid_attempts_are(make_console: Maker) -> None:
    """Of two paid attempts the first bill is not the job's; both together are."""
    console = make_console(api_key="llx-test")
    job_id = _one_paid(console, AttemptStatus.DONE)
    with console.store.write() as tx:
        row = tx.execute(select(AttemptRow)).scalars().one()
        facts = row.model_dump() | {"id": "att-2", "number": 2, "vendor_job_id": "pjb-2"}
        tx.add(AttemptRow(**facts))
        tx.flush()
        job = jobs.job(tx, job_id)
        second = ledger.Reservation(job_id, "att-2", job.mode, "agentic", "alice", 7, 8750)
        ledger.reserve(tx, second, (), console.clock(), "UTC")
    console.drift.take_in([_record(10)])
    assert console.jobs.view(job_id).job.billed_credits is None
    console.drift.take_in([_record(10), _record(7, "pjb-2", 2)])
    assert console.jobs.view(job_id).job.billed_credits == 17
    rows = "SELECT sum(settled_credits) FROM ledger"
    with console.store.read() as tx:
        assert tx.execute(text(rows)).scalar() == 17


# -- bills that never come ------------------------------------------------------------------------


def _unbilled(vendor: Vendor, *, status: str = "COMPLETED") -> Vendor:
    """The vendor ends the next job so, and never says what it cost."""
    vendor.end_as = [(status, "ERROR" if status == "FAILED" else "")]
    vendor.bills = False
    return vendor


async def _asked_late(world: World) -> bool:
    driver = Driver(world.resources, "exe-late")
    return await driver.settle_late(world.attempts[-1].id)


def test_a_bill_that_never_comes_is_taken_as_quoted(make_console: Maker) -> None:
    """After three days the reservation is settled as it was quoted, visibly, and can be corrected."""

    async def story(world: World) -> None:
        await world.to_the_end()
        world.now += BILL_WAITS - timedelta(hours=1)
        assert not await _asked_late(world)
        world.now += timedelta(hours=2)
        assert await _asked_late(world)
        console = world.console
        receipt = console.receipts.of_job(world.job_id)
        assert "never billed, taken as 10 credits" in receipt.lines[0].words
        assert any("never billed it" in cause for cause in receipt.causes)
        assert world.job.billed_credits == 10
        assert [day.assumed for day in console.drift.days()] == [10]
        with console.store.read() as tx:
            assert ledger.unsettled(tx) == ()
            entry = ledger.entries_of(tx, world.job_id)[-1]
        assert (entry.kind, entry.cause) == ("settle", "never billed: taken as quoted")
        console.drift.take_in(
            [UsageRecord("late", console.clock().date(), "pjb-1", "pages_parsed", 1, 8)]
        )
        assert world.job.billed_credits == 8
        assert [(day.assumed, day.billed) for day in console.drift.days()] == [(0, 8)]
        assert not console.receipts.of_job(world.job_id).lines[0].is_assumed
        with console.store.read() as tx:
            assert balances.differences(tx) == ()

    tell(make_console, _unbilled(Vendor()), story)


@pytest.mark.parametrize(("metered", "billed"), [([12], 12), ([], 0)])
def test_the_usage_metrics_decide_about_a_failure_that_was_not_billed(
    make_console: Maker, metered: list[int], billed: int
) -> None:
    """A failed job without a bill costs what the metrics say of it; when they do not name it, nothing."""

    async def story(world: World) -> None:
        await world.to_the_end()
        world.now += BILL_WAITS + timedelta(hours=1)
        assert await _asked_late(world)
        assert world.job.billed_credits == billed
        assert world.console.spend.today(Mode.REAL).reserved_usd == 0

    vendor = _unbilled(Vendor(), status="FAILED")
    vendor.metered = metered
    tell(make_console, vendor, story)


def test_while_the_vendor_cannot_be_asked_nothing_is_taken_as_quoted(make_console: Maker) -> None:
    """An outage is no answer: the reservation stays until the metrics could be asked."""

    async def story(world: World) -> None:
        await world.to_the_end()
        world.now += BILL_WAITS + timedelta(hours=1)
        world.vendor.has_metrics = False
        assert not await _asked_late(world)
        with world.console.store.read() as tx:
            assert len(ledger.unsettled(tx)) == 1

    tell(make_console, _unbilled(Vendor()), story)
