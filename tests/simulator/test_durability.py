"""What the look-alike was told it never forgets: kill -9, restarts, several processes on one folder."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from core.webhooks.signatures import SigningSecret, verify
from tests.simulator.cast import Mailbox, eventually

ROOT = Path(__file__).parents[2]
SECRET = SigningSecret("test", "whsec_test")
AUTH = {"Authorization": "Bearer k"}
Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a simulator process over the test's folder: the process and its address."""
    started: list[subprocess.Popen[str]] = []

    def run(**config: object) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("alone.py")),
                str(tmp_path),
                json.dumps(config),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _submit(url: str, hook: str, content: bytes = b"one\ntwo") -> str:
    entry = {
        "webhook_url": hook,
        "webhook_signing_secret": SECRET.value,
        "webhook_output_format": "json",
        "webhook_events": ["parse.success"],
    }
    options = {"tier": "agentic", "version": "latest", "webhook_configurations": [entry]}
    answer = httpx.post(
        f"{url}/api/v2/parse/upload",
        headers=AUTH,
        data={"configuration": json.dumps(options)},
        files={"file": ("a.pdf", content)},
    )
    job_id: str = answer.json()["id"]
    return job_id


def _ledger(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{url}/__simulator/ledger").json()
    return answer


def test_a_job_survives_kill_9(start: Start, mailbox: Mailbox) -> None:
    """A job that was accepted is done after a crash: billed once, announced once, signed."""
    process, url = start(pending_s=1.0, lease_s=0.5)
    job_id = _submit(url, mailbox.url)
    process.kill()
    process.wait()
    assert mailbox.received == []
    _, url = start(pending_s=1.0, lease_s=0.5)
    headers, body = mailbox.wait_for(1)[0]
    assert verify(headers, body, [SECRET]) is SECRET
    assert json.loads(body)["data"]["job_id"] == job_id
    eventually(lambda: _ledger(url)["webhooks"][0]["status"] == "delivered")
    assert _ledger(url)["totals"] == {"jobs": 1, "pages": 2, "credits": 20}
    assert len(mailbox.received) == 1


def test_a_running_job_survives_kill_9(start: Start, mailbox: Mailbox) -> None:
    """A job that was being read is read again by the next process."""
    process, url = start(per_page_s=600.0, lease_s=0.5)
    job_id = _submit(url, mailbox.url)
    status = f"{url}/api/v2/parse/{job_id}"
    eventually(lambda: httpx.get(status, headers=AUTH).json()["job"]["status"] == "RUNNING")
    process.kill()
    process.wait()
    _, url = start(lease_s=0.5)
    mailbox.wait_for(1)
    assert _ledger(url)["totals"]["credits"] == 20


def test_an_undelivered_webhook_survives_kill_9(start: Start, mailbox: Mailbox) -> None:
    """An event whose delivery was interrupted is sent by the next process, with the same id."""
    mailbox.answers = [500]
    process, url = start(webhook_waits_s=[600.0, 600.0], lease_s=0.5)
    _submit(url, mailbox.url)
    eventually(
        lambda: _ledger(url)["webhooks"][0]["attempts"] == 1 if _ledger(url)["webhooks"] else False
    )
    process.kill()
    process.wait()
    _, url = start(lease_s=0.5)
    first, second = (json.loads(body)["event_id"] for _, body in mailbox.wait_for(2)[:2])
    assert first == second
    eventually(lambda: _ledger(url)["webhooks"][0]["status"] == "delivered")


def test_an_orderly_stop_hands_over_at_once(start: Start, mailbox: Mailbox) -> None:
    """A process that stops lets go of its work, so that nobody waits for a lease to end."""
    process, url = start(pending_s=0.5, lease_s=600.0)
    _submit(url, mailbox.url)
    process.terminate()
    process.wait()
    start(pending_s=0.5, lease_s=600.0)
    mailbox.wait_for(1)


def test_storage_trouble_delays_a_job_and_loses_nothing(
    start: Start, mailbox: Mailbox, tmp_path: Path
) -> None:
    """A result that cannot be stored is tried again until it can; billed once, announced once."""
    _, url = start(lease_s=0.2)
    with closing(sqlite3.connect(tmp_path / "llamacloud.sqlite3", timeout=20)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON results"
            " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
        job_id = _submit(url, mailbox.url)
        status = f"{url}/api/v2/parse/{job_id}"
        eventually(lambda: httpx.get(status, headers=AUTH).json()["job"]["status"] == "RUNNING")
        other.execute("DROP TRIGGER full")
    mailbox.wait_for(1)
    eventually(lambda: _ledger(url)["webhooks"][0]["status"] == "delivered")
    assert _ledger(url)["totals"] == {"jobs": 1, "pages": 2, "credits": 20}
    assert len(mailbox.received) == 1


def test_several_processes_share_one_folder(start: Start, mailbox: Mailbox) -> None:
    """Two processes on one folder never give the same id twice, and each job is done and told once."""
    urls = [start(cache=False)[1], start(cache=False)[1]]
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: _submit(urls[n % 2], mailbox.url, b"%d" % n), range(40)))
    mailbox.wait_for(40)
    assert len(set(ids)) == 40
    eventually(lambda: {entry["status"] for entry in _ledger(urls[0])["webhooks"]} == {"delivered"})
    assert _ledger(urls[0]) == _ledger(urls[1])
    assert _ledger(urls[0])["totals"] == {"jobs": 40, "pages": 40, "credits": 400}
    told = [json.loads(body)["data"]["job_id"] for _, body in mailbox.received]
    assert sorted(told) == sorted(ids)
