"""A door to knock on: the ingress of a console that receives and does not parse."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from core.api import ingress_app
from core.console import Console
from core.store import deliveries
from core.store.deliveries import Delivery
from core.webhooks.endpoint import WEBHOOK_PATH
from core.webhooks.signatures import sign


def an_event(event_id: str = "e-1", job: str = "pjb-x", **more: object) -> dict[str, Any]:
    """What the vendor sends when a parse job is done."""
    return {
        "event_id": event_id,
        "event_type": "parse.success",
        "timestamp": time.time(),
        "data": {"id": job, "job_id": job},
        **more,
    }


@dataclass
class Door:
    """Sends deliveries as the vendor does, and looks at what was recorded."""

    console: Console
    client: TestClient

    def secret(self, purpose: str = "mock") -> str:
        """A generated secret."""
        path = self.console.settings.data_dir / f"{purpose}-webhook-secret"
        return path.read_text(encoding="utf-8")

    def send(
        self,
        event: object,
        *,
        secret: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Sign and send; bytes go as they are, everything else as JSON."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        signature = sign(secret or self.secret(), body)
        sent = {"Content-Type": "application/json", "LC-Signature": signature, **(headers or {})}
        return self.client.post(WEBHOOK_PATH, content=body, headers=sent)

    def recorded(self) -> list[Delivery]:
        """All deliveries on record, oldest first."""
        with self.console.store.read() as tx:
            return list(reversed(deliveries.recent(tx, limit=1000)))


@pytest.fixture
def knock(make_console: Callable[..., Console]) -> Callable[..., Door]:
    """Makes doors, with settings where they matter."""

    def make(**settings: object) -> Door:
        console = make_console(**settings)
        return Door(console, TestClient(ingress_app(console)))

    return make
