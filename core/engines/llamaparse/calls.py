"""One call to the service: identity checked, timed, translated, and repeated where that is safe."""

import asyncio
import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import httpx2 as httpx
import stamina
from pydantic import ValidationError

from core.clock import Clock
from core.domain.speaker import told_of
from core.engines.llamaparse.account import Account, has_proxy, timeouts
from core.engines.llamaparse.failures import (
    answer_too_long,
    deadline_passed,
    from_exception,
    from_response,
    malformed,
)
from core.engines.llamaparse.upload import UploadBody
from core.engines.protocol import Pace
from core.errors import SettingsError, UpstreamError, UpstreamKind

__all__ = ["LARGEST_ANSWER_BYTES", "SLOWEST_BYTES_PER_S", "Calls", "OnCall", "Params", "Unpaced"]

A = TypeVar("A")

OnCall = Callable[[str, str, float], object]
Params = Mapping[str, str | int | Sequence[str]]

LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
"""What of an answer is read into memory at most: some thousands of pages with all their parts."""

SLOWEST_BYTES_PER_S = 256 * 1024
"""The slowest line that large documents and results are waited for."""

_LONGEST_PAUSE_S = 60.0
# Shorter than any server's: a submit on a connection that the other side is just closing would be
# lost with an unknown outcome.
_IDLE_S = 2.0
# they speak of the body as it came, which is decoded now
_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Unpaced:
    """No pace: every call may be made at once."""

    async def turn(self) -> float:
        """Now."""
        return 0.0

    async def hold(self, seconds: float) -> None:
        """There is nobody to hold."""


