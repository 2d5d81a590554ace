"""The door on a real socket: chunked, slow, oversized, abandoned, and many at once."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import httpx2 as httpx
import pytest
from starlette.applications import Starlette

from core.api import ingress_app
from core.serving import Served
from core.store import Store, deliveries, workers
from core.store.workers import Worker
from core.webhooks.endpoint import WEBHOOK_PATH, webhook_route
from core.webhooks.signatures import sign
from tests.factories import free_port, wait_until
from tests.webhooks.conftest import Door, an_event

Knock = Callable[..., Door]


def _signed(door: Door, event: object) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(event).encode()
    return body, {"LC-Signature": sign(door.secret(), body)}


def test_a_chunked_body_is_read_to_its_end(knock: Knock) -> None:
    """A body without a stated length is accepted like any other."""
    door = knock()
    body, headers = _signed(door, an_event())

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    with Served(ingress_app(door.console)) as served:
        answer = httpx.post(f"{served.url}{WEBHOOK_PATH}", content=pieces(), headers=headers)
    assert answer.json()["status"] == "parked"


@pytest.mark.parametrize("stated", [True, False], ids=["length stated", "chunked"])
def test_a_body_over_the_cap_is_not_taken_into_memory(knock: Knock, *, stated: bool) -> None:
    """An oversized body is answered 413 and kept only in part."""
    door = knock(max_webhook_kb=16)
    content = b"x" * 200_000 if stated else iter([b"x" * 50_000] * 4)
    with Served(ingress_app(door.console)) as served:
        answer = httpx.post(f"{served.url}{WEBHOOK_PATH}", content=content)
    assert (answer.status_code, answer.json()["status"]) == (413, "too_large")
    assert len(door.recorded()[0].body) <= 8192


def test_a_slow_body_is_given_up(knock: Knock) -> None:
    """Who sends a byte now and then does not keep the door open: 408, on record."""
    door = knock(max_webhook_kb=1)
    route = webhook_route(door.console.receiver, patience_s=0.5)
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    with Served(Starlette(routes=[route])) as served, _connected(served.url) as slow:
        slow.sendall(head.encode() + b"{")
        slow.settimeout(10)
        answer = slow.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert door.recorded()[0].verdict == "too_slow"


def test_a_sender_that_leaves_half_way_is_on_record(knock: Knock) -> None:
    """A body that ends too early is recorded as incomplete, not lost without a trace."""
    door = knock()
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    with Served(ingress_app(door.console)) as served:
        with _connected(served.url) as leaving:
            leaving.sendall(head.encode() + b'{"event_id"')
            time.sleep(0.1)
        wait_until(lambda: [d.verdict for d in door.recorded()] == ["incomplete"])


def test_deliveries_that_come_together_share_their_commits(knock: Knock) -> None:
    """Fifty deliveries at once are each on disk before their answer, in far fewer transactions."""
    door = knock()
    commits = 0
    write = door.console.store.write

    def counted() -> object:
        nonlocal commits
        commits += 1
        return write()

    door.console.store.write = counted  # type: ignore[method-assign, assignment]
    count = 50

    async def all_at_once() -> list[int]:
        signed = [_signed(door, an_event(f"e-{n}")) for n in range(count)]
        receive = door.console.receiver.receive
        receipts = await asyncio.gather(*(receive(headers, body) for body, headers in signed))
        return [receipt.status_code for receipt in receipts]

    assert asyncio.run(all_at_once()) == [200] * count
    assert len(door.recorded()) == count
    assert commits < count / 2


def test_one_event_from_many_senders_at_once_is_accepted_once(knock: Knock) -> None:
    """Also within one shared transaction an event id is accepted a single time."""
    door = knock()
    body, headers = _signed(door, an_event())

    async def all_at_once() -> list[bool]:
        receive = door.console.receiver.receive
        receipts = await asyncio.gather(*(receive(headers, body) for _ in range(30)))
        return [receipt.duplicate for receipt in receipts]

    assert sorted(asyncio.run(all_at_once())) == [False] + [True] * 29


def test_a_stuck_queue_does_not_delay_the_answer(knock: Knock) -> None:
    """The answer waits for the database only: waking the workflow may hang for ever."""
    door = knock()
    receiver = door.console.receiver
    answered = Event()
    receiver._nudger._nudge = lambda _id: answered.wait(60)
    receiver._nudger.put("wf")
    try:
        assert door.send(an_event()).is_success
    finally:
        answered.set()


def test_several_processes_share_one_port(tmp_path: Path) -> None:
    """``parsedeck api --workers 2`` accepts, recognises repeats across its processes, is on record, and stops."""
    port = free_port()
    environment = {**os.environ, "PARSEDECK_DATA_DIR": str(tmp_path / "data")}
    parsedeck = Path(sys.executable).with_name("parsedeck")
    command = [str(parsedeck), "api", "--port", str(port), "--workers", "2"]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(f"{url}/api/v1/health"), within_s=90)
        secret = (tmp_path / "data" / "mock-webhook-secret").read_text()
        body = json.dumps(an_event()).encode()
        headers = {"LC-Signature": sign(secret, body), "Connection": "close"}
        answers = [
            httpx.post(f"{url}{WEBHOOK_PATH}", content=body, headers=headers).json()
            for _ in range(8)
        ]
        store = Store.open(f"sqlite:///{tmp_path / 'data' / 'parsedeck.sqlite'}")
        wait_until(lambda: len(_receiving(store)) == 2)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    assert [a["duplicate"] for a in answers] == [False] + [True] * 7
    assert _receiving(store) == ()
    with store.read() as tx:
        assert len(deliveries.recent(tx)) == 8
    store.close()


def _receiving(store: Store) -> tuple[Worker, ...]:
    with store.read() as tx:
        return workers.known(tx, workers.API)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def _connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
