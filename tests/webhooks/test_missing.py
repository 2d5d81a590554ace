"""Events that do not come are noticed, the job goes on, and the likely cause is named."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from starlette.applications import Starlette

from core.api import ingress_app
from core.clock import utc_now
from core.console import Console
from core.domain import times
from core.domain.jobs import JobStatus
from core.serving import Served
from core.settings import Settings
from core.simulator import SimulatorConfig
from core.store import workers
from core.store.tables import AttemptRow, JobRow
from core.store.workers import API, WORKER, Worker
from tests.factories import finished, submitted
from tests.webhooks.conftest import Door, an_event

Knock = Callable[..., Door]


def test_a_job_whose_event_is_lost_finishes_and_is_named(
    make_console: Callable[..., Console],
) -> None:
    """With every webhook lost the job is polled to its end, and listed as one whose event never came."""
    console = make_console(
        worker=True, simulator=SimulatorConfig(faults=("webhook_lost=1",), pending_s=0.1)
    )
    job = finished(console, submitted(console, {"a.txt": b"words"}).id).jobs[0]
    assert job.status is JobStatus.COMPLETE
    console.clock = console.missing._clock = lambda: utc_now() + timedelta(minutes=10)
    (found,) = console.missing.find()
    assert (found.job_id, found.is_healed) == (job.id, True)
    assert found.causes
    assert not any(
        "No process" in cause for cause in found.causes
    )  # this very one ran all the time


def _expected(door: Door, *, mode: str = "mock", **facts: object) -> None:
    """A job that was submitted five minutes ago as ``pjb-7``, of which no event tells."""
    name = str(facts.get("vendor_job_id", "pjb-7"))
    job_id = submitted(door.console, {"a.txt": name.encode()}, key=name).job_ids[0]
    attempt_id = door.console.jobs.view(job_id).attempts[0].id
    with door.console.store.write() as tx:
        row, job = tx.get(AttemptRow, attempt_id), tx.get(JobRow, job_id)
        assert row is not None
        assert job is not None
        row.status, row.vendor_job_id, row.webhook_expected = "running", "pjb-7", True
        row.submitted_at = utc_now() - timedelta(minutes=5)
        for name, value in facts.items():
            setattr(row, name, value)
        job.mode = mode
        tx.add_all([row, job])


def test_each_likely_cause_is_named_where_it_fits_and_nowhere_else(knock: Knock) -> None:
    """Over the cap, nobody there to receive, answered from the cache, not reachable: each is told by its trace."""
    door = knock(max_webhook_kb=1, public_url="https://desk.example")
    _expected(door)
    (plain,) = door.console.missing.find()
    assert plain.causes == ("Nothing on record explains it; the sender gave up, or is late.",)
    assert door.send(an_event(job="pjb-8", filler="x" * 2000)).status_code == 413
    (found,) = door.console.missing.find()
    assert ["PARSEDECK_MAX_WEBHOOK_KB" in cause for cause in found.causes] == [True]
    door.console.presence.begin()  # the first process that receives, now
    (found,) = door.console.missing.find()
    assert ["No process of Parsedeck ran" in cause for cause in found.causes] == [False, True]


def _ran(
    door: Door, began_s: float, heard_s: float, *, role: str, stopped_s: float | None
) -> datetime:
    """A process on record: when it began, was last heard of and was written off, in seconds before now."""
    now = utc_now()
    began, heard = now - timedelta(seconds=began_s), now - timedelta(seconds=heard_s)
    one = Worker(f"exe-{began_s}", "elsewhere", 1, began, heard, role=role)
    with door.console.store.write() as tx:
        workers.start(tx, one)
        if stopped_s is not None:
            workers.stop(tx, one.executor_id, now - timedelta(seconds=stopped_s))
    return began


@pytest.mark.parametrize("role", [WORKER, API])
@pytest.mark.parametrize("healed_s", [None, 57], ids=["not healed", "healed after the start"])
@pytest.mark.parametrize(
    ("heard_s", "stopped_s"), [(595, 595), (595, 60), (None, None)], ids=["stop", "kill", "none"]
)
def test_an_outage_while_the_event_was_due_is_named_also_once_the_job_is_healed(
    knock: Knock, role: str, healed_s: int | None, heard_s: int | None, stopped_s: int | None
) -> None:
    """Whoever submitted was stopped, killed or is not on record; a minute ago the next one began, and polled."""
    door = knock(timezone="Asia/Kolkata")
    finished_at = None if healed_s is None else utc_now() - timedelta(seconds=healed_s)
    _expected(door, submitted_at=utc_now() - timedelta(seconds=600), finished_at=finished_at)
    if heard_s is not None:
        _ran(door, 900, heard_s, role=role, stopped_s=stopped_s)
    began_anew = _ran(door, 60, 0, role=role, stopped_s=None)
    (found,) = door.console.missing.find()
    (cause,) = found.causes
    assert cause.startswith("No process of Parsedeck ran from")
    assert f" to {times.exact(began_anew, 'Asia/Kolkata')}, while it was due" in cause


@pytest.mark.parametrize("role", [WORKER, API])
@pytest.mark.parametrize(
    ("finished_s", "gap_s"), [(235, 60), (None, 3)], ids=["stopped later", "a quick restart"]
)
def test_a_receiver_that_ran_while_the_event_was_due_is_not_blamed(
    knock: Knock, role: str, finished_s: int | None, gap_s: int
) -> None:
    """One that stopped after the job had ended, or for less than the vendor's tries take, missed nothing."""
    door = knock()
    finished_at = None if finished_s is None else utc_now() - timedelta(seconds=finished_s)
    _expected(door, finished_at=finished_at)
    _ran(door, 900, 191, role=role, stopped_s=190)
    _ran(door, 190 - gap_s, 1, role=role, stopped_s=None)
    (found,) = door.console.missing.find()
    assert found.causes == ("Nothing on record explains it; the sender gave up, or is late.",)


