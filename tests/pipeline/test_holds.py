"""Over a limit is a choice: wait in order, pay less, stay local, ask, approve; on both databases."""

import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import Job, JobStatus, Submission
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.admission import release_held
from core.pipeline.driver import SYSTEM
from core.store import alerts, balances, ledger
from core.store.jobs import JobFilter
from tests.factories import ALICE, finished, submitted, wait_until

Maker = Callable[..., Console]
DAILY = ("all", Window.DAY, Unit.USD)


def _limited(make_console: Maker, usd: str, *, worker: bool = False) -> Console:
    """A console whose simulated day has so many dollars; an agentic page takes $0.0125."""
    console = make_console(worker=worker)
    console.limits.change("mock", DAILY, usd, ALICE, "for the test")
    return console


def _held(console: Console, name: str, pages: int = 1, key: str = "") -> Job:
    """The job of one press on a document with so many pages."""
    data = f"{name} {pages}".encode()
    submission = submitted(console, {f"{name}.txt": data}, key=key or f"press {name}")
    return console.jobs.view(submission.job_ids[0]).job


def _sweep(console: Console) -> list[str]:
    found = release_held(console.store, console.rules(), SYSTEM, console.clock())
    return [job.name for job in found]


def test_what_waits_starts_in_order_when_there_is_room(make_console: Maker) -> None:
    """First come, first served: with room for two of three, the first two start."""
    console = _limited(make_console, "0.0125")
    names = [_held(console, name).name for name in ("a", "b", "c", "d")]
    assert console.jobs.counts() == {JobStatus.PARSE_QUEUED: 1, JobStatus.HELD: 3}
    assert _sweep(console) == []
    console.limits.change("mock", DAILY, "0.04", ALICE, "more")
    assert _sweep(console) == names[1:3]
    assert _sweep(console) == []


def test_a_new_document_does_not_take_the_room_of_those_that_wait(make_console: Maker) -> None:
    """When a window opens, what waited goes before what comes only now."""
    console = _limited(make_console, "0.0125")
    _held(console, "first")
    assert _held(console, "waits").status is JobStatus.HELD
    console.limits.change("mock", DAILY, "0.025", ALICE, "room for one more")
    assert _held(console, "late").status is JobStatus.HELD
    assert _sweep(console) == ["waits.txt"]


def test_a_document_larger_than_a_window_blocks_nobody(make_console: Maker) -> None:
    """It says that only an approval helps; a smaller one passes it."""
    console = _limited(make_console, "0.01")
    large = _held(console, "large")
    assert "larger than a day's limit" in large.reason
    small = submitted(console, {"small.txt": b"s"}, tier=Tier.FAST, key="small").job_ids[0]
    assert console.jobs.view(small).job.status is JobStatus.PARSE_QUEUED
    choice = console.holds.choice(large.id)
    assert choice.opens_at is None
    assert [(offer.tier, offer.starts_now) for offer in choice.offers] == [
        (Tier.FAST, True),
        (Tier.COST_EFFECTIVE, True),
    ]


def test_a_cheaper_tier_starts_at_once(make_console: Maker) -> None:
    """The same document at a tier that fits is parsed, quoted anew, with who chose it on record."""
    console = _limited(make_console, "0.01", worker=True)
    job = _held(console, "large")
    console.holds.cheaper(job.id, Tier.FAST, ALICE)
    wait_until(lambda: console.jobs.view(job.id).job.status is JobStatus.COMPLETE)
    view = console.jobs.view(job.id)
    assert (view.job.options.tier, view.job.billed_credits) == (Tier.FAST, 1)
    assert any(e.after == "replanned" and "alice" in e.actor for e in view.timeline)
    with pytest.raises(NotAllowed, match="does not wait"):
        console.holds.cheaper(job.id, Tier.FAST, ALICE)


def test_a_dearer_tier_is_no_way_out(make_console: Maker) -> None:
    """Only a cheaper tier is taken."""
    console = _limited(make_console, "0.01")
    with pytest.raises(NotAllowed, match="not cheaper"):
        console.holds.cheaper(_held(console, "large").id, Tier.AGENTIC_PLUS, ALICE)


