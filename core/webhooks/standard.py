"""Signing what we send: Standard Webhooks, the scheme that receivers have libraries for.

HMAC-SHA256 over ``id.timestamp.body`` with the base64-decoded secret, written as ``v1,`` and base64.
See https://www.standardwebhooks.com for the specification.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime

__all__ = ["generated_secret", "headers_for", "sign"]

_PREFIX = "whsec_"
_KEY_BYTES = 32


def generated_secret() -> str:
    """A new secret of 32 random bytes, as ``whsec_`` and base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def sign(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """The value of ``webhook-signature``. Raises ``ValueError`` for a secret that is no base64."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("The secret is not base64.") from error
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers_for(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of one attempt; a later attempt has another timestamp and the same id."""
    at_s = int(at.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": "parsedeck-webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": sign(secret, message_id, at_s, body),
    }