def test_two_receivers_that_stand_in_for_each_other_leave_no_gap(knock: Knock) -> None:
    """While one is replaced the other receives: nobody was away."""
    door = knock()
    _expected(door)
    _ran(door, 900, 201, role=API, stopped_s=200)
    _ran(door, 250, 91, role=WORKER, stopped_s=90)
    _ran(door, 150, 0, role=API, stopped_s=None)
    (found,) = door.console.missing.find()
    assert not any("No process" in cause for cause in found.causes)


def test_a_real_job_may_have_been_answered_from_the_cache_or_not_reach_us(knock: Knock) -> None:
    """No credits point at the vendor's cache; in REAL the public address is named, and how to test it."""
    door = knock(public_url="https://desk.example")
    _expected(door, mode="real", reported_credits=0)
    (found,) = door.console.missing.find()
    assert "from its cache" in found.causes[0]
    assert "https://desk.example" in found.causes[1]
    assert "test-path" in found.causes[1]


def test_late_is_what_is_late_for_its_tier(knock: Knock) -> None:
    """Where events of a tier usually come after a minute, one is not missed after 90 seconds, but after five."""
    door = knock()
    _expected(door, submitted_at=utc_now() - timedelta(seconds=130))
    assert len(door.console.missing.find()) == 1  # two minutes, as long as nothing is known
    for number in range(5):
        _expected(
            door,
            vendor_job_id=f"pjb-usual-{number}",
            submitted_at=utc_now() - timedelta(minutes=2),
        )
        door.send(an_event(f"usual-{number}", job=f"pjb-usual-{number}"))
    assert door.console.missing.find() == ()
    door.console.missing._clock = lambda: utc_now() + timedelta(minutes=3)
    (found,) = door.console.missing.find()
    assert found.usual > timedelta(minutes=3)


def test_a_refused_delivery_is_named_as_the_cause(knock: Knock) -> None:
    """When the event came and was refused, that refusal is the first cause."""
    door = knock()
    _expected(door)
    refused = door.send(an_event(job="pjb-7"), secret="wrong").json()["delivery_id"]
    (found,) = door.console.missing.find()
    assert refused in found.causes[0]
    assert not found.is_healed
    door.send(an_event("came", job="pjb-7"))
    assert door.console.missing.find() == ()


def test_refusals_of_others_do_not_hide_the_one_that_names_the_job(
    knock: Knock, database_url: str
) -> None:
    """However many strangers were refused before it, and whatever was too large: both causes are told."""
    door = knock(database_url=database_url, max_webhook_kb=1)
    _expected(door)
    for number in range(25):
        door.send(an_event(f"stranger-{number}", job="pjb-8"), secret="wrong")
    refused = door.send(an_event(job="pjb-7"), secret="wrong").json()["delivery_id"]
    door.send(an_event(filler="x" * 2000))
    (found,) = door.console.missing.find()
    assert refused in found.causes[0]
    assert "PARSEDECK_MAX_WEBHOOK_KB" in found.causes[1]
    assert not any("A delivery that names it" in cause for cause in found.causes[1:])


def test_the_way_to_the_public_address_is_tested_hop_by_hop(
    knock: Knock, make_console: Callable[..., Console]
) -> None:
    """A good way ends with the event on record; a broken one names the hop and what to do."""
    door = knock()
    with Served(ingress_app(door.console)) as served:
        hops = make_console(public_url=served.url).path_test.run()
        assert [h.name for h in hops if h.works] == ["configured", "name", "connection", "event"]
    with Served(Starlette()) as elsewhere:
        last = make_console(public_url=elsewhere.url).path_test.run()[-1]
        assert (last.name, last.works, "404" in last.found) == ("event", False, True)


@pytest.mark.parametrize(
    ("url", "hop"),
    [
        (None, "configured"),
        ("http://does-not-exist.invalid", "name"),
        ("http://127.0.0.1:1", "connection"),
    ],
)
def test_a_broken_way_names_the_hop(
    make_console: Callable[..., Console], url: str | None, hop: str
) -> None:
    """The first hop that does not work is the last in the report, with what to do."""
    last = make_console(public_url=url).path_test.run()[-1]
    assert (last.name, last.works, bool(last.next_step)) == (hop, False, True)
    assert Settings.load({"public_url": url}).public_url == url
