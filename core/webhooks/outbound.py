"""Sending webhooks out: one POST, to the address that was checked, redirects not followed."""

import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2 as httpx

from core.domain.links import is_public
from core.errors import NotAllowed

__all__ = ["Answer", "check_target", "masked", "post", "trusted"]

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
    timeout_s: float = 15.0,
) -> Answer:
    """Send once and answer what happened; a failure is part of the answer.

    The host is resolved once, checked, and that very address is connected to: a name that answers
    differently the second time gains nothing. Raises ``NotAllowed`` for a target that must not be
    reached.
    """
    target = check_target(url, allow_private=allow_private)
    began = time.perf_counter()
    try:
        parts = httpx.URL(url)
        literal = f"[{target}]" if ":" in target else target
        pinned = parts.copy_with(host=literal.strip("[]"))
        with httpx.Client(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            max_redirects=0,
            verify=trusted(),
        ) as client:
            request = client.build_request(
                "POST",
                pinned,
                content=body,
                headers={**headers, "Host": parts.netloc.decode("ascii").rpartition("@")[2]},
                extensions={"sni_hostname": parts.host},
            )
            response = client.send(request, stream=True)
            try:
                text = _beginning(response)
            finally:
                response.close()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Answer(None, "", _words(error), _since(began))
    return Answer(response.status_code, text, "", _since(began))


def trusted() -> ssl.SSLContext:
    """Whom this machine trusts, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` included; proxies of the environment aside."""
    return httpx.create_ssl_context(trust_env=True)


def check_target(url: str, *, allow_private: bool) -> str:
    """The address to connect to.

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
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(is_public(address) for address in addresses):
        raise NotAllowed(
            f"{parts.hostname} leads to a private address.",
            "Set PARSEDECK_DOWNSTREAM_PRIVATE=true if that is meant.",
        )
    return addresses[0]


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


def _beginning(response: httpx.Response) -> str:
    read = b""
    for chunk in response.iter_raw():
        read += chunk
        if len(read) >= _ANSWER_LIMIT:
            break
    return read[:_ANSWER_LIMIT].decode("utf-8", "replace").replace("\0", "?")


def _words(error: Exception) -> str:
    kind = type(error).__name__
    known = {
        "ConnectError": "nobody listens there",
        "ConnectTimeout": "it cannot be reached",
        "ReadTimeout": "it took the request and did not answer in time",
        "RemoteProtocolError": "it ended the connection without an answer",
    }
    return f"{known.get(kind, 'the request failed')} ({kind})"


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
