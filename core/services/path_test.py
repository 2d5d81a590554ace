"""Is the public address reachable, and does an event arrive untouched? Hop by hop, the first that fails last."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.clock import Clock
from core.errors import ConsoleError
from core.store import Store, deliveries
from core.webhooks.endpoint import WEBHOOK_PATH
from core.webhooks.outbound import check_target, post, trusted
from core.webhooks.signatures import SigningSecret
from core.webhooks.workbench import craft, template

__all__ = ["Hop", "PathTest"]

_TIMEOUT_S = 10.0
_MAX_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of the way: whether it works, what was found, what to do if not."""

    name: str
    works: bool
    found: str
    next_step: str = ""


class PathTest:
    """Sends a test event to ``PARSEDECK_PUBLIC_URL`` as the vendor would, and looks for it on record."""

    def __init__(
        self, store: Store, public_url: str | None, secret: SigningSecret, clock: Clock
    ) -> None:
        self._store = store
        self._url = public_url or ""
        self._secret = secret
        self._clock = clock

    def run(self) -> tuple[Hop, ...]:
        """Every hop up to the first that does not work."""
        done: list[Hop] = []
        for hop in self._hops():
            done.append(hop)
            if not hop.works:
                break
        return tuple(done)

    def _hops(self) -> Iterator[Hop]:
        steps: tuple[Callable[[], Hop], ...] = (
            self._configured,
            self._resolves,
            self._connects,
            self._arrives,
        )
        for step in steps:
            yield step()

    def _configured(self) -> Hop:
        if not self._url:
            step = "Set PARSEDECK_PUBLIC_URL to the address of your tunnel or proxy."
            return Hop("configured", works=False, found="No public address is set.", next_step=step)
        if not self._url.startswith("https://"):
            step = "The vendor asks for https; put a tunnel or proxy with a certificate in front."
            return Hop("configured", works=True, found=f"{self._url}, not https", next_step=step)
        return Hop("configured", works=True, found=self._url)

    def _resolves(self) -> Hop:
        try:
            addresses = check_target(self._url, allow_private=True)
        except ConsoleError as error:
            return Hop(
                "name", works=False, found=error.what, next_step="Correct the name or its DNS."
            )
        return Hop("name", works=True, found=f"leads to {', '.join(addresses)}")

    def _connects(self) -> Hop:
        parts = urlsplit(self._url)
        host, is_tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        try:
            with socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain:
                if not is_tls:
                    return Hop("connection", works=True, found=f"port {port} answers")
                with trusted().wrap_socket(plain, server_hostname=host) as tls:
                    return Hop("connection", works=True, found=f"{tls.version()}, certificate fits")
        except ssl.SSLCertVerificationError as error:
            step = f"Give it a certificate for {host} that is valid today, and signed by an authority known here."
            found = f"TLS: {error.verify_message}"
            return Hop("connection", works=False, found=found, next_step=step)
        except ssl.SSLError as error:
            step = f"Let port {port} speak TLS, or correct the address."
            return Hop("connection", works=False, found=f"TLS: {error.reason}", next_step=step)
        except OSError as error:
            found = error.strerror or type(error).__name__
            step = "Start the tunnel or proxy, and point it at the ingress port (8502)."
            return Hop("connection", works=False, found=f"Port {port}: {found}", next_step=step)

    def _arrives(self) -> Hop:
        text = template("parse.success", self._clock())
        (crafted,) = craft(text, frozenset(), self._secret, self._clock(), _MAX_BYTES)
        answer = post(
            f"{self._url}{WEBHOOK_PATH}", crafted.headers, crafted.body, allow_private=True
        )
        if answer.error or answer.status is None:
            step = "Look at the tunnel or proxy: it must pass POST requests on to port 8502."
            return Hop("event", works=False, found=answer.error, next_step=step)
        event_id = json.loads(text)["event_id"]
        with self._store.read() as tx:
            is_here = deliveries.is_known(tx, "test", event_id)
        if is_here:
            found = f"accepted in {answer.took_ms:.0f} ms, on record here, bytes untouched"
            return Hop("event", works=True, found=found)
        if answer.status == 401:  # noqa: PLR2004 - the receiver's answer to a bad signature
            step = "The proxy changes the body, or leads to another Parsedeck."
        elif answer.is_success:
            step = "Something else answers there, or a Parsedeck with another database."
        else:
            step = "Point the tunnel or proxy at the ingress port (8502), path unchanged."
        return Hop("event", works=False, found=f"It answered {answer.status}.", next_step=step)
