"""Webhooks of the look-alike: bytes, headers, signature and tries as the service documents them."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from core.webhooks.signatures import SigningSecret, verify
from tests.simulator.cast import Mailbox, eventually

Simulate = Callable[..., str]
SECRET = SigningSecret("test", "whsec_test")


def _submit(url: str, *entries: dict[str, Any], content: bytes = b"one") -> str:
    options = {"tier": "fast", "version": "latest", "webhook_configurations": list(entries)}
    answer = httpx.post(
        f"{url}/api/v2/parse/upload",
        headers={"Authorization": "Bearer k"},
        data={"configuration": json.dumps(options)},
        files={"file": ("a.pdf", content)},
    )
    job_id: str = answer.json()["id"]
    return job_id


def _sent(url: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = httpx.get(f"{url}/__simulator/ledger").json()["webhooks"]
    return sent


def test_an_event_as_the_service_sends_it(simulate: Simulate, mailbox: Mailbox) -> None:
    """Headers, payload and signature are the documented ones, over exactly the bytes sent."""
    url = simulate(events=("parse.success",))
    extra = {"X-Team": "blue", "user-agent": "mine"}
    entry = {
        "webhook_url": f"{mailbox.url}/hook",
        "webhook_signing_secret": SECRET.value,
        "webhook_output_format": "json",
        "webhook_headers": extra,
    }
    job_id = _submit(url, entry)
    headers, body = mailbox.wait_for(1)[0]
    event = json.loads(body)
    assert verify(headers, body, [SECRET]) is SECRET
    assert event["data"] == {"id": job_id, "job_id": job_id}
    assert isinstance(event["timestamp"], float)
    assert str(uuid.UUID(event["event_id"])) == headers["x-webhook-event-id"]
    assert event["event_type"] == headers["x-webhook-event-type"] == "parse.success"
    assert headers["user-agent"] == "llamaindex-webhook-service/1.0"
    assert headers["content-type"] == "application/json"
    assert headers["x-team"] == "blue"


def test_the_default_format_is_json_inside_a_string(simulate: Simulate, mailbox: Mailbox) -> None:
    """The service's default is a JSON string; it is signed as it is sent, and unsigned without a secret."""
    url = simulate(events=("parse.success",))
    signed = {"webhook_url": mailbox.url, "webhook_signing_secret": SECRET.value}
    _submit(url, signed, {"webhook_url": mailbox.url})
    deliveries = mailbox.wait_for(2)
    assert all(isinstance(json.loads(body), str) for _, body in deliveries)
    assert all(
        json.loads(json.loads(body))["event_type"] == "parse.success" for _, body in deliveries
    )
    with_signature = [pair for pair in deliveries if "lc-signature" in pair[0]]
    assert len(with_signature) == 1
    assert verify(*with_signature[0], [SECRET]) is SECRET


def test_a_result_from_the_cache_is_announced_too(simulate: Simulate, mailbox: Mailbox) -> None:
    """The same bytes and options again cost nothing, and whoever waits for an event still gets one."""
    url = simulate(events=("parse.success",))
    entry = {"webhook_url": f"{mailbox.url}/hook", "webhook_output_format": "json"}
    first = _submit(url, entry)
    mailbox.wait_for(1)
    again = _submit(url, entry)
    told = [json.loads(body)["data"]["id"] for _headers, body in mailbox.wait_for(2)]
    assert told == [first, again]
    jobs = httpx.get(f"{url}/__simulator/ledger").json()["jobs"]
    assert [job["is_cached"] for job in jobs] == [False, True]


@pytest.mark.parametrize(
    ("content", "last"), [(b"one", "parse.success"), (b"refuse:broken", "parse.error")]
)
def test_running_and_the_end_are_announced(
    simulate: Simulate, mailbox: Mailbox, content: bytes, last: str
) -> None:
    """By default a job announces that it runs and how it ended, each with an id of its own."""
    _submit(
        simulate(), {"webhook_url": mailbox.url, "webhook_output_format": "json"}, content=content
    )
    events = [json.loads(body) for _, body in mailbox.wait_for(2)]
    assert {event["event_type"] for event in events} == {"parse.running", last}
    assert len({event["event_id"] for event in events}) == 2


def test_a_cancelled_job_announces_it(simulate: Simulate, mailbox: Mailbox) -> None:
    """Cancelling is an end too; pending is announced when it is switched on."""
    url = simulate(pending_s=3600, events=("parse.pending", "parse.cancelled"))
    job_id = _submit(url, {"webhook_url": mailbox.url})
    mailbox.wait_for(1)
    httpx.post(f"{url}/api/v2/parse/{job_id}/cancel", headers={"Authorization": "Bearer k"})
    types = [headers["x-webhook-event-type"] for headers, _ in mailbox.wait_for(2)]
    assert types == ["parse.pending", "parse.cancelled"]


def test_only_the_events_that_were_asked_for(simulate: Simulate, mailbox: Mailbox) -> None:
    """A receiver that lists its events gets no others."""
    url = simulate()
    _submit(url, {"webhook_url": mailbox.url, "webhook_events": ["parse.success", "parse.error"]})
    mailbox.wait_for(1)
    eventually(lambda: all(entry["status"] == "delivered" for entry in _sent(url)))
    assert [entry["event_type"] for entry in _sent(url)] == ["parse.success"]


def test_three_tries_with_the_same_bytes(simulate: Simulate, mailbox: Mailbox) -> None:
    """A failed or redirected delivery is repeated twice, same id, same bytes, then given up."""
    mailbox.answers = [500, 302, 404, 200]
    url = simulate(events=("parse.success",), webhook_waits_s=(0.01, 0.02))
    _submit(url, {"webhook_url": mailbox.url, "webhook_signing_secret": SECRET.value})
    eventually(lambda: [entry["status"] for entry in _sent(url)] == ["given_up"])
    assert len(mailbox.received) == 3
    assert len({body for _, body in mailbox.received}) == 1
    assert len({headers["x-webhook-event-id"] for headers, _ in mailbox.received}) == 1
    assert (_sent(url)[0]["attempts"], _sent(url)[0]["answer"]) == (3, "404")


def test_any_2xx_ends_the_tries(simulate: Simulate, mailbox: Mailbox) -> None:
    """The second try succeeds, so there is no third."""
    mailbox.answers = [503, 204]
    url = simulate(events=("parse.success",), webhook_waits_s=(0.01, 0.02))
    _submit(url, {"webhook_url": mailbox.url})
    eventually(lambda: [entry["status"] for entry in _sent(url)] == ["delivered"])
    assert _sent(url)[0]["attempts"] == 2


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "https://", "http://[", "http:nowhere"])
def test_an_address_that_leads_nowhere_harms_nobody(simulate: Simulate, address: str) -> None:
    """A receiver that cannot be reached is given up; the job itself is completed."""
    url = simulate(events=("parse.success",), webhook_waits_s=(0.01, 0.01))
    _submit(url, {"webhook_url": address, "webhook_headers": {"X-Bad": "é\n"}})
    eventually(lambda: [entry["status"] for entry in _sent(url)] == ["given_up"])
    assert httpx.get(f"{url}/__simulator/ledger").json()["jobs"][0]["status"] == "COMPLETED"
