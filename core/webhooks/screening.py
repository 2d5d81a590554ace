"""What a delivery must look like before its signature is looked at, and what its headers keep on record."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice

from core.errors import WebhookRejected
from core.webhooks.signatures import is_signature

__all__ = ["check_form", "redacted", "tame"]

_JSON = {"application/json", "text/json", "text/plain"}
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}
_SECRET_HEADERS = {
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
}
_MAX_HEADERS, _MAX_NAME, _MAX_VALUE = 60, 100, 500


def check_form(headers: Mapping[str, str]) -> str:
    """What the body says it is; refuses all but plain JSON in UTF-8. One that says nothing may be that.

    Compressed bodies are refused: the signature covers the bytes as sent, and what a small body may
    unfold to is unbounded. Raises ``WebhookRejected`` with the reason ``unsupported``.
    """
    encoding = content_type = ""
    for name, value in headers.items():
        lower = name.lower()
        if lower == "content-type":
            content_type = value
        elif lower == "content-encoding":
            encoding = value.strip().lower()
    found = _media_type(content_type[:_MAX_VALUE])
    if encoding not in {"", "identity"}:
        raise WebhookRejected(
            "unsupported", f"The body is compressed ({encoding[:40]!r}); send it as it is."
        )
    return found


@lru_cache(maxsize=64)
def _media_type(content_type: str) -> str:
    media_type, *parameters = (p.strip().lower() for p in content_type.split(";"))
    if media_type and media_type not in _JSON and not media_type.endswith("+json"):
        raise WebhookRejected("unsupported", f"The body is {media_type[:100]!r}, not JSON.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _CHARSETS:
            raise WebhookRejected("unsupported", f"The charset {value[:40]!r} is not UTF-8.")
    return media_type[:100] or "the sender does not say what it is"


def redacted(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as they are kept: bounded in number and length, secrets by their length only."""
    kept = {}
    for name, value in islice(headers.items(), _MAX_HEADERS):
        shown, is_secret = _name_of(name[:_MAX_NAME])
        kept[shown] = f"({len(value)} characters)" if is_secret else tame(value[:_MAX_VALUE])
    return kept


@lru_cache(maxsize=256)
def _name_of(header: str) -> tuple[str, bool]:
    """A header's name as it is kept, and whether its value is a secret; the same few come for ever."""
    lower = tame(header.lower())
    is_secret = lower in _SECRET_HEADERS or is_signature(lower)
    return lower, is_secret or "secret" in lower or "token" in lower


def tame(text: str) -> str:
    """Text that any database takes: no NUL, no half of a surrogate pair."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "?")
