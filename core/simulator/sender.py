"""Delivers events the way the service does: few tries, short waits, signed over the bytes sent."""

import asyncio
import json

import httpx2 as httpx

from core.simulator.config import SimulatorConfig
from core.simulator.faults import FaultName, Faults
from core.simulator.records import Delivery
from core.simulator.state import State
from core.telemetry import log
from core.webhooks.signatures import VENDOR_HEADER, sign

__all__ = ["USER_AGENT", "Sender", "body_of", "headers_of"]

USER_AGENT = "llamaindex-webhook-service/1.0"
_ANSWER_LIMIT = 200


def body_of(payload: str, output_format: str | None) -> bytes:
    """The bytes to send: the event itself for ``json``, else a JSON string that holds it.

    What exactly the service sends as ``string``, its default, is not documented.
    """
    return (payload if output_format == "json" else json.dumps(payload)).encode()


def headers_of(delivery: Delivery, body: bytes, secret: str = "") -> dict[str, str]:
    """What the service sends along; its own headers win over the receiver's extra ones.

    Signed with the job's own secret, or with ``secret`` when it brought none.
    """
    entry = delivery.target
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-Webhook-Event-ID": delivery.event_id,
        "X-Webhook-Event-Type": delivery.event_type,
    }
    key = entry.webhook_signing_secret or secret
    if key:
        headers[VENDOR_HEADER] = sign(key, body)
    ours = {name.lower() for name in headers}
    extra = {k: v for k, v in (entry.webhook_headers or {}).items() if k.lower() not in ours}
    return {**extra, **headers}


class Sender:
    """Sends deliveries and records every attempt, so that a restart goes on where it was."""

    def __init__(
        self,
        state: State,
        config: SimulatorConfig,
        transport: httpx.AsyncBaseTransport | None = None,
        faults: Faults | None = None,
    ) -> None:
        self._state = state
        self._faults = faults or Faults()
        self._secret = config.webhook_secret
        self._waits_s = config.webhook_waits_s
        self._timeout_s = config.webhook_timeout_s
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=config.webhook_timeout_s,
            follow_redirects=False,
            trust_env=False,
        )
        self._log = log("simulator")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def send(self, delivery: Delivery) -> None:
        """Try until a 2xx, or until the tries are used up."""
        if self._faults.hits(FaultName.WEBHOOK_LOST):
            await asyncio.to_thread(self._state.tried, delivery.id, "given_up", 0, "fault: lost")
            return
        await asyncio.sleep(self._faults.seconds(FaultName.WEBHOOK_LATE))
        body = body_of(delivery.payload, delivery.target.webhook_output_format)
        if self._faults.hits(FaultName.WEBHOOK_DOUBLE_ENCODED):
            body = json.dumps(body.decode()).encode()
        if self._faults.hits(FaultName.WEBHOOK_TWICE):
            await self._attempt(delivery, body)
        attempts = delivery.attempts
        while True:
            answer, is_delivered = await self._attempt(delivery, body)
            attempts += 1
            is_last = attempts > len(self._waits_s)
            status = "delivered" if is_delivered else "given_up" if is_last else "pending"
            await asyncio.to_thread(self._state.tried, delivery.id, status, attempts, answer)
            if status != "pending":
                break
            await asyncio.sleep(self._waits_s[attempts - 1])
        if not is_delivered:
            self._log.warning(
                "webhook given up",
                event_type=delivery.event_type,
                job=delivery.job_id,
                answer=answer,
            )

    async def _attempt(self, delivery: Delivery, body: bytes) -> tuple[str, bool]:
        try:
            headers = headers_of(delivery, body, self._secret)
            if self._faults.hits(FaultName.WEBHOOK_WRONG_SIGNATURE):
                headers[VENDOR_HEADER] = sign("somebody else's secret", body)
            async with asyncio.timeout(self._timeout_s):
                request = self._client.build_request(
                    "POST", delivery.target.webhook_url, content=body, headers=headers
                )
                response = await self._client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            # ValueError: an address or a header that cannot be written at all
            return type(error).__name__[:_ANSWER_LIMIT], False
        return str(response.status_code), response.is_success
