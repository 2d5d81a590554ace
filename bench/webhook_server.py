"""The server that bench/webhooks.py loads: the receiver, a bare signature check, and a reader's next page."""

import io
import signal
import sys
import threading
from datetime import datetime, timedelta

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import new_id_in_order, utc_now
from core.services.deliveries import Deliveries
from core.serving import Served, prepare_process
from core.store import Store, recording
from core.store.deliveries import Delivery
from core.store.inbox import DeliveryFilter
from core.store.paging import Cursor
from core.telemetry import Metrics, configure_logs
from core.webhooks.endpoint import webhook_route
from core.webhooks.receiver import Receiver
from core.webhooks.signatures import SigningSecret, verify


def main(url: str, secret_text: str, fill: int) -> None:
    """Serve until interrupted; the port is the first line of the output."""
    configure_logs(io.StringIO())
    store = Store.open(url)
    _fill(store, fill)
    secret = SigningSecret("bench", secret_text)
    receiver = Receiver(
        store,
        lambda: [("real", secret)],
        lambda _id: None,
        max_bytes=1024 * 1024,
        clock=utc_now,
        metrics=Metrics(),
    )
    desk = Deliveries(store, utc_now)
    at: Cursor | None = None

    def next_page() -> None:
        nonlocal at
        desk.counts()
        at = desk.page(DeliveryFilter(), at=at).older

    async def check(request: Request) -> Response:
        verify(dict(request.headers), await request.body(), [secret])
        return JSONResponse({"status": "checked", "delivery_id": "", "duplicate": False})

    async def page(request: Request) -> Response:
        del request
        await anyio.to_thread.run_sync(next_page)
        return JSONResponse({"status": "ok"})

    routes = [
        webhook_route(receiver),
        Route("/signature-only", check, methods=["POST"]),
        Route("/next-page", page),
    ]
    prepare_process()
    stopping = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    with Served(Starlette(routes=routes)) as served:
        print(served.url.rsplit(":", 1)[1], flush=True)
        stopping.wait()
    receiver.close()
    store.close()


def _fill(store: Store, count: int) -> None:
    began = utc_now() - timedelta(hours=20)
    for start in range(0, count, 5000):
        with store.write() as tx:
            recording.add_all(tx, [_a_delivery(began, n) for n in range(start, start + 5000)])


def _a_delivery(began: datetime, number: int) -> Delivery:
    body = b'{"event_id":"filler-%d","event_type":"parse.success","data":{"job_id":"x"}}' % number
    return Delivery(
        id=new_id_in_order("dlv", began + timedelta(milliseconds=500 * number)),
        event_id=f"filler-{number}",
        event_type="parse.success",
        vendor_job_id=f"pjb-filler-{number}",
        scope="real",
        verdict="accepted",
        reason="",
        secret_label="",
        headers={"content-type": "application/json", "user-agent": "bench"},
        body=body,
        body_size=len(body),
        received_at=began + timedelta(milliseconds=500 * number),
        duration_ms=0.3,
        event_at=None,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[4]) if len(sys.argv) > 4 else 0)  # noqa: PLR2004
