"""Following a presigned link: without the key, in chunks, and never to a place inside.

What a link holds comes from the service's answer, so it is not trusted: only ``https`` to a public
address is followed, or the very place that the account's own address names. Redirects are not.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

import httpx2 as httpx

from core.clock import Clock
from core.domain.links import is_public, leads_inside
from core.engines.llamaparse.account import Account, has_proxy, timeouts
from core.engines.llamaparse.calls import SLOWEST_BYTES_PER_S
from core.engines.llamaparse.failures import deadline_passed, from_exception
from core.engines.llamaparse.wire import OutputLink
from core.engines.protocol import Keep
from core.errors import UpstreamError, UpstreamKind

__all__ = ["Links", "Resolve", "StaleLink", "addresses_of"]

T = TypeVar("T")

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The IP addresses of a host. Raises ``OSError``."""

_PORTS = {"http": 80, "https": 443}
# storage refuses an expired signature with 403, and forgets what it held with 404 or 410
_STALE = frozenset({400, 401, 403, 404, 410})
_STEP = "The pages of the result are not touched by this. Ask LlamaParse's support if it stays so."


class StaleLink(UpstreamError):
    """The link is not good any more: it has expired, or what it leads to is gone."""


async def addresses_of(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Links:
    """Downloads for one account. Belongs to one event loop."""

    def __init__(
        self,
        account: Account,
        *,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None,
        resolve: Resolve,
        clock: Clock,
    ) -> None:
        self._account = account
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._clock = clock
        self._transport = transport
        self._made: httpx.AsyncClient | None = None

    @property
    def _client(self) -> httpx.AsyncClient:
        """Without a key; made for the first link, for most jobs have none to follow."""
        if self._made is None:
            self._made = httpx.AsyncClient(
                headers={"Accept": "*/*", "Accept-Encoding": "identity"},
                transport=self._transport,
                trust_env=not self._account.simulated,
                limits=httpx.Limits(max_connections=8, keepalive_expiry=2.0),
                follow_redirects=False,
            )
        return self._made

    async def close(self) -> None:
        """Let go of the connections."""
        if self._made is not None:
            await self._made.aclose()

    async def follow(self, link: OutputLink, keep: Keep[T], at_most_bytes: int) -> T:
        """Hand the bytes to ``keep`` as they come; what it answers.

        The size that the service told is held against what came. Raises ``UpstreamError``: a
        ``StaleLink`` when a fresh one may help, another that is retryable when the same one may.
        """
        known = link.size_bytes
        if known is not None and known > at_most_bytes:
            raise _too_large(at_most_bytes)
        deadline_s = self._timeout_s + (known or at_most_bytes) / SLOWEST_BYTES_PER_S
        request = await self._request(link.presigned_url)
        try:
            async with asyncio.timeout(deadline_s):
                answer = await self._client.send(request, stream=True)
                try:
                    self._check(answer)
                    return await keep(_counted(answer, known, at_most_bytes))
                finally:
                    await answer.aclose()
        except TimeoutError:
            raise deadline_passed() from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise from_exception(error, self._clock()) from None  # its text may hold the link

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code in _STALE:
            what = f"LlamaParse's storage refused a link to a result ({answer.status_code})."
            raise StaleLink(UpstreamKind.RESULT_MISSING, what, _STEP, status=answer.status_code)
        if not answer.is_success:
            kind = UpstreamKind.SERVER if answer.is_server_error else UpstreamKind.INVALID
            what = f"LlamaParse's storage did not give a result ({answer.status_code})."
            raise UpstreamError(kind, what, _STEP, status=answer.status_code)
        self._account.check_identity(answer)

    async def _request(self, url: str) -> httpx.Request:
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise _refused("it is no address") from None
        address, headers, extensions = url, {}, {}
        if not self._is_own(parts, port):
            host = self._outside(parts)
            if not has_proxy(url):
                # connected to is the very address that was checked: a name that answers
                # differently the second time gains nothing
                literal = await self._public(host, port)
                pinned = httpx.URL(url).copy_with(host=literal)
                address, headers = str(pinned), {"Host": parts.netloc}
                extensions = {"sni_hostname": host}
        return self._client.build_request(
            "GET",
            address,
            headers=headers,
            extensions=extensions,
            timeout=timeouts(self._timeout_s),
        )

    def _is_own(self, parts: SplitResult, port: int) -> bool:
        """Whether it is the place that the account itself is at: a person chose that one."""
        own = urlsplit(self._account.base_url)
        own_port = own.port or _PORTS.get(own.scheme, 0)
        asked = (parts.scheme, parts.hostname, port)
        return parts.username is None and asked == (own.scheme, own.hostname, own_port)

    def _outside(self, parts: SplitResult) -> str:
        """The host, unless the link may not be followed by its looks."""
        if self._account.simulated:
            raise _refused("it leads away from the simulator")
        if parts.scheme != "https" or not parts.hostname:
            raise _refused("it is not https")
        if parts.username is not None or parts.password is not None:
            raise _refused("it holds a user name or password")
        if leads_inside(parts.geturl()):
            raise _refused("it leads to a private address")
        return parts.hostname

    async def _public(self, host: str, port: int) -> str:
        try:
            found = await asyncio.wait_for(self._resolve(host, port), self._timeout_s)
        except (OSError, UnicodeError):
            # TimeoutError is an OSError
            what = "The storage that LlamaParse links to has no address."
            raise UpstreamError(UpstreamKind.CONNECTION, what, "Check the network.") from None
        if not found or not all(map(is_public, found)):
            raise _refused("it leads to a private address")
        return found[0]


async def _counted(
    answer: httpx.Response, size_bytes: int | None, at_most_bytes: int
) -> AsyncIterator[bytes]:
    """The chunks, until they are more than was told or too much; fails when they are fewer."""
    count = 0
    async for chunk in answer.aiter_bytes():
        count += len(chunk)
        if count > at_most_bytes:
            raise _too_large(at_most_bytes)
        yield chunk
    if size_bytes is not None and count != size_bytes:
        what = f"A result came with {count:,} bytes instead of {size_bytes:,} from LlamaParse."
        raise UpstreamError(UpstreamKind.MALFORMED, what, "It is tried again by itself.")


def _refused(why: str) -> UpstreamError:
    return UpstreamError(
        UpstreamKind.INVALID,
        f"LlamaParse's answer holds a link that is not followed: {why}.",
        "Check LLAMAPARSE_BASE_URL and who stands behind it.",
    )


def _too_large(at_most_bytes: int) -> UpstreamError:
    what = f"A part of LlamaParse's result is larger than {at_most_bytes // 1024 // 1024:,} MB."
    return UpstreamError(UpstreamKind.TOO_LARGE, what, "It stays at LlamaParse.")
