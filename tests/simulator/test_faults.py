"""Faults on demand: each does what its name says, is drawn from the seed, and is counted."""

import json
from collections.abc import Callable

import httpx2 as httpx
import pytest

from core.simulator.faults import FaultName, Faults, FaultSpec
from core.webhooks.signatures import sign
from tests.factories import wait_until
from tests.simulator.cast import Mailbox

Simulate = Callable[..., str]
KEY = {"Authorization": "Bearer llx-test"}


def _upload(url: str, **extra: object) -> httpx.Response:
    configuration = {"tier": "agentic", "version": "latest", **extra}
    return httpx.post(
        f"{url}/api/v2/parse/upload",
        headers=KEY,
        files={"file": ("a.txt", b"one")},
        data={"configuration": json.dumps(configuration)},
    )


def _jobs(url: str) -> int:
    return len(httpx.get(f"{url}/__simulator/ledger").json()["jobs"])


def _counts(url: str) -> dict[str, int]:
    counts: dict[str, int] = httpx.get(f"{url}/__simulator/faults").json()["counts"]
    return counts


@pytest.mark.parametrize(("fault", "jobs"), [("lost_request", 0), ("lost_answer", 1)])
def test_a_lost_request_makes_no_job_and_a_lost_answer_does(
    simulate: Simulate, fault: str, jobs: int
) -> None:
    """Both look alike to the caller; the ledger knows the difference."""
    url = simulate(faults=(f"{fault}=1@submit",))
    with pytest.raises(httpx.TransportError):
        _upload(url)
    assert (_jobs(url), _counts(url)) == (jobs, {fault: 1})


@pytest.mark.parametrize(
    ("fault", "status", "jobs"), [("rate_limit", 429, 0), ("server_error", 503, 0)]
)
def test_refusals_make_no_job(simulate: Simulate, fault: str, status: int, jobs: int) -> None:
    """A 429 carries no Retry-After, as the service's does not."""
    url = simulate(faults=(f"{fault}=1",))
    answer = _upload(url)
    assert (answer.status_code, _jobs(url)) == (status, jobs)
    assert "Retry-After" not in answer.headers
    assert "X-Parsedeck-Simulator" in answer.headers


def test_answers_can_be_cut_or_be_no_json(simulate: Simulate) -> None:
    """The job exists; what is told of it is of no use."""
    url = simulate(faults=("malformed=1@submit",))
    assert _upload(url).text.startswith("<html>")
    set_ = httpx.put(f"{url}/__simulator/faults", json={"faults": ["truncated=1@submit"]})
    assert set_.json()["faults"] == ["truncated=1@submit"]
    with pytest.raises(httpx.RemoteProtocolError):
        _upload(url)
    assert _jobs(url) == 2


def test_a_result_can_be_missing_after_success(simulate: Simulate) -> None:
    """COMPLETED, and yet 404 on its result."""
    url = simulate(faults=("result_missing=1",))
    job = _upload(url).json()["id"]
    get = f"{url}/api/v2/parse/{job}"
    wait_until(lambda: httpx.get(get, headers=KEY).json()["job"]["status"] == "COMPLETED")
    assert httpx.get(get, headers=KEY, params={"expand": "markdown"}).status_code == 404


def _with_webhook(simulate: Simulate, mailbox: Mailbox, *faults: str) -> str:
    url = simulate(faults=faults, events=("parse.success",))
    hook = {
        "webhook_url": mailbox.url,
        "webhook_signing_secret": "whsec_x",
        "webhook_output_format": "json",
    }
    _upload(url, webhook_configurations=[hook])
    return url


def _statuses(url: str) -> list[str]:
    return [sent["status"] for sent in httpx.get(f"{url}/__simulator/ledger").json()["webhooks"]]


def test_a_webhook_can_be_lost(simulate: Simulate, mailbox: Mailbox) -> None:
    """The ledger says that it was never sent."""
    url = _with_webhook(simulate, mailbox, "webhook_lost=1")
    wait_until(lambda: _statuses(url) == ["given_up"])
    assert mailbox.received == []


def test_a_webhook_can_come_twice(simulate: Simulate, mailbox: Mailbox) -> None:
    """The same event id, two deliveries."""
    url = _with_webhook(simulate, mailbox, "webhook_twice=1", "webhook_late=0.05")
    wait_until(lambda: _statuses(url) == ["delivered"])
    ids = {headers["x-webhook-event-id"] for headers, _body in mailbox.received}
    assert (len(mailbox.received), len(ids)) == (2, 1)


def test_a_webhook_can_be_wrongly_signed_and_doubly_encoded(
    simulate: Simulate, mailbox: Mailbox
) -> None:
    """The signature is another secret's; the body is a JSON string that holds the event."""
    url = _with_webhook(simulate, mailbox, "webhook_wrong_signature=1", "webhook_double_encoded=1")
    wait_until(lambda: _statuses(url) == ["delivered"])
    headers, body = mailbox.received[0]
    assert headers["lc-signature"] != sign("whsec_x", body)
    assert json.loads(json.loads(body))["event_type"] == "parse.success"


def test_a_seed_draws_the_same_faults_again() -> None:
    """Two runs of one seed go wrong in the same places."""
    specs = [FaultSpec.parse("lost_answer=0.5")]
    draws = [
        [f.hits(FaultName.LOST_ANSWER) for _ in range(50)]
        for f in (Faults(specs, "7"), Faults(specs, "7"))
    ]
    assert draws[0] == draws[1]
    assert 10 < sum(draws[0]) < 40


@pytest.mark.parametrize("written", ["lost", "golden=1", "lost_answer=2", "lost_answer=1@lunch"])
def test_a_fault_that_is_none_says_what_there_is(written: str) -> None:
    """A slip of the pen names what is possible."""
    with pytest.raises(ValueError, match=r"NAME=NUMBER|from 0 to 1|operations are"):
        FaultSpec.parse(written)
