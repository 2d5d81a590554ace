"""What is foretold is what happens: each delivery is judged beforehand, then really sent, and the two compared."""

import gzip
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from core.api import ingress_app
from core.console import Console
from core.services.foresight import foresee
from core.store.tables import AttemptRow, JobRow
from core.webhooks.endpoint import WEBHOOK_PATH
from core.webhooks.signatures import sign
from tests.factories import ALICE, submitted
from tests.webhooks.conftest import Door

_JOBS = {
    "pjb-mock": ("mock", "running"),
    "pjb-mock-done": ("mock", "done"),
    "pjb-real": ("real", "running"),
    "pjb-hybrid-done": ("hybrid", "done"),
}
_SENT = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["e-1", "e-2", ""]),
        "kind": st.sampled_from(["parse.success", "parse.new_kind", "extract.success", "flat", ""]),
        "job": st.sampled_from([*_JOBS, "pjb-none", ""]),
        "age_s": st.sampled_from([0, 10**6, -(10**5), -(10**12)]),
        "is_test": st.booleans(),
        "signer": st.sampled_from(["real", "mock", "test", "stranger", ""]),
        "headers": st.sampled_from(
            [{}, {"Content-Encoding": "gzip"}, {"Content-Type": "text/html"}, {"X-Signature": "aa"}]
        ),
        "form": st.sampled_from(["", "twice", "gzip", "cut", "large"]),
    }
)
_PLAIN = {
    "id": "e-1",
    "kind": "parse.success",
    "job": "pjb-none",
    "age_s": 0,
    "is_test": False,
    "signer": "mock",
    "headers": {},
    "form": "",
}


@pytest.fixture
def door(make_console: Callable[..., Console]) -> Door:
    """A door behind which there are jobs of each kind; every refusal is recorded, however many come."""
    console = make_console(max_webhook_kb=4, webhook_secrets="whsec_real,whsec_old")
    console.receiver._budget._burst = console.receiver._budget._left = 10**6
    for name, (mode, status) in _JOBS.items():
        job_id = submitted(console, {"a.txt": name.encode()}, key=name).job_ids[0]
        with console.store.write() as tx:
            attempt = tx.get(AttemptRow, console.jobs.view(job_id).attempts[0].id)
            job = tx.get(JobRow, job_id)
            assert attempt is not None
            assert job is not None
            attempt.status, attempt.vendor_job_id, job.mode = status, name, mode
            tx.add_all([attempt, job])
    return Door(console, TestClient(ingress_app(console)))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=_SENT, sign_anew=st.booleans())
@example(sent={**_PLAIN, "id": "e-3", "kind": "extract.success"}, sign_anew=False)
@example(sent={**_PLAIN, "id": "e-3", "kind": "extract.success"}, sign_anew=False)
@example(sent={**_PLAIN, "id": "e-4", "job": "pjb-mock", "signer": "real"}, sign_anew=False)
@example(sent={**_PLAIN, "id": "e-4", "job": "pjb-real"}, sign_anew=False)
@example(sent={**_PLAIN, "headers": {"Content-Encoding": "gzip"}, "form": "gzip"}, sign_anew=False)
@example(sent={**_PLAIN, "form": "large"}, sign_anew=False)
def test_what_is_foretold_of_a_delivery_and_of_its_replay_is_what_is_answered(
    door: Door, sent: dict[str, object], sign_anew: bool
) -> None:
    """Status and verdict, whoever signed what about whose job, new or repeated; then the same as a replay."""
    console = door.console
    headers, body = _made(door, sent)
    with console.store.read() as tx:
        told = foresee(tx, console.receiver.judge(headers, body))
    answer = door.client.post(WEBHOOK_PATH, content=body, headers=headers)
    assert (told.status_code, told.verdict) == (answer.status_code, answer.json()["status"])

    chosen = console.replays.select([answer.json()["delivery_id"]])
    (replay_told,) = console.replays.foresee(chosen, sign_anew=sign_anew)
    (done,) = console.replays.run(chosen, ALICE, sign_anew=sign_anew)
    assert replay_told.verdict == done.verdict
    if not sign_anew and chosen[0].verdict not in {"stale", "future", "duplicate", "too_large"}:
        # the same bytes and headers get what they got
        assert done.verdict == told.verdict


def _made(door: Door, sent: dict[str, object]) -> tuple[dict[str, str], bytes]:
    job = sent["job"]
    event = {
        "event_id": sent["id"],
        "event_type": sent["kind"],
        "timestamp": time.time() - float(str(sent["age_s"])),
        "data": {"job_id": job},
        "test": sent["is_test"],
    }
    if sent["kind"] == "flat":
        event = {"parse_job_id": job, "status": "parsed", "test": sent["is_test"]}
    body = json.dumps(event).encode()
    match sent["form"]:
        case "twice":
            body = json.dumps(body.decode()).encode()
        case "gzip":
            body = gzip.compress(body)
        case "cut":
            body = body[:-5]
        case "large":
            body += b" " * 5000
    headers = {"Content-Type": "application/json", **dict(sent["headers"])}  # type: ignore[call-overload]
    secrets = {"real": "whsec_old", "stranger": "wrong", "mock": "", "test": ""}
    if sent["signer"] in secrets:
        signer = str(sent["signer"])
        headers["LC-Signature"] = sign(secrets[signer] or door.secret(signer), body)
    return headers, body
