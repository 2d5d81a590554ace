"""Sending webhooks out: one POST, to the address that was checked, redirects not followed."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2 as httpx

from core.domain.links import is_public
from core.errors import NotAllowed

__all__ = ["ANSWER_WITHIN_S", "Answer", "check_target", "masked", "post", "trusted"]

ANSWER_WITHIN_S = 15.0
"""Seconds that a receiver has for its answer, from the connection to the end."""

_ANSWER_LIMIT = 2000
_HTTPS_PORT, _HTTP_PORT = 443, 80


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status and the beginning of the body, or why nothing did."""

    status: int | None
    text: str
    error: str
    took_ms: float

    @property
    def is_success(self) -> bool:
        """Any 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - 2xx

    @property
    def delivery_id(self) -> str:
        """What our own receiver called it; empty when somebody else answered."""
        try:
            payload = json.loads(self.text)
        except ValueError:
            return ""
        found = payload.get("delivery_id") if isinstance(payload, dict) else ""
        return found if isinstance(found, str) else ""


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    allow_private: bool,
    timeout_s: float = ANSWER_WITHIN_S,
) -> Answer:
    """Send once and answer what happened, within ``timeout_s`` in all; a failure is part of the answer.

    The host is resolved once, checked, and its very addresses are connected to, the next where one cannot
    be reached: a name that answers differently the second time gains nothing. Raises ``NotAllowed`` for a
    target that must not be reached.
    """
    addresses = check_target(url, allow_private=allow_private)
    began = time.perf_counter()
    came = _Came()
    try:
        asyncio.run(_send(httpx.URL(url), addresses, headers, body, timeout_s, came))
    except TimeoutError:
        # a status that came is the answer, however long its body takes
        if came.status is None:
            return Answer(None, "", _words("ReadTimeout"), _since(began))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Answer(None, "", _words(_kind(error)), _since(began))
    text = bytes(came.body[:_ANSWER_LIMIT]).decode("utf-8", "replace").replace("\0", "?")
    return Answer(came.status, text, "", _since(began))


@dataclass(slots=True)
class _Came:
    """What of an answer came so far."""

    status: int | None = None
    body: bytearray = field(default_factory=bytearray)


async def _send(  # noqa: PLR0913 - what is sent where, and into what
    url: httpx.URL,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    timeout_s: float,
    came: _Came,
) -> None:
    """Raises ``TimeoutError`` when it is not done in time; a client's own limits start anew with each byte."""
    told = {**headers, "Host": url.netloc.decode("ascii").rpartition("@")[2]}
    # so that an address where nobody answers leaves time for the next
    limits = httpx.Timeout(timeout_s, connect=timeout_s / len(addresses))
    async with (
        asyncio.timeout(timeout_s),
        httpx.AsyncClient(timeout=limits, trust_env=False, verify=trusted()) as client,
    ):
        for number, address in enumerate(addresses, start=1):
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers=told,
                extensions={"sni_hostname": url.host},
            )
            try:
                response = await client.send(request, stream=True, follow_redirects=False)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
                continue
            came.status = response.status_code
            async for chunk in response.aiter_raw():
                came.body += chunk
                if len(came.body) >= _ANSWER_LIMIT:
                    break
            await response.aclose()
            return


def trusted() -> ssl.SSLContext:
    """Whom this machine trusts, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` included; proxies of the environment aside."""
    return httpx.create_ssl_context(trust_env=True)


def check_target(url: str, *, allow_private: bool) -> tuple[str, ...]:
    """The addresses to connect to, in the order in which the machine would.

    Raises ``NotAllowed`` when the URL is none, its host has no address, or any of its addresses is
    not public and ``allow_private`` is not set.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (_HTTPS_PORT if parts.scheme == "https" else _HTTP_PORT)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotAllowed(f"{masked(url)} is no http(s) address.", "Correct the address.")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotAllowed(f"{parts.hostname} has no address.", "Correct the address.") from None
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(address) for address in addresses):
        raise NotAllowed(
            f"{parts.hostname} leads to a private address.",
            "Set PARSEDECK_DOWNSTREAM_PRIVATE=true if that is meant.",
        )
    return addresses


def masked(url: str) -> str:
    """The address without what may be secret in it: user, path and query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(an address that cannot be read)"
    hidden = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{host}{port}{hidden}"


def _kind(error: BaseException) -> str:
    """The name of what went wrong; what lies under it where that says more."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return type(cause).__name__
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _words(kind: str) -> str:
    known = {
        "ConnectError": "nobody listens there",
        "ConnectTimeout": "it cannot be reached",
        "ReadTimeout": "it took the request and did not answer in time",
        "RemoteProtocolError": "it ended the connection without an answer",
        "SSLCertVerificationError": "its certificate is not trusted on this machine",
        "SSLError": "it does not speak TLS as it should",
    }
    return f"{known.get(kind, 'the request failed')} ({kind})"


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
