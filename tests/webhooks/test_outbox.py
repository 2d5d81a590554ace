"""What was handed on: filters find what they say, counts fit them, and sending again takes what nobody took."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from core.console import Console
from core.domain.jobs import Actor, JobStatus
from core.errors import NotAllowed
from core.services.downstreams import Downstreams
from core.store import Store, handoffs
from core.store.handoffs import DELIVERED, FAILED, PENDING, Downstream, Handoff, HandoffTry
from core.store.outbox import HandoffFilter
from core.store.paging import Cursor
from core.store.seal import Seal
from tests.factories import ALICE, submitted, wait_until
from tests.store.work import work_of

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BOB = Actor("bob")


def _a_handoff(number: int, **facts: object) -> Handoff:
    plain: dict[str, object] = {
        "id": f"hof-{number:06}",
        "message_id": f"msg-{number}",
        "downstream_id": "dwn-1",
        "job_id": f"job-{number}",
        "generation": 1,
        "event_type": "job.parsed",
        "body": b"{}",
        "status": DELIVERED,
        "created_at": NOW + timedelta(seconds=number),
        "next_at": None,
        "tries": 1,
        "actor": "system:hand-off",
        **facts,
    }
    return Handoff(**plain)  # type: ignore[arg-type]


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Downstreams:
    """Two endpoints, the second of them disabled."""
    with store.write() as tx:
        for name, disabled_at in (("dwn-1", None), ("dwn-2", NOW)):
            new = Downstream(name, "https://x.example/", "whsec_x", "alice", NOW)
            handoffs.add_downstream(tx, replace(new, disabled_at=disabled_at))
    return Downstreams(store, Seal((), tmp_path), allow_private=True, clock=lambda: NOW)


def _stored(store: Store, *new: Handoff) -> None:
    with store.write() as tx:
        handoffs.add(tx, new)


FOUR = (
    _a_handoff(1),
    _a_handoff(2, status=FAILED, downstream_id="dwn-2"),
    _a_handoff(3, status=PENDING, next_at=NOW, tries=0),
    _a_handoff(4, event_type="job.failed_parse"),
)


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        (HandoffFilter(), {1, 2, 3, 4}),
        (HandoffFilter(statuses=frozenset({FAILED, PENDING})), {2, 3}),
        (HandoffFilter(downstream_id="dwn-1"), {1, 3, 4}),
        (HandoffFilter(event_type="job.failed_parse"), {4}),
        (HandoffFilter(job="job-3"), {3}),
        (HandoffFilter(job="' OR 1=1 --"), set()),
        (HandoffFilter(since=NOW + timedelta(seconds=3)), {3, 4}),
        (HandoffFilter(statuses=frozenset({DELIVERED}), event_type="job.parsed"), {1}),
    ],
)
def test_each_filter_finds_what_it_says_and_counts_fit(
    store: Store, desk: Downstreams, which: HandoffFilter, numbers: set[int]
) -> None:
    """State, endpoint, event, job and time narrow the list, and the counts add up to it."""
    _stored(store, *FOUR)
    found = desk.page(which).lines
    assert {line.id for line in found} == {f"hof-{n:06}" for n in numbers}
    wanted = which.statuses or {DELIVERED, FAILED, PENDING}
    assert sum(n for s, n in desk.counts(which).items() if s in wanted) == len(numbers)


def test_a_line_says_what_was_answered_last(store: Store, desk: Downstreams) -> None:
    """Of several requests the list shows the last one's answer."""
    _stored(store, _a_handoff(1, status=PENDING, next_at=NOW, tries=0))
    with store.write() as tx:
        for number, status, error in ((1, None, "nobody listens there"), (2, 503, "")):
            tried = HandoffTry(number, NOW, status, "", error, 1.0)
            handoffs.record_try(tx, "hof-000001", tried, status=PENDING, next_at=NOW, at=NOW)
    (line,) = desk.page(HandoffFilter()).lines
    assert (line.tries, line.answer, line.error) == (2, 503, "")


@pytest.mark.parametrize(
    "which",
    [
        HandoffFilter(),
        HandoffFilter(statuses=frozenset({FAILED})),
        HandoffFilter(downstream_id="dwn-2"),
    ],
    ids=["all", "failed", "endpoint"],
)
def test_a_page_deep_in_5_000_hand_offs_costs_a_fraction_of_them(
    store: Store, desk: Downstreams, which: HandoffFilter
) -> None:
    """Also when few of them fit: no page reads all that came after it."""
    few = {n: {"status": FAILED, "downstream_id": "dwn-2"} for n in range(0, 5000, 50)}
    _stored(store, *(_a_handoff(n, **few.get(n, {})) for n in range(5000)))
    with store.write() as tx:
        tx.execute(text("ANALYZE handoff"))  # as either database does by itself in the long run
    all_of_them = work_of(store, lambda: desk.page(HandoffFilter(), limit=5000))
    bottom = Cursor(NOW + timedelta(seconds=1000), "z")
    for at in (None, bottom):
        assert len(desk.page(which, at=at).lines) > 10
        assert 0 < work_of(store, partial(desk.page, which, at=at)) < all_of_them / 10


