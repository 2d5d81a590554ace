"""Whatever is sent: one of the documented answers, and a record of it."""

import json
from collections.abc import Callable

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.testclient import TestClient

from core.api import ingress_app
from core.console import Console
from core.webhooks.endpoint import WEBHOOK_PATH
from core.webhooks.receiver import STATUS_CODES
from core.webhooks.signatures import sign
from tests.webhooks.conftest import Door, an_event

DOCUMENTED = {200, *STATUS_CODES.values()}
_TOKEN = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=12)
_VALUE = st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\0"))
_NAMES = st.one_of(
    _TOKEN,
    st.sampled_from(
        ["LC-Signature", "X-Webhook-Signature", "Content-Type", "Content-Encoding", "X-Signature"]
    ),
)
_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.integers(-(10**400), 10**400),
        st.text(max_size=12),
        st.just("\0"),
        st.just("\ud800"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_EVENT = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.one_of(_JSON, st.just("e-1")),
        "event_type": st.one_of(_JSON, st.sampled_from(["parse.success", "extract.error"])),
        "timestamp": _JSON,
        "data": st.one_of(_JSON, st.fixed_dictionaries({"job_id": _JSON})),
        "status": st.one_of(_JSON, st.just("parsed")),
        "job_id": _JSON,
        "parse_job_id": _JSON,
        "artifacts": st.one_of(
            _JSON,
            st.lists(
                st.fixed_dictionaries(
                    {"content": st.text(max_size=5)}, optional={"sha256": _JSON, "bytes": _JSON}
                ),
                max_size=3,
            ),
        ),
        "test": _JSON,
    },
)
_BODIES = st.one_of(
    st.binary(max_size=200),
    _JSON.map(lambda value: json.dumps(value).encode()),
    _EVENT.map(lambda value: json.dumps(value).encode()),
    _EVENT.map(lambda value: json.dumps(json.dumps(value)).encode()),
    _EVENT.map(lambda value: json.dumps(value).encode("utf-16")),
    st.integers(1, 100_000).map(lambda depth: b"[" * depth),
    st.integers(1, 3000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
    st.integers(1, 9000).map(lambda digits: b'{"event_id":' + b"9" * digits + b"}"),
)


@pytest.fixture
def door(make_console: Callable[..., Console], database_url: str) -> Door:
    """A door on SQLite, and one on Postgres, whose texts are stricter."""
    console = make_console(database_url=database_url, max_webhook_kb=64)
    return Door(console, TestClient(ingress_app(console)))


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=_BODIES,
    headers=st.lists(st.tuples(_NAMES, _VALUE), max_size=5),
    signer=st.sampled_from(["", "mock", "test"]),
)
def test_any_bytes_anywhere_get_a_documented_answer_and_a_record(
    door: Door, body: bytes, headers: list[tuple[str, bytes]], signer: str
) -> None:
    """Any body, headers and signature: never a 500, and on record unless strangers flood us."""
    sent = [(name.encode(), value) for name, value in headers]
    if signer:
        sent.append((b"LC-Signature", sign(door.secret(signer), body).encode()))
    answer = door.client.post(WEBHOOK_PATH, content=body, headers=httpx.Headers(sent))
    assert answer.status_code in DOCUMENTED
    delivery_id = answer.json()["delivery_id"]
    if delivery_id:
        delivery = door.console.deliveries.view(delivery_id).delivery
        assert delivery.is_refused == (answer.status_code != 200)
    else:
        # only what nobody signed may go unrecorded one by one
        assert not signer or answer.status_code in {415, 413, 401}


@pytest.mark.parametrize(
    "event",
    [
        an_event("a\0b"),
        an_event("half \ud800"),
        an_event("x" * 201),
        an_event("ok", job="a\0b"),
        an_event("ok", timestamp=1e400),
        an_event("ok", timestamp=float("nan")),
        an_event("ok", timestamp=True),
        an_event("ok", timestamp=10**300),
        an_event("ok", data=[]),
        {"status": "parsed", "job_id": 7},
        {"status": "parsed", "job_id": "x", "artifacts": [{}] * 1001},
    ],
)
def test_signed_nonsense_is_malformed(door: Door, event: dict[str, object]) -> None:
    """What no database or clock can hold is refused with 400 and kept as it came."""
    answer = door.send(event)
    assert (answer.status_code, answer.json()["status"]) == (400, "malformed")


def test_what_cannot_be_recorded_is_not_accepted(door: Door) -> None:
    """While the database refuses, a good event is answered 503, and accepted once it comes again."""
    with door.console.store.write() as tx:
        tx.execute(text("ALTER TABLE delivery RENAME TO gone"))
    answer = door.send(an_event())
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    with door.console.store.write() as tx:
        tx.execute(text("ALTER TABLE gone RENAME TO delivery"))
    again = door.send(an_event())
    assert (again.status_code, again.json()["duplicate"]) == (200, False)
    assert [d.verdict for d in door.recorded()] == ["accepted"]
