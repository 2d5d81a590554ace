"""The sweep: reservations that a crash left behind are found, put right and told, on both databases."""

from collections.abc import Callable

from sqlalchemy import delete, select, update

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.routing import Mode
from core.pipeline.driver import SYSTEM
from core.pipeline.sweep import sweep_orphans, sweep_sums
from core.store import alerts, balances
from core.store.tables import AttemptRow, BalanceRow, OpenReservationRow
from tests.factories import ALICE, submitted

Maker = Callable[..., Console]


def _swept(console: Console) -> tuple[str, ...]:
    return sweep_orphans(console.store, console.rules(), SYSTEM, console.clock())


def _used(console: Console) -> int:
    use = console.spend.today(Mode.MOCK).use(Window.DAY, Unit.USD)
    assert use is not None
    return use.used


def test_sound_work_is_left_alone(make_console: Maker) -> None:
    """What waits, was cancelled or failed in an orderly way is no orphan."""
    console = make_console()
    ids = submitted(console, {"a.txt": b"one", "b.txt": b"two"}).job_ids
    console.jobs.cancel(ids[:1], ALICE)
    before = _used(console)
    assert before > 0
    assert _swept(console) == ()
    assert sweep_sums(console.store, console.clock()) == ()
    assert _used(console) == before


def test_a_reservation_left_behind_is_given_back_and_told(make_console: Maker) -> None:
    """An attempt that ended without its money being released frees it, once, on the job's timeline."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    with console.store.write() as tx:
        tx.execute(update(AttemptRow).values(status="failed"))
    assert len(_swept(console)) == 1
    assert _used(console) == 0
    assert any(e.subject == "money" for e in console.jobs.view(job_id).timeline)
    assert _swept(console) == ()


def test_money_of_an_unknown_outcome_stays_reserved(make_console: Maker) -> None:
    """Where the service may have taken the document, nothing is given back without a proof."""
    console = make_console()
    submitted(console, {"a.txt": b"one"})
    with console.store.write() as tx:
        tx.execute(update(AttemptRow).values(status="failed", error_kind="unknown_outcome"))
    assert _swept(console) == ()
    assert _used(console) > 0


def test_work_without_a_reservation_is_reserved_and_told(make_console: Maker) -> None:
    """What could spend without having reserved is seen by whoever comes next."""
    console = make_console()
    submitted(console, {"a.txt": b"one"})
    before = _used(console)
    with console.store.write() as tx:
        row = tx.execute(update(AttemptRow).values(id="att-other")).rowcount  # type: ignore[attr-defined]
        assert row == 1
    said = _swept(console)
    assert any("had no reservation" in words for words in said)
    assert any("given back" in words for words in said)
    assert _used(console) == before


def test_wrong_sums_are_summed_anew_and_told(make_console: Maker) -> None:
    """A balance that is not what the ledger adds up to is put right, and an alert says so."""
    console = make_console()
    submitted(console, {"a.txt": b"one"})
    before = _used(console)
    with console.store.write() as tx:
        tx.execute(update(BalanceRow).values(reserved_micros=1))
        tx.execute(delete(OpenReservationRow))
    assert sweep_sums(console.store, console.clock())
    assert _used(console) == before
    with console.store.read() as tx:
        assert balances.differences(tx) == ()
        assert any("Summed anew" in alert.what for alert in alerts.recent(tx, "real"))


def test_a_stand_in_needs_no_reservation(make_console: Maker) -> None:
    """What the local engine makes costs nothing: without a reservation it is no finding, and no alert."""
    console = make_console()
    submitted(console, {"a.txt": b"one"})
    with console.store.write() as tx:
        row = tx.execute(select(AttemptRow)).scalars().one()
        facts = row.model_dump() | {"id": "att-local", "number": 2, "engine": "local"}
        tx.add(AttemptRow(**facts))
    assert _swept(console) == ()
