"""The webhook door: what gets in, what is refused, and that everything is on record."""

import json
import time
from collections.abc import Callable

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.api import all_routes, ingress_app
from core.console import Console
from core.store import deliveries
from core.webhooks.endpoint import WEBHOOK_PATH
from core.webhooks.signatures import sign
from tests.webhooks.conftest import Door, an_event

EVENT = {
    "event_id": "e-1",
    "event_type": "parse.success",
    "timestamp": time.time(),
    "data": {"id": "pjb-x", "job_id": "pjb-x"},
}


@pytest.fixture
def console(make_console: Callable[..., Console]) -> Console:
    """A console that receives and does not parse."""
    return make_console(max_webhook_kb=2)


@pytest.fixture
def door(console: Console) -> TestClient:
    """The ingress port."""
    return TestClient(ingress_app(console))


def _secret(console: Console) -> str:
    return (console.settings.data_dir / "mock-webhook-secret").read_text()


def _post(door: TestClient, body: bytes, **headers: str) -> tuple[int, dict[str, object]]:
    answer = door.post(
        WEBHOOK_PATH, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    return answer.status_code, answer.json()


def test_a_signed_event_is_recorded_and_its_repeat_is_a_duplicate(
    console: Console, door: TestClient
) -> None:
    """A signed event is answered 2xx once it is on record; the same event again is a duplicate."""
    body = json.dumps(EVENT).encode()
    signature = sign(_secret(console), body)
    first, again = (_post(door, body, LC_Signature=signature) for _ in range(2))
    assert (first[0], first[1]["status"], first[1]["duplicate"]) == (200, "parked", False)
    assert (again[0], again[1]["status"], again[1]["duplicate"]) == (200, "duplicate", True)
    with console.store.read() as tx:
        assert [d.verdict for d in deliveries.recent(tx)] == ["duplicate", "accepted"]


def test_a_captured_delivery_sent_again_and_again_does_not_fill_the_disk(
    knock: Callable[..., Door], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of repeats the newest are kept, each with 8 KB; the first stays whole, and repeats drive no refusal out."""
    monkeypatch.setattr("core.webhooks.receiver._KEPT_ROWS", 4)
    monkeypatch.setattr("core.webhooks.receiver._TIDY_EVERY", 5)
    door = knock(database_url=database_url)
    captured = json.dumps(an_event(filler="x" * 20_000)).encode()
    refused = door.send(an_event("2"), secret="wrong").json()["delivery_id"]
    answers = [door.send(captured).json() for _ in range(30)]
    assert [a["duplicate"] for a in answers] == [False] + [True] * 29
    door.console.receiver.close()  # what was tidied up after the last answer is done too
    recorded = {d.id: d for d in door.recorded()}
    assert recorded[answers[0]["delivery_id"]].body == captured
    assert refused in recorded
    repeats = [d for d in recorded.values() if d.verdict == "duplicate"]
    assert 4 <= len(repeats) < 10
    assert repeats[-1].id == answers[-1]["delivery_id"]
    assert {(len(d.body), d.body_size) for d in repeats} == {(8192, len(captured))}
    (told,) = door.console.replays.foresee(repeats[-1:])
    assert "first" in told.what


@pytest.mark.parametrize("header", ["LC-Signature", "X-Webhook-Signature"])
def test_both_headers_are_understood(console: Console, door: TestClient, header: str) -> None:
    """The vendor's header and the plain one both carry the signature."""
    body = json.dumps(EVENT).encode()
    assert door.post(
        WEBHOOK_PATH, content=body, headers={header: sign(_secret(console), body)}
    ).is_success


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"{}", 401),
        ({"LC-Signature": "sha256=" + "0" * 64}, b"{}", 401),
        ({"LC-Signature": "SIGNED"}, b"not json", 400),
        ({"LC-Signature": "SIGNED"}, b"[]", 400),
        ({"LC-Signature": "SIGNED"}, b"x" * 4096, 413),
    ],
)
def test_refusals_have_documented_answers_and_are_recorded(
    console: Console, door: TestClient, headers: dict[str, str], body: bytes, status: int
) -> None:
    """Nothing is refused without a documented status and a row."""
    sent = {k: sign(_secret(console), body) if v == "SIGNED" else v for k, v in headers.items()}
    answer = door.post(WEBHOOK_PATH, content=body, headers=sent)
    assert answer.status_code == status
    with console.store.read() as tx:
        rows = deliveries.recent(tx)
    assert len(rows) == 1
    assert rows[0].id == answer.json()["delivery_id"]
    assert "0" * 64 not in json.dumps(rows[0].headers)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=300),
    signature=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=80),
)
def test_any_bytes_give_a_documented_answer(
    console: Console, door: TestClient, body: bytes, signature: str
) -> None:
    """Whatever is sent, signed or not, is answered with a documented status."""
    for value in (signature.strip(), sign(_secret(console), body)):
        sent = httpx.Headers([(b"LC-Signature", value.encode("latin-1"))])
        answer = door.post(WEBHOOK_PATH, content=body, headers=sent)
        assert answer.status_code in {200, 400, 401, 413}


def test_the_tunnel_port_does_not_publish_the_console(door: TestClient) -> None:
    """The ingress port serves webhooks and health only."""
    assert door.get("/api/v1/health").json() == {"status": "ok"}
    assert door.get("/").status_code == 404
    assert door.get("/metrics").status_code == 404


def test_metrics_and_readiness_answer(console: Console) -> None:
    """Readiness names its checks; metrics count webhooks by verdict."""
    here = TestClient(Starlette(routes=all_routes(console)))
    here.post(WEBHOOK_PATH, content=b"{}")
    ready = here.get("/api/v1/ready")
    assert (ready.status_code, ready.json()["database"]) == (200, "ok")
    assert 'parsedeck_webhooks_total{verdict="missing_signature"} 1.0' in here.get("/metrics").text


def test_the_generated_secret_is_for_its_owner_only(console: Console) -> None:
    """The MOCK secret is a file of mode 0600."""
    assert (console.settings.data_dir / "mock-webhook-secret").stat().st_mode & 0o777 == 0o600
