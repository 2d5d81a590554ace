"""Forensics: each usual mistake is named, nothing is named without evidence, nothing secret is shown."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import WebhookRejected
from core.store.tables import AttemptRow
from core.webhooks.forensics import Case, diagnose
from core.webhooks.misreadings import Mistake
from core.webhooks.signatures import SigningSecret, sign, verify
from tests.factories import submitted
from tests.webhooks.conftest import Door, an_event

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRET = SigningSecret("current", "whsec_dGhlIHJlYWwgdGhpbmc")
OTHER = SigningSecret("second", "whsec_second")
TESTS = SigningSecret("generated for tests", "whsec_tests")
BODY = json.dumps(
    {"event_id": "é-1", "event_type": "parse.success", "timestamp": 1.5, "data": {"job_id": "p"}}
).encode()
VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
)["vectors"]


def _case(body: bytes, *presented: tuple[str, str], **facts: Any) -> Case:
    plain: dict[str, Any] = {
        "verdict": "bad_signature",
        "body": body,
        "body_is_whole": True,
        "presented": presented,
        "secrets": [("real", SECRET), ("real", OTHER), ("test", TESTS)],
        "received_at": NOW,
    }
    return Case(**{**plain, **facts})


def _named(body: bytes, *presented: tuple[str, str], **facts: Any) -> list[Mistake]:
    return [finding.mistake for finding in diagnose(_case(body, *presented, **facts))]


def _digest(body: bytes, key: bytes = SECRET.value.encode()) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()


_VENDOR = "LC-Signature"
_PAYLOAD = json.loads(BODY)
_BASE64 = base64.b64encode(bytes.fromhex(_digest(BODY))).decode()
_RAW_KEY = base64.b64decode("dGhlIHJlYWwgdGhpbmc=")


@pytest.mark.parametrize(
    ("mistake", "body", "header", "value"),
    [
        (Mistake.VERIFIES_TODAY, BODY, _VENDOR, sign(OTHER, BODY)),
        (Mistake.OTHER_ENVIRONMENT, BODY, _VENDOR, sign(TESTS, BODY)),
        (Mistake.RE_ENCODED, json.dumps(_PAYLOAD, indent=2).encode(), _VENDOR, sign(SECRET, BODY)),
        (
            Mistake.RE_ENCODED,
            BODY,
            _VENDOR,
            sign(SECRET, json.dumps(_PAYLOAD, separators=(",", ":"), ensure_ascii=False).encode()),
        ),
        (
            Mistake.RE_ENCODED,
            BODY,
            _VENDOR,
            sign(SECRET, json.dumps(_PAYLOAD, indent="\t", ensure_ascii=False).encode()),
        ),
        (
            Mistake.RE_ENCODED,
            b'{"timestamp":1,"n":7.5}',
            _VENDOR,
            sign(SECRET, b'{"timestamp": 1.0, "n": 7.5}'),
        ),
        (Mistake.RE_ENCODED, b'{"timestamp": 1.0}', _VENDOR, sign(SECRET, b'{"timestamp":1}')),
        (Mistake.RE_ENCODED, b"\xef\xbb\xbf" + BODY, _VENDOR, sign(SECRET, BODY)),
        (Mistake.NEWLINE, BODY + b"\n", _VENDOR, sign(SECRET, BODY)),
        (Mistake.NEWLINE, BODY, _VENDOR, sign(SECRET, BODY + b"\n")),
        (Mistake.DOUBLE_ENCODED, json.dumps(BODY.decode()).encode(), _VENDOR, sign(SECRET, BODY)),
        (Mistake.DOUBLE_ENCODED, BODY, _VENDOR, sign(SECRET, json.dumps(BODY.decode()).encode())),
        (Mistake.WRONG_HEADER, BODY, "X-Hub-Signature-256", sign(SECRET, BODY)),
        (Mistake.HEX_CASE, BODY, _VENDOR, f"sha256={_digest(BODY).upper()}"),
        (Mistake.BASE64, BODY, _VENDOR, f"sha256={_BASE64}"),
        (Mistake.BASE64, BODY, "X-Webhook-Signature", _BASE64),
        (Mistake.SIGNATURE_FORM, BODY, _VENDOR, _digest(BODY)),
        (Mistake.SIGNATURE_FORM, BODY, _VENDOR, f"v1,{_digest(BODY)}"),
        (Mistake.SIGNATURE_FORM, BODY, _VENDOR, f"sha256={_digest(BODY)} "),
        (Mistake.SIGNATURE_FORM, BODY, _VENDOR, f"sha256= {_digest(BODY)}"),
        (Mistake.SIGNATURE_FORM, BODY, _VENDOR, f"sha256=\t{_digest(BODY)}"),
        (Mistake.SIGNATURE_FORM, BODY, _VENDOR, f"sha256={_digest(BODY)[:8]} {_digest(BODY)[8:]}"),
        (
            Mistake.SIGNATURE_FORM,
            BODY,
            "X-Webhook-Signature",
            f"{_digest(BODY)[:2]} {_digest(BODY)[2:]}",
        ),
        (Mistake.CUT_OFF, BODY, _VENDOR, f"sha256={_digest(BODY)[:32]}"),
        (Mistake.CUT_OFF, BODY, _VENDOR, f"sha256={_digest(BODY)}00"),
        (
            Mistake.ALGORITHM,
            BODY,
            _VENDOR,
            "sha1=" + hmac.new(SECRET.value.encode(), BODY, hashlib.sha1).hexdigest(),
        ),
        (Mistake.ALGORITHM, BODY, _VENDOR, f"sha256={hashlib.sha256(BODY).hexdigest()}"),
        (
            Mistake.WRONG_KEY_FORM,
            BODY,
            _VENDOR,
            f"sha256={_digest(BODY, SECRET.value.encode() + bytes([10]))}",
        ),
        (Mistake.WRONG_KEY_FORM, BODY, _VENDOR, f"sha256={_digest(BODY, _RAW_KEY)}"),
        (
            Mistake.WRONG_KEY_FORM,
            BODY,
            _VENDOR,
            f"sha256={_digest(BODY, b'dGhlIHJlYWwgdGhpbmc')}",
        ),
    ],
)
def test_each_usual_mistake_is_named(
    mistake: Mistake, body: bytes, header: str, value: str
) -> None:
    """What people and proxies get wrong is named, with what to do about it."""
    found = diagnose(_case(body, (header, value)))
    assert found[0].mistake is mistake
    assert found[0].next_step


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS if "forensics" in v.get("why", "")], ids=lambda v: str(v["name"])
)
def test_the_vectors_that_forensics_should_name(vector: dict[str, Any]) -> None:
    """Every known bad delivery with a known cause gets that cause."""
    wanted = {
        "upper-case hex": Mistake.HEX_CASE,
        "base64 instead of hex": Mistake.BASE64,
        "body re-indented by a proxy": Mistake.RE_ENCODED,
        "trailing newline added": Mistake.NEWLINE,
        "double-encoded body, signed before encoding": Mistake.DOUBLE_ENCODED,
    }
    secrets = [("real", SigningSecret("configured", vector["secret"]))]
    body = base64.b64decode(vector["body_base64"])
    named = _named(body, (vector["header"], vector["value"]), secrets=secrets)
    assert named == [wanted[vector["name"]]]


def test_a_secret_taken_away_too_early_is_named_by_the_job_that_needs_it() -> None:
    """When the job was submitted with a secret that is gone, that is the likely cause."""
    gone = SigningSecret("gone", "whsec_gone")
    found = diagnose(_case(BODY, (_VENDOR, sign(gone, BODY)), given_to_vendor=gone.fingerprint))
    assert found[0].mistake is Mistake.PREVIOUS_SECRET
    assert gone.fingerprint in found[0].what


@pytest.mark.parametrize(
    ("verdict", "timestamp", "mistake"),
    [
        ("stale", NOW - timedelta(hours=2, seconds=3), Mistake.CLOCK),
        ("future", NOW + timedelta(hours=1, seconds=-2), Mistake.CLOCK),
        ("future", NOW + timedelta(seconds=400), Mistake.CLOCK),
        ("stale", NOW - timedelta(days=3), Mistake.REPEAT),
    ],
)
def test_clocks_and_late_repeats_are_told_apart(
    verdict: str, timestamp: datetime, mistake: Mistake
) -> None:
    """A time zone taken for UTC, a fast clock and a late repeat are different repairs."""
    body = json.dumps({"timestamp": timestamp.timestamp()}).encode()
    assert _named(body, verdict=verdict) == [mistake]


def test_milliseconds_are_named() -> None:
    """A timestamp in milliseconds is no moment in seconds, and is called what it is."""
    body = json.dumps({"timestamp": NOW.timestamp() * 1000}).encode()
    assert _named(body, verdict="malformed") == [Mistake.MILLISECONDS]


def test_an_unsigned_delivery_says_how_to_sign() -> None:
    """No signature at all is not taken for a wrong one."""
    assert _named(BODY, verdict="missing_signature") == [Mistake.NOT_SIGNED]


@given(
    at=st.integers(0, 70),
    blank=st.sampled_from([" ", "\t", "  ", '"', "'"]),
    header=st.sampled_from(["LC-Signature", "X-Webhook-Signature"]),
)
def test_verifies_today_is_said_only_of_what_does(at: int, blank: str, header: str) -> None:
    """Whatever is put into a right signature: it is called verified exactly when the receiver takes it."""
    right = sign(SECRET, BODY)
    value = right[:at] + blank + right[at:]
    with suppress(WebhookRejected):
        verify({header: value}, BODY, [SECRET])
        pytest.fail("the receiver takes it")
    assert Mistake.VERIFIES_TODAY not in _named(BODY, (header, value))


@given(body=st.binary(max_size=200), value=st.text(max_size=120), name=st.text(max_size=30))
def test_nothing_is_named_without_evidence(body: bytes, value: str, name: str) -> None:
    """Random bytes under a random signature fit none of the mistakes, and nothing fails."""
    for header in (name, "LC-Signature"):
        assert _named(body, (header, value)) == [Mistake.UNKNOWN_SECRET]


@given(
    body=st.one_of(
        st.binary(max_size=100),
        st.dictionaries(st.text(max_size=5), st.text(max_size=9)).map(
            lambda payload: json.dumps(payload).encode()
        ),
    ),
    change=st.sampled_from([b"", b"\n", b" ", b"\r\n"]),
    verdict=st.sampled_from(["bad_signature", "missing_signature", "stale", "malformed"]),
)
def test_no_finding_holds_a_secret_or_the_right_signature(
    body: bytes, change: bytes, verdict: str
) -> None:
    """Whatever is found out, neither a secret nor the signature that would have been right is told."""
    received = body + change
    presented = [("LC-Signature", sign(SECRET, body)[:-1]), ("X-Signature", "sha256=00")]
    told = " ".join(
        f"{f.what} {f.next_step}" for f in diagnose(_case(received, *presented, verdict=verdict))
    )
    for secret in (SECRET, OTHER, TESTS):
        assert secret.value not in told
        for signed in (body, received):
            assert sign(secret, signed).removeprefix("sha256=") not in told


@pytest.mark.parametrize(
    "event",
    [
        an_event(data={"job_id": "pjb-7"}),
        an_event(data={"id": "pjb-7"}),
        {"job_id": "ours", "parse_job_id": "pjb-7", "status": "parsed", "artifacts": []},
        {"job_id": "pjb-7", "status": "failed"},
        json.dumps({"job_id": "pjb-7", "status": "failed"}),
        {"event_type": "parse.success", "data": {"id": "pjb-7"}},
    ],
    ids=["job_id", "id", "flat", "flat, job_id only", "twice encoded", "no event id"],
)
def test_a_secret_that_is_gone_is_named_whichever_form_names_the_job(
    knock: Callable[..., Door], event: object
) -> None:
    """The job is found in every form that the receiver reads."""
    door = knock()
    job_id = submitted(door.console, {"a.txt": b"words"}).job_ids[0]
    gone = SigningSecret("gone", "whsec_gone")
    with door.console.store.write() as tx:
        row = tx.get(AttemptRow, door.console.jobs.view(job_id).attempts[0].id)
        assert row is not None
        row.vendor_job_id, row.webhook_secret = "pjb-7", gone.fingerprint
        tx.add(row)
    refused = door.send(event, secret=gone.value).json()["delivery_id"]
    (found,) = door.console.deliveries.view(refused).findings
    assert found.mistake is Mistake.PREVIOUS_SECRET
    assert gone.fingerprint in found.what


def test_the_page_of_a_refusal_names_the_mistake(knock: Callable[..., Door]) -> None:
    """What arrived re-indented is explained on its page, without the signature being kept visible."""
    door = knock()
    event = an_event()
    signature = sign(door.secret(), json.dumps(event).encode())
    body = json.dumps(event, indent=2).encode()
    refused = door.send(body, headers={"LC-Signature": signature}).json()["delivery_id"]
    view = door.console.deliveries.view(refused)
    assert [finding.mistake for finding in view.findings] == [Mistake.RE_ENCODED]
    assert signature not in json.dumps(view.delivery.headers)
    assert signature not in repr(view)
