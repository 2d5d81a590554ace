"""The inbox: filters find what they say, pages are complete and stay quick at any depth."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core.console import Console
from core.errors import NotFound
from core.services.deliveries import CheckState, Deliveries
from core.store import Store, deliveries, recording
from core.store.deliveries import Delivery
from core.store.inbox import DeliveryFilter
from tests.factories import a_delivery, finished, submitted, wait_until
from tests.store.work import work_of
from tests.webhooks.conftest import Door, an_event

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def _stored(store: Store, *new: Delivery) -> Deliveries:
    with store.write() as tx:
        recording.add_all(tx, new)
    return Deliveries(store, lambda: NOW + timedelta(seconds=30))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(moments=st.lists(st.integers(0, 5), min_size=0, max_size=23), size=st.integers(1, 7))
def test_paging_shows_each_delivery_once_in_both_directions(
    store: Store, moments: list[int], size: int
) -> None:
    """Forth and back again every delivery comes once and in order, also many of one moment."""
    with store.write() as tx:
        deliveries.forget(tx, keep=0)
    new = [
        a_delivery(n, NOW + timedelta(seconds=s), verdict="malformed")
        for n, s in enumerate(moments)
    ]
    desk = _stored(store, *new)
    wanted = [d.id for d in sorted(new, key=lambda d: (d.received_at, d.id), reverse=True)]
    pages, at = [], None
    while True:
        found = desk.page(DeliveryFilter(), at=at, limit=size)
        pages.append([line.id for line in found.lines])
        if found.older is None:
            break
        at = found.older
    assert [i for page in pages for i in page] == wanted
    back = []
    while found.newer is not None:
        found = desk.page(DeliveryFilter(), at=found.newer, limit=size)
        back.append([line.id for line in found.lines])
    assert [i for page in reversed(back) for i in page] == wanted[: sum(map(len, back))]
    assert sum(map(len, back)) == len(wanted) - len(pages[-1])


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        (DeliveryFilter(), {1, 2, 3, 4}),
        (DeliveryFilter(verdicts=frozenset({"malformed", "stale"})), {2, 3}),
        (DeliveryFilter(event_type="parse.error"), {4}),
        (DeliveryFilter(job="pjb-3"), {3}),
        (DeliveryFilter(text="<2>"), {2}),
        (DeliveryFilter(text="' OR 1=1 --"), set()),
        (DeliveryFilter(text="%"), set()),
        (DeliveryFilter(since=NOW + timedelta(seconds=3)), {3, 4}),
        (DeliveryFilter(until=NOW + timedelta(seconds=1)), {1}),
        (DeliveryFilter(verdicts=frozenset({"parked"}), text="<4>", job="pjb-4"), {4}),
    ],
)
def test_each_filter_finds_what_it_says(
    store: Store, which: DeliveryFilter, numbers: set[int]
) -> None:
    """Verdict, event type, job, time and text in the body narrow the list, together too."""
    desk = _stored(
        store,
        *(
            a_delivery(n, NOW + timedelta(seconds=n), verdict=verdict, event_type=kind)
            for n, verdict, kind in (
                (1, "accepted", "parse.success"),
                (2, "malformed", ""),
                (3, "stale", "parse.success"),
                (4, "accepted", "parse.error"),
            )
        ),
    )
    assert {line.event_id for line in desk.page(which).lines} == {f"e-{n}" for n in numbers}


def test_counts_say_how_many_and_how_fast(store: Store) -> None:
    """Numbers of the last day by verdict, of the last hour and of the last minute."""
    ages = (10, 50, 200, 4000, 90_000)
    desk = _stored(
        store,
        *(
            a_delivery(
                n, NOW + timedelta(seconds=30 - age), verdict="stale" if n == 2 else "accepted"
            )
            for n, age in enumerate(ages)
        ),
    )
    _stored(store, a_delivery(9, NOW, applied_at=NOW))
    counts = desk.counts()
    assert (counts.total, counts.refused, counts.last_hour, counts.last_minute) == (5, 1, 4, 3)
    assert counts.by_verdict == {"accepted": 1, "parked": 3, "stale": 1}


def test_what_is_parked_can_be_looked_for(store: Store) -> None:
    """An accepted event whose job is not known is parked: it has a filter of its own, and "accepted" leaves it out."""
    desk = _stored(
        store,
        a_delivery(1, NOW),
        a_delivery(2, NOW, applied_at=NOW),
        a_delivery(3, NOW, verdict="stale"),
    )

    def found(*verdicts: str) -> set[str]:
        lines = desk.page(DeliveryFilter(verdicts=frozenset(verdicts))).lines
        return {line.event_id for line in lines}

    assert found("parked") == {"e-1"}
    assert found("accepted") == {"e-2"}
    assert found("accepted", "parked") == {"e-1", "e-2"}
    assert found("parked", "stale") == {"e-1", "e-3"}


def test_who_looks_on_has_a_long_day_counted_once_a_minute(store: Store) -> None:
    """What came since is in the numbers at once; what is older than the span leaves them within a minute."""
    moment = NOW
    desk = Deliveries(store, lambda: moment)
    ages = [*range(40, 4040), 24 * 3600 - 5]
    _stored(store, *(a_delivery(n, NOW - timedelta(seconds=s)) for n, s in enumerate(ages)))
    with store.write() as tx:
        tx.execute(text("ANALYZE delivery"))  # as either database does by itself in the long run
    first = work_of(store, desk.counts)
    _stored(store, a_delivery(9001, NOW - timedelta(seconds=5)))  # was under way meanwhile
    moment += timedelta(seconds=3)
    _stored(store, a_delivery(9002, moment, verdict="stale"))
    assert work_of(store, desk.counts) < first / 5
    assert desk.counts().by_verdict == {"parked": 4002, "stale": 1}
    moment += timedelta(seconds=61)
    assert desk.counts().by_verdict == {"parked": 4001, "stale": 1}
    assert desk.counts().last_hour == sum(age <= 3600 - 64 for age in ages) + 2


def test_event_types_are_listed_once(store: Store) -> None:
    """The choice of event types is what was received."""
    kinds = ["parse.success", "parse.error", "parse.success", "", "extract.success"]
    desk = _stored(store, *(a_delivery(n, NOW, event_type=kind) for n, kind in enumerate(kinds)))
    assert list(desk.event_types()) == ["extract.success", "parse.error", "parse.success"]
    many = [f"kind.{n:03}" for n in range(120)]
    _stored(store, *(a_delivery(100 + n, NOW, event_type=kind) for n, kind in enumerate(many)))
    assert set(many) < set(desk.event_types())


def test_refused_and_repeated_deliveries_are_forgotten_beyond_a_number_and_accepted_ones_never(
    store: Store,
) -> None:
    """Tidying keeps the newest refusals, the newest repeats, and every event id that was accepted."""
    verdicts = ("accepted", "stale", "duplicate", "unknown_type")
    _stored(
        store,
        *(a_delivery(n, NOW + timedelta(seconds=n), verdict=verdicts[n % 4]) for n in range(40)),
    )
    with store.write() as tx:
        assert deliveries.forget(tx, keep=3) == 14
        left = deliveries.recent(tx)
    kept = {v: [d.event_id for d in left if d.verdict == v] for v in verdicts}
    assert kept["stale"] == ["e-37", "e-33", "e-29"]
    assert kept["duplicate"] == ["e-38", "e-34", "e-30"]
    assert [len(kept["accepted"]), len(kept["unknown_type"])] == [10, 10]


def test_a_page_deep_in_10_000_deliveries_costs_as_much_as_the_first(store: Store) -> None:
    """Paging begins at its cursor: the last page reads no more rows than the first."""
    with store.write() as tx:
        for start in range(0, 10_000, 5000):
            new = [a_delivery(n, NOW + timedelta(seconds=n)) for n in range(start, start + 5000)]
            recording.add_all(tx, new)
    desk = Deliveries(store, lambda: NOW)
    first = desk.page(DeliveryFilter())
    assert first.older is not None
    bottom = type(first.older)(NOW + timedelta(seconds=60), "z")
    deep = desk.page(DeliveryFilter(), at=bottom)
    assert deep.lines[0].event_id == "e-60"
    top = work_of(store, lambda: desk.page(DeliveryFilter()))
    # counted up to, the last page would take some hundred times as much
    assert 0 < work_of(store, lambda: desk.page(DeliveryFilter(), at=bottom)) < top * 2
    moments = [line.received_at for line in first.lines]
    assert all(a > b for a, b in pairwise(moments))


def test_the_page_of_a_delivery_says_what_it_changed(make_console: Callable[..., Console]) -> None:
    """An applied event shows its whole verdict and the job's state before and after."""
    console = make_console(worker=True)
    job_id = finished(console, submitted(console, {"a.txt": b"words"}).id).jobs[0].id

    def applied() -> bool:
        found = console.jobs.view(job_id).deliveries
        return any(d.outcome == "asked: completed" for d in found)

    wait_until(applied)
    event = next(d for d in console.jobs.view(job_id).deliveries if d.outcome == "asked: completed")
    view = console.deliveries.view(event.id)
    assert {check.state for check in view.checks} == {CheckState.OK}
    assert [check.name for check in view.checks][-2:] == ["first time", "applied"]
    assert (view.state_before, view.state_after) == ("running", "fetching")
    assert view.job is not None
    assert view.job.id == job_id
    assert '"event_id"' in view.pretty


def test_the_page_of_a_refusal_stops_at_what_failed(knock: Callable[..., Door]) -> None:
    """What was not looked at any more is not shown as if it held."""
    door = knock()
    refused = door.send(an_event(), secret="wrong").json()["delivery_id"]
    view = door.console.deliveries.view(refused)
    states = [check.state.value for check in view.checks]
    assert states == ["ok", "ok", "failed", *["skipped"] * 4]
    with pytest.raises(NotFound):
        door.console.deliveries.view("dlv-none")
