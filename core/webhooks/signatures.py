"""Sign and verify webhook bodies: HMAC-SHA256 over the raw bytes, key = UTF-8 bytes of the secret.

The vendor's scheme has no timestamp and no key id, so a signature never grows old: whoever accepts
a delivery must recognise a repeated ``event_id``.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import WebhookRejected

__all__ = [
    "SCHEMES",
    "VENDOR_HEADER",
    "Scheme",
    "SigningSecret",
    "is_signature",
    "presented",
    "sign",
    "verify",
]

VENDOR_HEADER = "LC-Signature"
_PREFIX = "sha256="


@dataclass(frozen=True, slots=True)
class Scheme:
    """A header that may carry a signature as lower-case hex, with ``sha256=`` before it or not."""

    header: str
    needs_prefix: bool


SCHEMES = (
    Scheme(VENDOR_HEADER, needs_prefix=True),
    Scheme("X-Webhook-Signature", needs_prefix=False),
)
"""Every way a delivery may be signed; one that holds is enough."""

_BY_NAME = {scheme.header.lower(): scheme for scheme in SCHEMES}

_REFUSALS = {
    "no_secret": "No webhook secret is configured, so nothing is accepted.",
    "missing_signature": f"The delivery has no {' or '.join(scheme.header for scheme in SCHEMES)} header.",
    "bad_signature": "The signature was not made with a known secret.",
}


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret under a name that may be shown; the value itself never appears in ``repr``.

    ``fingerprint`` is eight hex digits that tell two secrets apart without giving either away.
    Raises ``ValueError`` for a value that is blank or cannot be written as UTF-8.
    """

    label: str
    value: str = field(repr=False)
    key: bytes = field(init=False, repr=False, compare=False)
    mac: hmac.HMAC = field(init=False, repr=False, compare=False)
    fingerprint: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could never verify anything."""
        if not self.value.strip():
            msg = f"The signing secret {self.label!r} is empty."
            raise ValueError(msg)
        try:
            key = self.value.encode()
        except UnicodeEncodeError:
            msg = f"The signing secret {self.label!r} is not valid text."
            raise ValueError(msg) from None
        # worked out once: each delivery asks for both
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "mac", hmac.new(key, digestmod="sha256"))
        object.__setattr__(self, "fingerprint", hashlib.sha256(key).hexdigest()[:8])


def sign(secret: SigningSecret | str, body: bytes) -> str:
    """The value of ``LC-Signature`` for exactly these bytes.

    Raises ``ValueError`` for an empty secret.
    """
    named = SigningSecret("given", secret) if isinstance(secret, str) else secret
    return _PREFIX + _digest(named, body)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[SigningSecret]
) -> SigningSecret:
    """The secret that signed these bytes; header names are compared without regard to case.

    Raises ``WebhookRejected``, and nothing else for any header text and any bytes, with the reason
    ``no_secret``, ``missing_signature`` or ``bad_signature``.
    """
    if not secrets:
        raise _refusal("no_secret")
    digests = _digests(headers)
    if not digests:
        raise _refusal("missing_signature")
    # Every secret is tried against every value, so the time taken tells nothing about which one held.
    matching = [secret for secret in secrets if _holds(secret, body, digests)]
    if not matching:
        raise _refusal("bad_signature")
    return matching[0]


def _refusal(reason: str) -> WebhookRejected:
    return WebhookRejected(reason, _REFUSALS[reason])


def presented(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Name and value of each header that carries a signature, or what somebody may mean as one."""
    return tuple((name, value) for name, value in headers.items() if is_signature(name))


def is_signature(header: str) -> bool:
    """Whether a header's name says that its value is a signature."""
    lower = header.lower()
    return lower in _BY_NAME or "signature" in lower or "hmac" in lower


def _digests(headers: Mapping[str, str]) -> list[bytes]:
    """The hex digests that the delivery claims, one for each signature header it carries."""
    digests = []
    for name, value in headers.items():
        scheme = _BY_NAME.get(name.lower())
        if scheme is None:
            continue
        has_prefix = value.startswith(_PREFIX)
        digest = value.removeprefix(_PREFIX) if has_prefix or not scheme.needs_prefix else ""
        digests.append(digest.encode("utf-8", "backslashreplace"))
    return digests


def _holds(secret: SigningSecret, body: bytes, digests: Sequence[bytes]) -> bool:
    expected = _digest(secret, body).encode()
    return any([hmac.compare_digest(expected, digest) for digest in digests])  # noqa: C419 - no short cut


def _digest(secret: SigningSecret, body: bytes) -> str:
    # begun once with the key; for a body of the usual size it keeps hold of the interpreter to the end
    mac = secret.mac.copy()
    mac.update(body)
    return mac.hexdigest()