def _hybrid(console: Console, name: str = "a.txt", data: bytes = b"words") -> Submission:
    upload = console.submissions.preflight(name, io.BytesIO(data))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    return console.submissions.submit(quote, ALICE, "press")


def test_in_hybrid_the_local_engine_stands_in(make_console: Maker) -> None:
    """Over a limit in HYBRID a document can be parsed here: free, and marked provisional."""
    console = make_console(worker=True, api_key="llx-test", base_url="http://127.0.0.1:1")
    console.limits.change("real", DAILY, "0.01", ALICE, "for the test")
    job_id = _hybrid(console).job_ids[0]
    console.holds.go_local(job_id, ALICE)
    wait_until(lambda: console.jobs.view(job_id).job.status is JobStatus.COMPLETE)
    job = console.jobs.view(job_id).job
    assert job.is_provisional
    assert console.spend.today(Mode.REAL).total_usd == 0


def test_outside_hybrid_nothing_stands_in(make_console: Maker) -> None:
    """A simulated or real document never gets a local stand-in by this way."""
    console = _limited(make_console, "0.01")
    with pytest.raises(NotAllowed, match="HYBRID"):
        console.holds.go_local(_held(console, "large").id, ALICE)


def test_a_stand_in_that_cannot_be_made_is_not_offered(
    make_console: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this machine has no converter for goes on waiting: a choice that must fail is no choice."""
    monkeypatch.setenv("PATH", "")  # a machine without converters
    console = make_console(api_key="llx-test", base_url="http://127.0.0.1:1", mode="hybrid")
    console.limits.change("real", DAILY, "0.01", ALICE, "for the test")
    job_id = _hybrid(console, "scan.png", b"\x89PNG\r\n\x1a\n0000").job_ids[0]
    assert not console.holds.choice(job_id).can_go_local
    with pytest.raises(NotAllowed, match="cannot be read on this machine"):
        console.holds.go_local(job_id, ALICE)
    assert console.jobs.view(job_id).job.status is JobStatus.HELD
    # nor does a switch of the mode plan it again, where only this machine could read it
    assert console.replans.quote(Mode.MOCK).jobs == ()
    assert len(console.replans.quote(Mode.REAL).jobs) == 1


def test_a_lead_approves_one_document_once_on_record(make_console: Maker) -> None:
    """An approval lets one document pass with who and why; a retry of it asks anew."""
    console = _limited(make_console, "0.01", worker=True)
    job = _held(console, "large")
    with pytest.raises(NotAllowed, match="reason"):
        console.holds.approve([job.id], " ", ALICE)
    console.holds.approve([job.id], "the auditor waits", ALICE)
    wait_until(lambda: console.jobs.view(job.id).job.status is JobStatus.COMPLETE)
    approval = console.limits.approvals()[0]
    assert (approval.job_id, approval.reason, approval.generation) == (
        job.id,
        "the auditor waits",
        1,
    )
    with console.store.read() as tx:
        assert ledger.entries_of(tx, job.id)[0].approval_id == approval.id
    assert _held(console, "next").status is JobStatus.HELD


def test_an_approval_is_for_documents_that_wait(make_console: Maker) -> None:
    """Approving what runs or is done changes nothing and says so; of two, neither is approved."""
    console = _limited(make_console, "0.0125")
    runs, waits = _held(console, "runs"), _held(console, "waits")
    with pytest.raises(NotAllowed, match="does not wait"):
        console.holds.approve([waits.id, runs.id], "both", ALICE)
    assert console.limits.approvals() == ()
    assert console.jobs.view(waits.id).job.status is JobStatus.HELD


def test_asking_a_lead_is_told_and_the_document_waits_on(make_console: Maker) -> None:
    """The question stands among the alerts and on the timeline, once."""
    console = _limited(make_console, "0.01")
    job = _held(console, "large")
    for _ in range(2):
        console.holds.ask(job.id, "board meeting", ALICE)
    with console.store.read() as tx:
        asked = [alert for alert in alerts.recent(tx, "mock") if alert.kind == "ask"]
    assert ["board meeting" in alert.what for alert in asked] == [True]
    assert console.jobs.view(job.id).job.status is JobStatus.HELD


def test_a_lead_finds_what_was_asked_and_answers_it(make_console: Maker) -> None:
    """Who asked, when, why and at which price; a no is on record and may be asked anew; a yes starts it."""
    console = _limited(make_console, "0.01")
    job, other = _held(console, "large"), _held(console, "other")
    assert console.holds.asked() == ()
    console.holds.ask(job.id, "board meeting", ALICE)
    (one,) = console.holds.asked()
    assert (one.job.id, one.actor, one.note) == (job.id, str(ALICE), "board meeting")
    assert one.job.estimated_usd == Decimal("0.0125")
    with pytest.raises(NotAllowed, match="reason"):
        console.holds.refuse([job.id], " ", ALICE)
    with pytest.raises(NotAllowed, match="Nobody asked"):
        console.holds.refuse([job.id, other.id], "too dear", ALICE)
    assert len(console.holds.asked()) == 1
    console.holds.refuse([job.id], "too dear", ALICE)
    assert console.holds.asked() == ()
    view = console.jobs.view(job.id)
    assert (view.job.status, "too dear" in view.job.next_step) == (JobStatus.HELD, True)
    console.holds.ask(job.id, "the board insists", ALICE)
    told = [alert for alert in console.alerts.recent("mock") if alert.kind == "ask"]
    assert len(told) == 2
    assert "$0.0125" in told[0].what
    console.holds.approve([job.id], "so be it", ALICE)
    assert console.holds.asked() == ()
    assert console.jobs.view(job.id).job.status is JobStatus.PARSE_QUEUED


def test_another_plan_needs_no_answer_to_the_old_question(make_console: Maker) -> None:
    """What was asked for the dearer plan is not asked for the cheaper one that waits now."""
    console = _limited(make_console, "0.01")
    job = _held(console, "large", pages=1)
    console.holds.ask(job.id, "please", ALICE)
    console.limits.change("mock", DAILY, "0.001", ALICE, "less")
    assert console.holds.cheaper(job.id, Tier.FAST, ALICE).status is JobStatus.HELD
    assert console.holds.asked() == ()


def test_the_choice_says_what_those_that_wait_take_of_the_next_window(make_console: Maker) -> None:
    """Of the next day's dollars, so much goes to the queue, in its order."""
    console = _limited(make_console, "0.03")
    for name in ("a", "b", "c", "d"):
        _held(console, name)
    waiting = console.jobs.find(JobFilter(statuses=frozenset({JobStatus.HELD}))).jobs
    choice = console.holds.choice(waiting[0].id)
    day = next(use for use in choice.next_window if use.limit.key == DAILY)
    assert (choice.waiting, choice.ahead, day.used) == (2, 1, 25_000)
    assert choice.opens_at is not None


def test_held_work_starts_by_itself_when_the_window_opens(make_console: Maker) -> None:
    """Nobody has to do anything: the next day it runs, and counts on the day it started."""
    console = _limited(make_console, "0.0125", worker=False)
    submission = submitted(console, {"a.txt": b"one", "b.txt": b"two"})
    tomorrow = console.clock() + timedelta(days=1)
    found = release_held(console.store, console.rules(), SYSTEM, tomorrow)
    assert [job.name for job in found] == ["b.txt"]
    console.run_worker()
    for job in found:
        console.queue.enqueue(job.workflow_id, job.id, job.generation)
    view = finished(console, submission.id)
    assert {job.status for job in view.jobs} == {JobStatus.COMPLETE}
    with console.store.read() as tx:
        days = {entry.day for job in view.jobs for entry in ledger.entries_of(tx, job.id)}
        assert balances.differences(tx) == ()
    assert len(days) == 2
