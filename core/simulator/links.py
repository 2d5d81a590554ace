"""Presigned links: whoever has one may download, without a key, until it expires."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.requests import Request

from core.simulator.refusals import Refused

__all__ = ["Links"]


@dataclass(frozen=True, slots=True)
class Links:
    """Signs the path and the end of a link with a key that only this folder has."""

    key: bytes = field(repr=False)
    life_s: float = 900.0

    def to(self, request: Request, now: float, *parts: str, life_s: float | None = None) -> str:
        """A link under ``/storage`` on the host that the caller used."""
        path = "/storage/" + "/".join(quote(part, safe="") for part in parts)
        expires = self.expires(now, life_s)
        base = str(request.base_url).rstrip("/")
        return f"{base}{path}?expires={expires}&signature={self._sign(parts, expires)}"

    def expires(self, now: float, life_s: float | None = None) -> int:
        """When a link that is made now ends, in Unix seconds."""
        return int(now + (self.life_s if life_s is None else life_s))

    def check(self, request: Request, now: float, *parts: str) -> None:
        """Raises ``Refused`` unless the request's link is ours and has not expired."""
        expires = request.query_params.get("expires", "")
        signature = request.query_params.get("signature", "")
        if not re.fullmatch(r"[0-9]{1,15}", expires):
            raise Refused(403, "The link is not signed.")
        expected = self._sign(parts, int(expires))
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise Refused(403, "The link's signature does not match.")
        if now >= int(expires):
            raise Refused(403, "The link has expired.")

    def _sign(self, parts: tuple[str, ...], expires: int) -> str:
        signed = "\n".join((*parts, str(expires))).encode()
        return hmac.new(self.key, signed, hashlib.sha256).hexdigest()
