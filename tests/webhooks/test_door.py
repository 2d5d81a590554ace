"""What gets through the door, in which form, how fresh, signed with what; and what the record says."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from core.services.setup import Grade
from core.store.tables import AttemptRow
from core.webhooks.signatures import SigningSecret, sign
from tests.factories import submitted
from tests.webhooks.conftest import Door, an_event

Knock = Callable[..., Door]


def _flat(**changes: object) -> dict[str, Any]:
    content = "# Täst"
    artifact = {
        "type": "markdown",
        "content": content,
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
        "bytes": len(content.encode()),
    }
    return {
        "job_id": "ours",
        "document_id": "doc",
        "parse_job_id": "pjb-flat",
        "status": "parsed",
        "artifacts": [artifact],
        "meta": {},
        "correlation_id": "c-1",
        **changes,
    }


def test_the_flat_form_is_read_and_its_checksums_are_verified(knock: Knock) -> None:
    """A flat event names its job; a checksum that does not fit its content is refused."""
    door = knock()
    assert door.send(_flat()).json()["status"] == "parked"
    wrong = _flat(artifacts=[{"type": "md", "content": "x", "sha256": "0" * 64}])
    assert door.send(wrong).status_code == 400
    wrong = _flat(artifacts=[{"type": "md", "content": "x", "bytes": 2}])
    assert door.send(wrong).status_code == 400
    first, *refused = door.recorded()
    assert (first.event_type, first.vendor_job_id) == ("flat.parsed", "pjb-flat")
    assert ["checksum" in refused[0].reason, "size" in refused[1].reason] == [True, True]


def test_the_same_flat_bytes_are_the_same_event(knock: Knock) -> None:
    """The flat form has no event id; a repeat is a duplicate all the same."""
    door = knock()
    body = json.dumps(_flat()).encode()
    assert [door.send(body).json()["duplicate"] for _ in range(2)] == [False, True]


@pytest.mark.parametrize("times", [1, 2], ids=["object", "string"])
@pytest.mark.parametrize("kind", ["parse.success", "parse.done", "parse.partial_success"])
def test_old_and_new_names_are_read_as_object_and_as_string(
    knock: Knock, times: int, kind: str
) -> None:
    """The vendor sends an object or a string that holds one, under names of several years."""
    body: object = an_event(event_type=kind)
    for _ in range(times):
        body = json.dumps(body)
    door = knock()
    assert door.send(str(body).encode()).json()["status"] == "parked"
    assert door.recorded()[0].event_type == kind


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "extract.success", "data": {"job_id": "ext-1"}},
        {"event_type": "unmapped_event", "data": None},
        {"event_type": "batch.done"},
    ],
)
def test_other_types_are_kept_visible_and_answered_well(
    knock: Knock, event: dict[str, Any]
) -> None:
    """An event about something else is answered 2xx, stays visible, and comes only once."""
    door = knock()
    whole = {"event_id": "other", "timestamp": time.time(), **event}
    answers = [door.send(whole) for _ in range(2)]
    assert [(a.status_code, a.json()["status"]) for a in answers] == [
        (200, "parked"),
        (200, "duplicate"),
    ]
    assert [d.verdict for d in door.recorded()] == ["unknown_type", "duplicate"]


@pytest.mark.parametrize(
    ("age_s", "status"), [(-240, 200), (-400, 400), (86_000, 200), (87_000, 400)]
)
def test_freshness_comes_from_the_signed_body(knock: Knock, age_s: int, status: int) -> None:
    """Five minutes ahead and a day behind are accepted, more is not, whatever the headers say."""
    door = knock()
    now = str(time.time())
    event = an_event(timestamp=time.time() - age_s)
    answer = door.send(event, headers={"X-Webhook-Timestamp": now, "Date": now})
    assert answer.status_code == status
    assert door.recorded()[0].verdict in {"accepted", "stale", "future"}


def test_the_window_can_be_set(knock: Knock) -> None:
    """Whoever needs a narrower window sets it."""
    door = knock(webhook_behind_s=60, webhook_ahead_s=0)
    assert door.send(an_event(timestamp=time.time() - 90)).json()["status"] == "stale"
    assert door.send(an_event(timestamp=time.time() + 5)).json()["status"] == "future"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json; charset=UTF-8"}, 200),
        ({"Content-Type": "application/vnd.llama+json"}, 200),
        ({"Content-Type": "text/plain"}, 200),
        ({"Content-Type": "application/json; charset=utf-16"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "identity"}, 200),
    ],
)
def test_only_plain_json_in_utf8_gets_in(
    knock: Knock, headers: dict[str, str], status: int
) -> None:
    """Other types, charsets and compressed bodies are refused, with the reason on record."""
    door = knock()
    assert door.send(an_event(), headers=headers).status_code == status
    assert door.recorded()[0].verdict == ("accepted" if status == 200 else "unsupported")


@pytest.mark.parametrize("codec", ["utf-16", "utf-32", "latin-1"])
def test_json_in_another_charset_is_malformed(knock: Knock, codec: str) -> None:
    """Bytes that are not UTF-8 are refused even when they are signed and guessing could read them."""
    body = json.dumps(an_event(job="pjb-é"), ensure_ascii=False).encode(codec)
    door = knock()
    assert door.send(body).status_code == 400
    assert door.recorded()[0].reason == "The body is not JSON in UTF-8."


def test_every_step_is_on_record_with_its_time(knock: Knock) -> None:
    """The record says step by step what was judged, what was found, and how long it took."""
    door = knock()
    door.send(an_event())
    door.send(an_event(timestamp=1))
    good, bad = door.recorded()
    assert [step[0] for step in good.steps] == ["size", "form", "signature", "event", "freshness"]
    assert [step[1] for step in bad.steps] == [True, True, True, True, False]
    assert all(isinstance(step[3], float) for step in good.steps)


def test_several_secrets_verify_and_the_one_that_matched_is_on_record(knock: Knock) -> None:
    """While rotating both secrets are accepted, and the record names the one that held."""
    door = knock(webhook_secrets="new-secret,old-secret")
    assert door.send(an_event("1"), secret="old-secret").is_success
    assert door.send(an_event("2"), secret="new-secret").is_success
    old, new = door.recorded()
    assert old.secret_fingerprint == SigningSecret("x", "old-secret").fingerprint
    assert new.secret_label == "LLAMAPARSE_WEBHOOK_SECRET 1"


def test_setup_names_the_jobs_that_still_need_an_old_secret(knock: Knock) -> None:
    """No secret is taken away while a job in flight will be signed with it."""
    door = knock(webhook_secrets="new-secret,old-secret")
    job_ids = submitted(door.console, {"a.txt": b"a", "b.txt": b"b"}).job_ids
    with door.console.store.write() as tx:
        for job_id, secret in zip(job_ids, ["old-secret", "gone-secret"], strict=True):
            attempt_id = door.console.jobs.view(job_id).attempts[0].id
            row = tx.get(AttemptRow, attempt_id)
            assert row is not None
            row.status, row.webhook_secret = "running", SigningSecret("x", secret).fingerprint
            tx.add(row)
    facts = [f for f in door.console.setup.facts() if f.topic == "Webhook secret"]
    assert [f.grade for f in facts] == [Grade.OK, Grade.OK, Grade.PROBLEM]
    assert "only verifies; 1 job in flight" in facts[1].what
    assert "secret" not in "".join(f.what for f in facts).replace("-webhook", "")


def test_the_test_secret_opens_nothing_but_tests(knock: Knock) -> None:
    """Signed with the secret for tests, only an event marked as a test is accepted."""
    door = knock()
    assert door.send(an_event(), secret=door.secret("test")).status_code == 401
    assert door.send(an_event(test=True), secret=door.secret("test")).is_success
    refused, accepted = door.recorded()
    assert (refused.verdict, accepted.scope) == ("bad_signature", "test")


def test_a_flood_of_bad_signatures_is_answered_429_and_bounded_on_disk(knock: Knock) -> None:
    """Strangers are turned away unrecorded past a bound; who signs well is served all the while."""
    door = knock()
    answers = [door.send(an_event(f"{n}"), secret="wrong").status_code for n in range(160)]
    assert set(answers) == {401, 429}
    assert door.send(an_event("good")).status_code == 200
    door.console.receiver.close()
    rows = door.recorded()
    assert len(rows) < 120
    assert [d.event_id for d in rows if d.verdict == "accepted"] == ["good"]
    told = next(d for d in rows if d.verdict == "flood")
    assert f"{answers.count(429)} more were refused" in told.reason


def test_what_a_known_sender_gets_wrong_is_always_recorded(knock: Knock) -> None:
    """The bound on refusals is for strangers: a signed delivery that is malformed is always kept."""
    door = knock()
    for n in range(130):
        door.send(an_event(f"{n}"), secret="wrong")
    answer = door.send(b"[]")
    assert (answer.status_code, bool(answer.json()["delivery_id"])) == (400, True)


def test_secrets_in_headers_are_not_kept(knock: Knock) -> None:
    """The record keeps the length of a secret header, never its value."""
    door = knock()
    private = {
        "Authorization": "Bearer llx-private",
        "Cookie": "llx-private",
        "X-Api-Token": "llx-private",
    }
    door.send(an_event(), headers=private)
    assert "llx-private" not in json.dumps(door.recorded()[0].headers)
    assert sign(door.secret(), b"") not in json.dumps(door.recorded()[0].headers)
