"""What a job is said to have been billed, and asking for bills that do not come."""

from collections.abc import Callable

from sqlalchemy import select

from core.console import Console
from core.domain.documents import EngineName
from core.domain.jobs import AttemptStatus
from core.store import jobs, ledger, prices
from core.store.tables import AttemptRow, OpenReservationRow
from tests.factories import ALICE, submitted


def test_nothing_is_billed_before_the_paid_part_is(make_console: Callable[..., Console]) -> None:
    """A job whose free part is settled does not say that it was billed nothing."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    with console.store.write() as tx:
        row = tx.execute(select(AttemptRow)).scalars().one()
        facts = row.model_dump() | {"id": "att-local", "number": 2, "engine": EngineName.LOCAL}
        tx.add(AttemptRow(**facts))
        tx.flush()
        job, now = jobs.job(tx, job_id), console.clock()
        free = ledger.Reservation(
            job_id, "att-local", job.mode, job.options.tier, "alice", 0, 0, submits=0
        )
        ledger.reserve(tx, free, (), now, "UTC")
        done = ledger.Bill(0, AttemptStatus.DONE, was_sent=True, cause="t")
        ledger.bill(tx, "att-local", done, prices.book(tx), now)
        assert ledger.billed_credits(tx, job_id) is None
        jobs.update_job(tx, job_id, billed_credits=0)
    console.jobs.cancel([job_id], ALICE)
    console.jobs.retry([job_id], ALICE)
    assert console.jobs.view(job_id).job.billed_credits is None


def test_a_bill_that_never_comes_hides_no_other(make_console: Callable[..., Console]) -> None:
    """However many ended jobs LlamaParse never bills, those after them are asked about too."""
    console = make_console()
    submitted(console, {"a.txt": b"one"})
    with console.store.write() as tx:
        row = tx.execute(select(AttemptRow)).scalars().one()
        facts = row.model_dump() | {"status": "failed", "finished_at": console.clock()}
        for number in range(2, 62):
            one = f"att-{number}"
            tx.add(AttemptRow(**facts | {"id": one, "number": number, "vendor_job_id": one}))
            tx.add(OpenReservationRow(attempt_id=one, entry_id=number))
        tx.flush()
        assert len(ledger.unsettled(tx)) == 60
