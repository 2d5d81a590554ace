"""Faults on demand: each does what its name says, is drawn from the seed, and is counted."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx2 as httpx
import pytest

from core.simulator import SimulatorConfig, create_simulator
from core.simulator.faults import FaultName, Faults, FaultSpec
from core.webhooks.signatures import sign
from tests.factories import wait_until
from tests.simulator.cast import Mailbox, read_lines

Simulate = Callable[..., str]
KEY = {"Authorization": "Bearer llx-test"}


def _upload(url: str, content: bytes = b"one", **extra: object) -> httpx.Response:
    configuration = {"tier": "agentic", "version": "latest", **extra}
    return httpx.post(
        f"{url}/api/v2/parse/upload",
        headers=KEY,
        files={"file": ("a.txt", content)},
        data={"configuration": json.dumps(configuration)},
    )


def _jobs(url: str) -> int:
    return len(httpx.get(f"{url}/__simulator/ledger").json()["jobs"])


def _status(url: str, job: str) -> str:
    answer = httpx.get(f"{url}/api/v2/parse/{job}", headers=KEY)
    status: str = answer.json()["job"]["status"]
    return status


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


@pytest.mark.parametrize(
    "written",
    [
        "lost",
        "golden=1",
        "lost_answer=2",
        "lost_answer=1@lunch",
        "partial_pages=1@submit",
        "lost_answer=fixed:1",
        "latency=fixed:1:2",
        "latency=gauss:1",
    ],
)
def test_a_fault_that_is_none_says_what_there_is(written: str) -> None:
    """A slip of the pen names what is possible."""
    with pytest.raises(ValueError, match=r"NAME=NUMBER|from 0 to 1|operations are|distribution"):
        FaultSpec.parse(written)


def test_a_lost_connection_is_a_reset(simulate: Simulate) -> None:
    """The caller's socket is reset, as when a machine in between dies; it does not end in order."""
    url = simulate(faults=("lost_request=1@submit",))
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /api/v2/parse/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100\r\n\r\n"
        )
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert (_jobs(url), _counts(url)) == (0, {"lost_request": 1})


@pytest.mark.parametrize(
    ("fault", "status", "detail"),
    [("quota_out", 402, "You've exceeded"), ("key_revoked", 401, "Invalid API Key")],
)
def test_the_plan_and_the_key_can_end(
    simulate: Simulate, fault: str, status: int, detail: str
) -> None:
    """The documented refusals, on the calls that were named and no others."""
    url = simulate(faults=(f"{fault}=1@submit",))
    answer = _upload(url)
    assert (answer.status_code, _jobs(url)) == (status, 0)
    assert answer.json()["detail"].startswith(detail)
    assert httpx.get(f"{url}/api/v2/parse", headers=KEY).status_code == 200


def test_a_job_can_be_stuck_until_it_is_cancelled(simulate: Simulate) -> None:
    """It stays PENDING, whatever the faults are later, and its cancellation is confirmed."""
    url = simulate(faults=("stuck_pending=1",))
    job = _upload(url).json()["id"]
    httpx.put(f"{url}/__simulator/faults", json={"faults": []})
    other = _upload(url).json()["id"]
    wait_until(lambda: _status(url, other) == "COMPLETED")
    assert _status(url, job) == "PENDING"
    cancelled = httpx.post(f"{url}/api/v2/parse/{job}/cancel", headers=KEY).json()
    assert (cancelled["status"], _counts(url)) == ("CANCELLED", {"stuck_pending": 1})


def test_pages_can_fail(simulate: Simulate) -> None:
    """Some pages fail, the job completes and is billed; the same seed fails the same pages."""
    url = simulate(cache=False, failure_ratio=1)
    failed = []
    for _ in range(2):
        asked = {"faults": ["partial_pages=0.5"], "seed": "3"}
        httpx.put(f"{url}/__simulator/faults", json=asked)
        job = _upload(url, content=b"\n".join([b"page"] * 20)).json()["id"]
        wait_until(partial(_is_completed, url, job))
        get = f"{url}/api/v2/parse/{job}"
        answer = httpx.get(get, headers=KEY, params={"expand": "markdown"}).json()
        failed.append([page["success"] for page in answer["markdown"]["pages"]])
    assert failed[0] == failed[1]
    assert 2 < failed[0].count(False) < 18
    assert _counts(url) == {"partial_pages": 2 * failed[0].count(False)}


