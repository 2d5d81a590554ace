"""The workbench: what it says beforehand is what happens, over real HTTP, and no real job moves."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.api import ingress_app
from core.console import Console
from core.domain.jobs import AttemptStatus
from core.errors import ConsoleError
from core.services.workbench import Draft
from core.serving import Served
from core.simulator import SimulatorConfig
from core.store.tables import AttemptRow, JobRow
from core.webhooks.signatures import SigningSecret, sign, verify
from core.webhooks.workbench import TEMPLATES, Crafted, Fault, as_curl, as_signing_curl
from tests.factories import submitted, wait_until
from tests.webhooks.conftest import Door, an_event

PARSEDECK = Path(sys.executable).with_name("parsedeck")
Knock = Callable[..., Door]


def test_what_is_foretold_is_what_the_receiver_answers(knock: Knock) -> None:
    """For each template and each fault the preview names the very status and verdict of the answer."""
    bench = knock(max_webhook_kb=4).console.workbench
    tried = [(name, frozenset[Fault]()) for name in TEMPLATES]
    tried += [
        (name, frozenset({fault})) for name in ("parse.error", "flat.parsed") for fault in Fault
    ]
    for name, faults in tried:
        crafted = bench.crafted(Draft(bench.template(name, "pjb-none"), faults))
        told = [(f.status_code, f.verdict) for f in bench.foresee(crafted)]
        sent = bench.send(crafted)
        answers = [(s.answer.status, json.loads(s.answer.text)["status"]) for s in sent]
        assert told == answers, (name, faults)


def test_several_faults_go_together(knock: Knock) -> None:
    """An old event that is sent twice is refused twice."""
    bench = knock().console.workbench
    draft = Draft(bench.template("parse.success"), frozenset({Fault.STALE, Fault.DUPLICATE}))
    answers = [s.answer.status for s in bench.send(bench.crafted(draft))]
    assert answers == [400, 400]


@pytest.mark.parametrize("mode", ["real", "hybrid"])
def test_a_test_never_changes_a_real_job(knock: Knock, mode: str) -> None:
    """An event signed for tests is recorded for a REAL job, and neither applied to it nor wakes it."""
    door = knock()
    job_id = submitted(door.console, {"a.txt": b"a"}).job_ids[0]
    attempt_id = door.console.jobs.view(job_id).attempts[0].id
    with door.console.store.write() as tx:
        attempt, job = tx.get(AttemptRow, attempt_id), tx.get(JobRow, job_id)
        assert attempt is not None
        assert job is not None
        attempt.status, attempt.vendor_job_id, job.mode = "running", "pjb-real", mode
        tx.add_all([attempt, job])
    bench = door.console.workbench
    crafted = bench.crafted(Draft(bench.template("parse.error", "pjb-real")))
    assert "never changes" in bench.foresee(crafted)[0].change
    sent = bench.send(crafted)[0]
    view = door.console.deliveries.view(sent.answer.delivery_id)
    assert "never changes" in view.delivery.outcome
    assert door.console.jobs.view(job_id).attempts[0].status is AttemptStatus.RUNNING


def test_a_test_about_a_simulated_job_is_a_hint_like_any_other(
    make_console: Callable[..., Console],
) -> None:
    """A claimed failure makes the worker ask; the job follows the answer, not the claim."""
    console = make_console(worker=True, simulator=SimulatorConfig(pending_s=3))
    job_id = submitted(console, {"a.txt": b"words"}).job_ids[0]
    wait_until(lambda: bool(console.jobs.view(job_id).attempts[0].vendor_job_id))
    vendor = console.jobs.view(job_id).attempts[0].vendor_job_id or ""
    bench = console.workbench
    sent = bench.send(bench.crafted(Draft(bench.template("parse.error", vendor))))[0]
    wait_until(
        lambda: console.deliveries.view(sent.answer.delivery_id).delivery.applied_at is not None
    )
    assert console.deliveries.view(sent.answer.delivery_id).delivery.outcome.startswith("asked")
    wait_until(lambda: console.jobs.view(job_id).job.status.is_final)
    assert console.jobs.view(job_id).job.status.has_result


def test_a_recorded_delivery_becomes_a_new_test(knock: Knock) -> None:
    """Started from a recorded delivery, the draft keeps its content and is a new event, marked as a test."""
    door = knock()
    recorded = door.send(an_event("old", job="pjb-kept")).json()["delivery_id"]
    text = door.console.workbench.from_delivery(recorded)
    payload = json.loads(text)
    assert payload["event_id"] != "old"
    assert (payload["data"]["job_id"], payload["test"]) == ("pjb-kept", True)
    assert door.console.workbench.send(door.console.workbench.crafted(Draft(text)))[
        0
    ].answer.is_success


def test_a_payload_that_is_no_json_can_be_sent_but_not_bent(knock: Knock) -> None:
    """Any text may be tried; a fault that needs a field says so."""
    bench = knock().console.workbench
    assert bench.send(bench.crafted(Draft("not json")))[0].answer.status == 400
    with pytest.raises(ConsoleError, match="JSON object"):
        bench.crafted(Draft("not json", frozenset({Fault.STALE})))


def test_the_curl_command_does_the_same(knock: Knock) -> None:
    """The copied command reaches the receiver with the same bytes and signature."""
    bench = knock().console.workbench
    crafted = bench.crafted(Draft(bench.template("parse.success")))[0]
    command = as_curl(bench.own_url, crafted)
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    arguments = [curl, *shlex.split(command)[1:]]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["status"] == "parked"


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("scope", ["real", "mock"])
def test_the_command_of_a_recorded_delivery_signs_in_the_shell(
    knock: Knock, scope: str, end: str
) -> None:
    """Pasted into a shell it sends the very bytes, signed by openssl with a secret of the same kind.

    The lines themselves hold no secret; what was simulated is not sent as if LlamaParse had signed it.
    """
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("curl or openssl is not installed")
    door = knock(webhook_secrets="whsec_mine,whsec_old")
    body = (json.dumps(an_event(note='it\'s $HOME `x` \\ "ü"'), indent=2) + end).encode()
    with Served(ingress_app(door.console)) as served:
        door.console.ingress_url = f"{served.url}/api/v1/webhooks/llamaparse"
        door.send(body, secret="whsec_mine" if scope == "real" else None)
        came = door.recorded()[0]
        command = door.console.as_curl(came)
        environment = {**os.environ, "LLAMAPARSE_WEBHOOK_SECRET": "whsec_mine,whsec_old"}
        done = subprocess.run(
            ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=True
        )
    assert json.loads(done.stdout)["duplicate"] is True, done.stderr
    assert [(d.body, d.scope) for d in door.recorded()] == [(body, scope)] * 2
    assert "whsec" not in command


def test_a_copied_command_reads_no_file_of_whoever_runs_it(knock: Knock, tmp_path: Path) -> None:
    """A body that begins with @ is the name of a file to curl; anybody can send such a body here."""
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("curl or openssl is not installed")
    private = tmp_path / "id_rsa"
    private.write_text("a private key")
    body = f"@{private}".encode()
    door = knock()
    with Served(ingress_app(door.console)) as served:
        url = f"{served.url}/api/v1/webhooks/llamaparse"
        crafted = Crafted({"Content-Type": "application/json"}, body)
        for command in (as_signing_curl(url, body, "whsec"), as_curl(url, crafted)):
            subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
    assert [delivery.body for delivery in door.recorded()] == [body, body]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{}\0"])
def test_what_no_shell_can_hold_has_no_command(body: bytes) -> None:
    """Rather none than one that sends something else."""
    assert as_signing_curl("http://127.0.0.1:1/", body, "whsec") == ""


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An engineer's own endpoint, and what it received."""
    received: list[tuple[dict[str, str], bytes]] = []

    async def take(request: Request) -> Response:
        received.append((dict(request.headers), await request.body()))
        return JSONResponse({"got": True})

    with Served(Starlette(routes=[Route("/hook", take, methods=["POST"])])) as served:
        yield f"{served.url}/hook", received


