"""Delivers events the way the service does: few tries, short waits, signed over the bytes sent."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

import httpx2 as httpx

from core.simulator.config import SimulatorConfig
from core.simulator.faults import FaultName, Faults
from core.simulator.records import RESULT, Delivery
from core.simulator.state import State
from core.telemetry import log
from core.webhooks.signatures import VENDOR_HEADER, sign

__all__ = ["USER_AGENT", "Sender", "body_of", "headers_of"]

USER_AGENT = "llamaindex-webhook-service/1.0"
_ANSWER_LIMIT = 200
_LOOK_S = 1.0
_OVERTAKEN_S = 5.0


def body_of(payload: str, output_format: str) -> bytes:
    """The bytes to send: the event itself for ``json``, else a JSON string that holds it.

    What exactly the service sends as ``string``, its default, is not documented.
    """
    return (payload if output_format == "json" else json.dumps(payload)).encode()


def headers_of(delivery: Delivery, body: bytes, secret: str = "") -> dict[str, str]:
    """What the service sends along; its own headers win over the receiver's extra ones.

    Signed with the job's own secret, or with ``secret`` when it brought none.
    """
    target = delivery.target
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    if target.format != RESULT:  # what the legacy push carries is not documented
        headers["X-Webhook-Event-ID"] = delivery.event_id
        headers["X-Webhook-Event-Type"] = delivery.event_type
        if key := target.secret or secret:
            headers[VENDOR_HEADER] = sign(key, body)
    ours = {name.lower() for name in headers}
    extra = {k: v for k, v in (target.headers or {}).items() if k.lower() not in ours}
    return {**extra, **headers}


class Sender:
    """Sends deliveries and records every attempt, so that a restart goes on where it was."""

    def __init__(
        self,
        state: State,
        config: SimulatorConfig,
        faults: Faults,
        legacy: Callable[[str], bytes],
    ) -> None:
        """``legacy`` gives the body of the legacy push for a job's id."""
        self.faults = faults
        self._state = state
        self._legacy = legacy
        self._secret = config.webhook_secret
        self._waits_s = config.webhook_waits_s
        self._timeout_s = config.webhook_timeout_s
        self._overtaken = asyncio.Event()
        self._client = httpx.AsyncClient(
            timeout=config.webhook_timeout_s, follow_redirects=False, trust_env=False
        )
        self._log = log("simulator")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def send(self, delivery: Delivery) -> None:
        """Try until a 2xx, or until the tries are used up."""
        if self.faults.hits(FaultName.WEBHOOK_LOST):
            await self._note(delivery, "given_up", 0, "fault: lost")
            return
        await self._hold_back()
        body = await self._body(delivery)
        if self.faults.hits(FaultName.WEBHOOK_TWICE):
            await self._attempt(delivery, body)
        attempts = delivery.attempts
        while True:
            answer, is_delivered = await self._attempt(delivery, body)
            attempts += 1
            is_last = attempts > len(self._waits_s)
            status = "delivered" if is_delivered else "given_up" if is_last else "pending"
            await self._note(delivery, status, attempts, answer)
            if status != "pending":
                break
            await asyncio.sleep(self._waits_s[attempts - 1])
        self._let_pass()
        if not is_delivered:
            self._log.warning(
                "webhook given up",
                event_type=delivery.event_type,
                job=delivery.job_id,
                answer=answer,
            )

    async def _hold_back(self) -> None:
        """Wait while the service is away, as long as the event is late, and until another overtook it."""
        while outage_s := self.faults.outage_s():  # noqa: ASYNC110 - it may end at any moment
            await asyncio.sleep(min(outage_s, _LOOK_S))
        await asyncio.sleep(self.faults.seconds(FaultName.WEBHOOK_LATE))
        if self.faults.hits(FaultName.WEBHOOK_REORDERED):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._overtaken.wait(), _OVERTAKEN_S)

    def _let_pass(self) -> None:
        self._overtaken.set()
        self._overtaken = asyncio.Event()

    async def _body(self, delivery: Delivery) -> bytes:
        if delivery.target.format == RESULT:
            return await asyncio.to_thread(self._legacy, delivery.job_id)
        body = body_of(delivery.payload, delivery.target.format)
        is_double = self.faults.hits(FaultName.WEBHOOK_DOUBLE_ENCODED)
        return json.dumps(body.decode()).encode() if is_double else body

    async def _note(self, delivery: Delivery, status: str, attempts: int, answer: str) -> None:
        await asyncio.wrap_future(self._state.tried(delivery.id, status, attempts, answer))

    async def _attempt(self, delivery: Delivery, body: bytes) -> tuple[str, bool]:
        try:
            headers = headers_of(delivery, body, self._secret)
            if self.faults.hits(FaultName.WEBHOOK_WRONG_SIGNATURE):
                headers[VENDOR_HEADER] = sign("somebody else's secret", body)
            async with asyncio.timeout(self._timeout_s):
                request = self._client.build_request(
                    "POST", delivery.target.url, content=body, headers=headers
                )
                response = await self._client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            # ValueError: an address or a header that cannot be written at all
            return type(error).__name__[:_ANSWER_LIMIT], False
        return str(response.status_code), response.is_success