class Calls:
    """Calls to one account over one connection pool. Belongs to one event loop."""

    def __init__(  # noqa: PLR0913 - what a call needs, each replaced by some test
        self,
        account: Account,
        *,
        timeout_s: float,
        max_retries: int,
        retry_pause_s: float,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock,
        on_call: OnCall,
        pace: Pace,
    ) -> None:
        self._account = account
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._retry_pause_s = retry_pause_s
        self._clock = clock
        self._on_call = on_call
        self._pace = pace
        self._throttled = 0
        self._via_proxy = not account.simulated and has_proxy(account.base_url)
        try:
            self._client = httpx.AsyncClient(
                base_url=account.base_url,
                headers={
                    "Authorization": f"Bearer {account.api_key.get_secret_value()}",
                    "Accept": "application/json",
                },
                transport=transport,
                # The simulator is on loopback: a proxy from the environment must not stand in between.
                trust_env=not account.simulated,
                limits=httpx.Limits(max_connections=100, keepalive_expiry=_IDLE_S),
                follow_redirects=False,
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise _bad_proxy(error) from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def get(
        self,
        operation: str,
        path: str,
        params: Params | None = None,
        *,
        retries: int | None = None,
        is_large: bool = False,
    ) -> httpx.Response:
        """A safe call, repeated while that can help: growing jittered waits, or as long as asked.

        A large answer is given time by its size.
        """
        attempts = 1 + (self._max_retries if retries is None else retries)
        async for attempt in stamina.retry_context(
            on=_wait_before_retry,
            attempts=attempts,
            timeout=None,
            wait_initial=self._retry_pause_s,
            wait_max=max(8.0, self._retry_pause_s),
            wait_jitter=self._retry_pause_s,
        ):
            with attempt:
                await self._take_turn()
                return await self.get_once(operation, path, params, is_large=is_large)
        raise AssertionError  # the loop above returns or raises

    async def get_once(
        self, operation: str, path: str, params: Params | None = None, *, is_large: bool = False
    ) -> httpx.Response:
        """A safe call with a turn that was taken before."""
        request = self._client.build_request(
            "GET", path, params=dict(params or {}), timeout=timeouts(self._timeout_s)
        )
        more_s = LARGEST_ANSWER_BYTES / SLOWEST_BYTES_PER_S if is_large else 0.0
        return await self._send(operation, request, self._timeout_s + more_s)

    async def post(self, operation: str, path: str) -> httpx.Response:
        """A call without a body that is made once."""
        return await self._once(operation, "POST", path)

    async def delete(self, operation: str, path: str) -> httpx.Response:
        """A removal that is made once."""
        return await self._once(operation, "DELETE", path)

    async def _once(self, operation: str, method: str, path: str) -> httpx.Response:
        await self._take_turn()
        request = self._client.build_request(method, path, timeout=timeouts(self._timeout_s))
        return await self._send(operation, request, self._timeout_s)

    async def submit(
        self, path: str, body: UploadBody | str, deadline_s: float, secret: str
    ) -> httpx.Response:
        """Send a document, or JSON that says where it is, once.

        An answer that is lost leaves ``outcome_unknown`` behind. Its turn was taken before: after the
        intent is on record nothing may wait.
        """
        headers = {"Content-Type": "application/json"} if isinstance(body, str) else body.headers
        request = self._client.build_request(
            "POST", path, content=body, headers=headers, timeout=timeouts(deadline_s)
        )
        return await self._send("submit", request, deadline_s, is_submit=True, hidden=(secret,))

    async def _send(
        self,
        operation: str,
        request: httpx.Request,
        deadline_s: float,
        *,
        is_submit: bool = False,
        hidden: Sequence[str] = (),
    ) -> httpx.Response:
        began, outcome = time.perf_counter(), "interrupted"
        try:
            response = await self._answer(request, deadline_s, is_submit=is_submit, hidden=hidden)
            outcome = "ok"
            self._throttled = 0
        except UpstreamError as error:
            outcome = error.kind.value
            self.named(error)
            if error.kind is UpstreamKind.RATE_LIMITED:
                await self._slow_down(error)
            raise
        finally:
            self._on_call(operation, outcome, time.perf_counter() - began)
        return response

    def named(self, error: UpstreamError) -> UpstreamError:
        """The same error, told of the simulator when that is who answers here."""
        error.what, error.next_step = self.told(error.what), self.told(error.next_step)
        error.args = (f"{error.what} {error.next_step}".strip(),)
        return error

    def told(self, sentence: str) -> str:
        """A sentence about LlamaParse, told of whoever answers here."""
        return told_of(sentence, simulated=self._account.simulated)

    async def turn(self) -> float:
        """Take a turn; seconds until it."""
        return await self._pace.turn()

    async def _take_turn(self) -> None:
        wait_s = await self._pace.turn()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _slow_down(self, error: UpstreamError) -> None:
        """All processes rest: as long as the service asks, else ever longer while it goes on."""
        self._throttled += 1
        asked = error.retry_after_s
        rest = 2.0**self._throttled if asked is None else asked
        await self._pace.hold(min(rest, _LONGEST_PAUSE_S))

    async def _answer(
        self, request: httpx.Request, deadline_s: float, *, is_submit: bool, hidden: Sequence[str]
    ) -> httpx.Response:
        try:
            async with asyncio.timeout(deadline_s):
                response = await self._whole(request, is_submit=is_submit)
        except TimeoutError:
            raise deadline_passed(is_submit=is_submit) from None
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            httpx.CookieConflict,
            httpx.StreamError,
        ) as error:
            raise from_exception(
                error, self._clock(), is_submit=is_submit, via_proxy=self._via_proxy
            ) from error
        self._account.check_identity(response)
        if not response.is_success:
            keys = (*hidden, self._account.api_key.get_secret_value())
            raise from_response(
                response,
                self._clock(),
                is_submit=is_submit,
                hidden=keys,
                region=self._account.region,
            )
        return response

    async def _whole(self, request: httpx.Request, *, is_submit: bool) -> httpx.Response:
        """The answer with its body, which is not read past what fits into memory."""
        answer = await self._client.send(request, stream=True)
        try:
            body = io.BytesIO()
            async for chunk in answer.aiter_bytes():
                body.write(chunk)
                if body.tell() > LARGEST_ANSWER_BYTES:
                    raise answer_too_long(LARGEST_ANSWER_BYTES, is_submit=is_submit)
        finally:
            await answer.aclose()
        headers = [(k, v) for k, v in answer.headers.multi_items() if k not in _OF_THE_WIRE]
        # what is gathered so is handed out without a copy
        content = body.getvalue()
        return httpx.Response(answer.status_code, headers=headers, content=content, request=request)

    def read(
        self, read: Callable[[bytes], A], response: httpx.Response, *, is_submit: bool = False
    ) -> A:
        """What ``read`` makes of the answer's body. Raises ``UpstreamError`` when that is something else."""
        try:
            return read(response.content)
        except ValidationError:
            # without the cause: it would repeat the body
            raise self.named(malformed(response, is_submit=is_submit)) from None


def _bad_proxy(error: Exception) -> SettingsError:
    what = "a proxy in the environment cannot be used"
    if isinstance(error, ImportError):
        return SettingsError(
            "HTTPS_PROXY", f"{what}: SOCKS is not supported.", "Name an HTTP proxy, or unset it."
        )
    return SettingsError(
        "HTTPS_PROXY", f"{what}.", "Write it, and HTTP_PROXY, as http://HOST:PORT, or unset it."
    )


def _wait_before_retry(error: Exception) -> bool | float:
    if not isinstance(error, UpstreamError) or not error.retryable:
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s if error.retry_after_s <= _LONGEST_PAUSE_S else False