def _run(door: Door, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PARSEDECK_DATA_DIR": str(door.console.settings.data_dir)}
    command = [str(PARSEDECK), "webhook", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_send_from_the_command_line(
    knock: Knock, endpoint: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    """``webhook send`` says what it would do, and reaches Parsedeck or an endpoint of one's own."""
    door = knock()
    with Served(ingress_app(door.console)) as served:
        to = f"{served.url}/api/v1/webhooks/llamaparse"
        done = _run(door, "send", "--template", "parse.error", "--fault", "duplicate", "--to", to)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("would be 200 parked")
    assert lines[1].startswith("would be 200 duplicate")
    assert '"duplicate":true' in lines[3].replace(" ", "")
    url, received = endpoint
    assert _run(door, "send", "--to", url).returncode == 0
    headers, body = received[0]
    verify(headers, body, [SigningSecret("test", door.secret("test"))])
    unreachable = _run(door, "send", "--to", "http://127.0.0.1:1/x")
    assert (unreachable.returncode, "Traceback" in unreachable.stderr) == (1, False)


def test_replay_from_the_command_line(
    knock: Knock, endpoint: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    """``webhook replay`` says first what it would do; to an endpoint of one's own it sends the very bytes."""
    door = knock()
    body = b'{"event_id": "spaced",   "event_type":"parse.success","data":{"job_id":"x"}}'
    came = door.send(body).json()["delivery_id"]
    url, received = endpoint
    ahead = _run(door, "replay", came, "--dry-run")
    assert (ahead.returncode, came in ahead.stdout, received) == (0, True, [])
    assert len(door.recorded()) == 1
    done = _run(door, "replay", came, "--to", url)
    assert done.returncode == 0, done.stderr
    headers, sent = received[0]
    assert sent == body
    verify(headers, sent, [SigningSecret("mock", door.secret())])
    assert _run(door, "replay", came).returncode == 0
    assert [d.replay_of for d in door.recorded()] == ["", came]
    nothing = _run(door, "replay")
    assert (nothing.returncode, "--since" in nothing.stderr) == (1, True)


def test_verify_from_the_command_line(
    knock: Knock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``webhook verify`` names the secret that fits, or the likely mistake, and never the secret itself."""
    door = knock(webhook_secrets="whsec_mine")
    body = json.dumps(an_event()).encode()
    path = tmp_path / "body.json"
    path.write_bytes(body)
    monkeypatch.setenv("LLAMAPARSE_WEBHOOK_SECRET", "whsec_mine")
    signature = sign("whsec_mine", body)
    good = _run(door, "verify", "--body", str(path), "--signature", signature)
    shouted = "sha256=" + signature.removeprefix("sha256=").upper()
    bad = _run(door, "verify", "--body", str(path), "--signature", shouted)
    assert (good.returncode, "It holds" in good.stdout) == (0, True)
    assert (bad.returncode, "hex in capitals" in bad.stdout) == (1, True)
    assert "whsec_mine" not in good.stdout + bad.stdout


def test_listen_forwards_the_original_bytes_with_a_signature_that_holds(
    knock: Knock, endpoint: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    """``webhook listen`` passes each accepted delivery on, byte for byte; refused ones are not passed on."""
    door = knock()
    url, received = endpoint
    environment = {**os.environ, "PARSEDECK_DATA_DIR": str(door.console.settings.data_dir)}
    command = [str(PARSEDECK), "webhook", "listen", "--forward-to", url, "--count", "1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Forwarding" in process.stdout.readline()
        body = b'{"event_id": "spaced",   "event_type":"parse.success","data":{"job_id":"x"}}'
        door.send(body, secret="wrong")
        door.send(body)
        assert "parse.success -> 200" in process.stdout.read()
    headers, forwarded = received[0]
    assert (len(received), forwarded) == (1, body)
    verify(headers, forwarded, [SigningSecret("mock", door.secret())])
