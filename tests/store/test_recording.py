"""Recording deliveries past the unit of work: what goes in comes out, on both databases."""

from datetime import UTC, datetime

from core.clock import new_id_in_order
from core.store import Store, deliveries, recording
from core.store.deliveries import ACCEPTED, DUPLICATE, Delivery
from tests.factories import a_delivery

NOW = datetime(2026, 11, 25, 9, 30, 0, 7, tzinfo=UTC)


def _delivery(number: int, **facts: object) -> Delivery:
    return a_delivery(number, NOW, **facts)


def test_every_field_comes_back_as_it_was_recorded(store: Store) -> None:
    """Bytes, moments, nested facts and odd characters survive the way into the database."""
    odd = "quote ' \" % backslash \\ {} ? :name – ü 🂡\n"
    full = _delivery(
        1,
        reason=odd,
        headers={"x-odd": odd, "content-length": "12"},
        body=bytes(range(256)),
        body_size=256,
        steps=[["size", True, "256 bytes", 0.001], ["form", False, odd, 1.5]],
        event_at=NOW.replace(year=1970, microsecond=999_999),
        verdict="bad_signature",
        signature="lc-signature: sha256=00",
        secret_fingerprint="0123abcd",
        replay_of="dlv-0",
        actor=odd,
        outcome=odd,
    )
    with store.write() as tx:
        recording.add(tx, full)
    with store.read() as tx:
        assert deliveries.delivery(tx, full.id) == full


def test_one_call_records_new_ones_repeats_and_refusals_and_answers_in_order(store: Store) -> None:
    """In one transaction an event is new once, whoever asks; refusals and replays are always new."""
    with store.write() as tx:
        recording.add(tx, _delivery(1))
    together = [
        _delivery(10, event_id="e-1"),
        _delivery(11),
        _delivery(12, verdict="malformed"),
        _delivery(13, event_id="e-11"),
        _delivery(14, event_id="e-1", replay_of="dlv-000001", actor="ann"),
    ]
    with store.write() as tx:
        answers = recording.add_all(tx, together)
    assert [answer.is_new for answer in answers] == [False, True, True, False, True]
    with store.read() as tx:
        verdicts = {d.id: d.verdict for d in deliveries.recent(tx)}
    assert [verdicts[one.id] for one in together] == [
        DUPLICATE,
        ACCEPTED,
        "malformed",
        DUPLICATE,
        ACCEPTED,
    ]


def test_more_than_one_statement_holds_is_recorded_all_the_same(store: Store) -> None:
    """A batch over the number of values that a statement may have is neither refused nor cut."""
    many = [_delivery(number) for number in range(1400)]
    with store.write() as tx:
        assert all(answer.is_new for answer in recording.add_all(tx, many))
    with store.read() as tx:
        assert len(deliveries.recent(tx, limit=2000)) == len(many)


def test_ids_in_order_sort_by_their_moment() -> None:
    """A later id is greater, so that an index grows at its end; two of one moment still differ."""
    early, late = NOW, NOW.replace(microsecond=2000)
    assert new_id_in_order("dlv", early) < new_id_in_order("dlv", late)
    assert new_id_in_order("dlv", early) != new_id_in_order("dlv", early)