def _is_completed(url: str, job: str) -> bool:
    return _status(url, job) == "COMPLETED"


def test_partial_pages_can_be_announced_as_such(simulate: Simulate, mailbox: Mailbox) -> None:
    """With the event switched on, a job with failed pages announces partial success instead."""
    events = ("parse.success", "parse.partial_success")
    url = simulate(faults=("partial_pages=1",), events=events, failure_ratio=1)
    hook = {"webhook_url": mailbox.url, "webhook_output_format": "json"}
    _upload(url, webhook_configurations=[hook])
    headers, _body = mailbox.wait_for(1)[0]
    assert headers["x-webhook-event-type"] == "parse.partial_success"


def test_bills_can_be_late(simulate: Simulate) -> None:
    """The credits are null after success, and the ledger knows them already."""
    url = simulate(faults=("billed_late=3600",))
    job = _upload(url).json()["id"]
    wait_until(lambda: _status(url, job) == "COMPLETED")
    get = f"{url}/api/v2/parse/{job}"
    usage = httpx.get(get, headers=KEY, params={"expand": "usage"}).json()["job"]["usage"]
    assert usage == {"credits": None}
    assert httpx.get(f"{url}/__simulator/ledger").json()["totals"]["credits"] == 10


def test_webhooks_can_overtake_each_other(simulate: Simulate, mailbox: Mailbox) -> None:
    """The event that is held back comes after the one that was announced later."""
    url = simulate(faults=("webhook_reordered=1",), events=("parse.running", "parse.success"))
    hook = {"webhook_url": mailbox.url, "webhook_output_format": "json"}
    _upload(url, webhook_configurations=[hook])
    wait_until(lambda: _counts(url).get("webhook_reordered") == 2)
    httpx.put(f"{url}/__simulator/faults", json={"faults": []})
    _upload(url, content=b"two", webhook_configurations=[hook])
    deliveries = mailbox.wait_for(4)
    jobs = [json.loads(body)["data"]["id"] for _headers, body in deliveries]
    assert jobs[0] != httpx.get(f"{url}/__simulator/ledger").json()["jobs"][0]["id"]
    assert len(set(jobs)) == 2


def test_an_outage_ends_by_itself_or_when_it_is_switched_off(
    simulate: Simulate, mailbox: Mailbox
) -> None:
    """While it lasts every call is reset and nothing is announced; jobs that were taken go on."""
    url = simulate(pending_s=0.5, events=("parse.success",))
    hook = {"webhook_url": mailbox.url, "webhook_output_format": "json"}
    job = _upload(url, webhook_configurations=[hook]).json()["id"]
    faults = f"{url}/__simulator/faults"
    httpx.put(faults, json={"faults": ["outage=3600"]})
    for call in (lambda: _status(url, job), lambda: _upload(url)):
        with pytest.raises(httpx.TransportError):
            call()
    wait_until(lambda: _statuses(url) == ["pending"])
    assert mailbox.received == []
    httpx.put(faults, json={"faults": []})
    assert len(mailbox.wait_for(1)) == 1
    assert (_status(url, job), _counts(url)["outage"]) == ("COMPLETED", 2)
    httpx.put(faults, json={"faults": ["outage=0.3@submit"]})
    assert _status(url, job) == "COMPLETED"
    wait_until(lambda: _is_up(url))


def _is_up(url: str) -> bool:
    try:
        return _upload(url).status_code == 200
    except httpx.TransportError:
        return False


def test_limits_can_come_in_bursts(simulate: Simulate) -> None:
    """After a first 429 all calls are refused for a while, whatever the share."""
    url = simulate(faults=("rate_limit=1@cancel", "rate_limit_burst=3600@cancel"))
    assert _upload(url).status_code == 200
    httpx.post(f"{url}/api/v2/parse/pjb-x/cancel", headers=KEY)
    assert {_upload(url).status_code for _ in range(5)} == {429}
    assert _counts(url) == {"rate_limit": 6, "rate_limit_burst": 1}