def test_sent_again_is_what_nobody_took_and_only_once(make_console: Callable[..., Console]) -> None:
    """What was taken, is on its way, was sent again or goes to a disabled endpoint is left alone."""
    console = make_console(downstream_private=True)
    for path in ("first", "second"):
        console.downstreams.add(f"http://127.0.0.1:9/{path}", ALICE)
    first, second = (target.id for target in console.downstreams.known())
    console.downstreams.disable(second, ALICE)
    job_ids = submitted(console, {f"{n}.txt": b"%d" % n for n in range(5)}).job_ids
    facts: tuple[dict[str, object], ...] = (
        {"status": FAILED},
        {"status": FAILED, "downstream_id": second},
        {"status": DELIVERED},
        {"status": PENDING, "next_at": NOW},
        {"status": FAILED},
    )
    _stored(
        console.store,
        *(
            _a_handoff(n, job_id=job_id, **{"downstream_id": first, **more})
            for n, (job_id, more) in enumerate(zip(job_ids, facts, strict=True))
        ),
        # the last one was replayed by somebody, and taken
        _a_handoff(9, job_id=job_ids[4], message_id="msg-4", downstream_id=first),
    )
    assert console.downstreams.untaken(HandoffFilter()) == 1
    assert console.downstreams.untaken(HandoffFilter(job=job_ids[2])) == 0
    assert console.downstreams.replay_untaken(HandoffFilter(), ALICE) == 1
    assert console.downstreams.replay_untaken(HandoffFilter(), ALICE) == 0
    newest = console.downstreams.page(HandoffFilter()).lines[0]
    assert (newest.message_id, newest.status, newest.actor) == ("msg-0", PENDING, str(ALICE))
    assert console.jobs.view(job_ids[0]).job.status is not JobStatus.FAILED_HANDOFF


@pytest.fixture
def failed(make_console: Callable[..., Console], database_url: str) -> Console:
    """A console with two hand-offs that nobody took."""
    console = make_console(database_url=database_url, downstream_private=True)
    console.downstreams.add("http://127.0.0.1:9/", ALICE)
    (target,) = console.downstreams.known()
    job_ids = submitted(console, {"1.txt": b"1", "2.txt": b"2"}).job_ids
    _stored(
        console.store,
        *(
            _a_handoff(n, job_id=job_id, status=FAILED, downstream_id=target.id)
            for n, job_id in enumerate(job_ids)
        ),
    )
    return console


def _at_one_moment(store: Store, first: Callable[[], object], second: Callable[[], object]) -> None:
    """Both have read what there is before either of them can write; then both go on."""
    with ThreadPoolExecutor(2) as pool:
        with store.write() as tx:
            if not store.is_sqlite:
                tx.execute(text("LOCK TABLE handoff IN SHARE MODE"))
            pressed = [pool.submit(press) for press in (first, second)]
            if not store.is_sqlite:  # there nobody reads before it is alone
                _until_both_wait(store)
        for one in pressed:
            try:
                one.result(timeout=30)
            except NotAllowed:
                continue


def _until_both_wait(store: Store) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def both_wait() -> bool:
        with store.read() as tx:
            return bool(tx.execute(waiting).scalar_one() == 2)

    wait_until(both_wait)


def test_two_who_press_send_again_at_one_moment_send_it_once(failed: Console) -> None:
    """Whoever is second finds what the first one sent: no receiver gets a message twice."""
    desk = failed.downstreams
    press = partial(desk.replay_untaken, HandoffFilter())
    _at_one_moment(failed.store, partial(press, ALICE), partial(press, BOB))
    pending = desk.page(HandoffFilter(statuses=frozenset({PENDING}))).lines
    assert sorted(line.message_id for line in pending) == ["msg-0", "msg-1"]


def test_two_who_replay_one_message_at_one_moment_send_it_once(failed: Console) -> None:
    """The same on the page of one hand-off."""
    desk = failed.downstreams
    press = partial(desk.replay, "hof-000000")
    _at_one_moment(failed.store, partial(press, ALICE), partial(press, BOB))
    pending = desk.page(HandoffFilter(statuses=frozenset({PENDING}))).lines
    assert [line.message_id for line in pending] == ["msg-0"]


@pytest.mark.parametrize("wait", [timedelta(seconds=5), timedelta(hours=2)], ids=str)
def test_what_waits_for_its_next_try_goes_now_and_is_sent_once(
    failed: Console, wait: timedelta
) -> None:
    """Who mended the receiver need not wait, and the message does not go out twice for it."""
    desk = failed.downstreams
    new = desk.replay("hof-000000", ALICE)
    with failed.store.write() as tx:
        tried = HandoffTry(1, NOW, 503, "", "", 1.0)
        later = failed.clock() + wait
        handoffs.record_try(tx, new.id, tried, status=PENDING, next_at=later, at=NOW)
    sent = desk.replay(new.id, BOB)
    assert (sent.id, sent.tries) == (new.id, 1)
    assert sent.next_at is not None
    assert sent.next_at <= failed.clock()
    with failed.store.write() as tx:  # somebody is sending it: this one has it until then
        (claimed,) = handoffs.claim_due(
            tx, new.downstream_id, failed.clock(), timedelta(seconds=60)
        )
    assert desk.replay(new.id, BOB).next_at == claimed.next_at


def test_an_old_hand_off_says_who_sent_its_message_again(failed: Console) -> None:
    """Who looks at a page that is out of date is told so, instead of sending a third one."""
    desk = failed.downstreams
    new = desk.replay("hof-000000", ALICE)
    with pytest.raises(NotAllowed, match=r"alice.* sent it again"):
        desk.replay("hof-000000", BOB)
    assert desk.view("hof-000000").newest.id == new.id