@pytest.mark.parametrize(
    ("written", "least", "most"),
    [
        ("latency=fixed:0.2", 0.2, 0.2),
        ("latency=uniform:0.1:0.5", 0.1, 0.5),
        ("latency=exponential:0.3", 0.0, 30.0),
        ("latency=lognormal:0.2:1", 0.0, 200.0),
        ("latency=0.3", 0.0, 30.0),
    ],
)
def test_latency_has_a_distribution(written: str, least: float, most: float) -> None:
    """Each shape draws within its bounds, the same again from the same seed, and is written back as read."""
    spec = FaultSpec.parse(written)
    draws = [
        [faults.seconds(FaultName.LATENCY) for _ in range(200)]
        for faults in (Faults([spec], "7"), Faults([spec], "7"))
    ]
    assert draws[0] == draws[1]
    assert all(least <= seconds <= most for seconds in draws[0])
    assert (len(set(draws[0])) == 1) == (spec.shape == "fixed")
    assert FaultSpec.parse(str(spec)) == spec


def test_latency_keeps_a_call_waiting(simulate: Simulate) -> None:
    """The call waits first, and other operations do not."""
    url = simulate(faults=("latency=fixed:0.5@list",))
    began = time.monotonic()
    httpx.get(f"{url}/api/v2/parse", headers=KEY)
    assert time.monotonic() - began >= 0.5
    assert _counts(url) == {"latency": 1}
    httpx.get(f"{url}/api/v2/parse/versions")
    assert _counts(url) == {"latency": 1}


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("files", "/api/v1/beta/files"),
        ("usage", "/api/v1/beta/usage-metrics"),
        ("hooks", "/api/v2/webhook-configs"),
        ("versions", "/api/parsing/supported_file_extensions"),
        ("status", "/api/parsing/job/x"),
        ("fetch", "/api/parsing/job/x/result/markdown"),
        ("fetch", "/api/v2/parse/pjb-x?expand=usage,items"),
        ("status", "/api/v2/parse/pjb-x?expand=usage"),
        ("list", "/api/v2/parse"),
        ("download", "/storage/files/dfl-x"),
    ],
)
def test_each_call_has_an_operation(simulate: Simulate, operation: str, path: str) -> None:
    """A fault of one operation hits its calls; one of another does not."""
    url = simulate(faults=(f"server_error=1@{operation}",))
    assert httpx.get(url + path, headers=KEY).status_code == 503
    other = "cancel" if operation != "cancel" else "list"
    httpx.put(f"{url}/__simulator/faults", json={"faults": [f"server_error=1@{other}"]})
    assert httpx.get(url + path, headers=KEY).status_code != 503


def test_the_admin_routes_are_for_this_machine(tmp_path: Path) -> None:
    """A caller from elsewhere sees neither ledger nor faults; the service's routes answer as ever."""
    app = create_simulator(SimulatorConfig(), tmp_path, read_lines)

    async def ask(client: tuple[str, int], path: str) -> int:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, client=client)
            async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
                return (await http.get(path, headers=KEY)).status_code

    for path in ("/__simulator/ledger", "/__simulator/faults", "/__simulator/health"):
        assert asyncio.run(ask(("192.0.2.7", 1), path)) == 403
        assert asyncio.run(ask(("::1", 1), path)) == 200
    assert asyncio.run(ask(("192.0.2.7", 1), "/api/v2/parse")) == 200


def test_faults_put_wrongly_change_nothing(simulate: Simulate) -> None:
    """A body that is no list of faults is refused with what is possible, and the old ones stay."""
    url = simulate(faults=("server_error=0@list",))
    faults = f"{url}/__simulator/faults"
    for body in (b"{", b"[]", b"{}", b'{"faults": 3}', b'{"faults": ["golden=1"]}'):
        assert httpx.put(faults, content=body).status_code == 422
    assert httpx.get(faults).json()["faults"] == ["server_error=0@list"]
