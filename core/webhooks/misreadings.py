"""What people and proxies do to a signature, a secret or a body, each with the mistake it stands for."""

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any

from core.webhooks.signatures import SCHEMES, SigningSecret

__all__ = ["SHORTEST", "Mistake", "Way", "bodies_of", "keys_of", "readings_of", "split_prefix"]


class Mistake(StrEnum):
    """What went wrong at the sender, on the way, or here."""

    VERIFIES_TODAY = "verifies today"
    PREVIOUS_SECRET = "previous secret"  # noqa: S105 - a name
    OTHER_ENVIRONMENT = "another environment's secret"
    WRONG_KEY_FORM = "key used in another form"
    RE_ENCODED = "body re-encoded on the way"
    NEWLINE = "newline added or lost"
    DOUBLE_ENCODED = "encoded after it was signed"
    WRONG_HEADER = "wrong header"
    HEX_CASE = "hex in capitals"
    BASE64 = "base64 instead of hex"
    SIGNATURE_FORM = "signature written in another form"
    ALGORITHM = "another algorithm"
    CUT_OFF = "signature cut off"
    NOT_SIGNED = "not signed"
    CLOCK = "clocks differ"
    MILLISECONDS = "timestamp in milliseconds"
    REPEAT = "sent again much later"
    TOO_LARGE = "body over the cap"
    FORM = "not plain JSON"
    INCOMPLETE = "body did not arrive whole"
    UNKNOWN_SECRET = "none of the usual mistakes"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True)
class Way:
    """One way to come to what was received: a mistake, none for the right way, and its description."""

    mistake: Mistake | None
    what: str


RIGHT = Way(None, "")
_BY_HEADER = {scheme.header.lower(): scheme for scheme in SCHEMES}
SHORTEST = 16


def readings_of(name: str, value: str) -> Iterator[tuple[tuple[Way, ...], bytes]]:
    """Every digest that a header may mean, with what is unusual about how it says so."""
    scheme = _BY_HEADER.get(name.lower())
    where = RIGHT if scheme else Way(Mistake.WRONG_HEADER, f"the signature is in {name[:60]!r}")
    text = value.strip().strip("\"'")
    tidy = RIGHT if text == value else Way(Mistake.SIGNATURE_FORM, "blanks or quotes around it")
    prefix, separator, rest = split_prefix(text)
    if scheme and not prefix and scheme.needs_prefix:
        form = Way(Mistake.SIGNATURE_FORM, f"{name} has no “sha256=” before the digest")
    elif prefix and f"{prefix}{separator}" != "sha256=":
        form = Way(Mistake.SIGNATURE_FORM, f"it begins with {prefix[:20] + separator!r}")
    else:
        form = RIGHT
    for writing, digest in _decoded(rest):
        ways = where, tidy, form, writing
        if all(way is RIGHT for way in ways) and text.removeprefix("sha256=") != digest.hex():
            # taken for hex all the same, which the receiver does not do
            ways = where, tidy, Way(Mistake.SIGNATURE_FORM, "blanks in the signature"), writing
        yield ways, digest


def split_prefix(text: str) -> tuple[str, str, str]:
    """What stands before the digest, the sign between them, and the digest."""
    for separator in ("=", ",", ":"):
        prefix, found, rest = text.partition(separator)
        # base64 ends in "=": that is no prefix
        if found and rest.strip("=") and len(prefix) < SHORTEST:
            return prefix, separator, rest.strip()
    return "", "", text


def _decoded(text: str) -> Iterator[tuple[Way, bytes]]:
    is_tidy = text == text.lower()
    capitals = RIGHT if is_tidy else Way(Mistake.HEX_CASE, "the digest is in capitals")
    with suppress(ValueError):
        yield capitals, bytes.fromhex(text)
    padded = text + "=" * (-len(text) % 4)
    for alphabet in (b"+/", b"-_"):
        try:
            raw = base64.b64decode(padded.encode(), altchars=alphabet, validate=True)
        except (ValueError, binascii.Error):
            continue
        yield Way(Mistake.BASE64, "the digest is in base64, not in hex"), raw


def keys_of(secret: SigningSecret) -> Iterator[tuple[Way, bytes]]:
    """The secret as a key, and as people take it by mistake."""
    value = secret.value
    yield RIGHT, value.encode()
    for tail, name in (("\n", "a newline"), (" ", "a blank"), ("\r\n", "a line end")):
        yield (
            Way(Mistake.WRONG_KEY_FORM, f"the sender's secret has {name} at its end"),
            (value + tail).encode(),
        )
    for quote in "\"'":
        yield (
            Way(Mistake.WRONG_KEY_FORM, "the sender's secret has quotes around it"),
            f"{quote}{value}{quote}".encode(),
        )
    bare = value.removeprefix("whsec_")
    if bare != value:
        without = "the sender used the secret without “whsec_”"
        yield Way(Mistake.WRONG_KEY_FORM, without), bare.encode()
    try:
        raw = base64.b64decode(bare.encode() + b"=" * (-len(bare) % 4), validate=True)
    except (ValueError, binascii.Error):
        return
    yield Way(Mistake.WRONG_KEY_FORM, "the sender decoded the secret from base64"), raw


def bodies_of(body: bytes) -> Iterator[tuple[Way, bytes]]:
    """The body as received, and what it may have been when it was signed."""
    yield RIGHT, body
    yield from _newlines(body)
    try:
        payload = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return
    if isinstance(payload, str):
        what = "the body was made a JSON string after it was signed"
        yield Way(Mistake.DOUBLE_ENCODED, what), payload.encode("utf-8", "replace")
    elif isinstance(payload, dict | list):
        yield from _encodings(body, payload)


def _newlines(body: bytes) -> Iterator[tuple[Way, bytes]]:
    bare = body.rstrip(b"\r\n")
    if bare != body:
        yield Way(Mistake.NEWLINE, "a newline was added at the body's end"), bare
    for tail in (b"\n", b"\r\n"):
        yield Way(Mistake.NEWLINE, "a newline at the body's end was lost"), bare + tail
    if b"\n" in body:
        unix = body.replace(b"\r\n", b"\n")
        yield Way(Mistake.NEWLINE, "line ends were changed"), unix
        yield Way(Mistake.NEWLINE, "line ends were changed"), unix.replace(b"\n", b"\r\n")
    if body.startswith(b"\xef\xbb\xbf"):
        yield Way(Mistake.RE_ENCODED, "a byte order mark was put before the body"), body[3:]


def _encodings(body: bytes, payload: object) -> Iterator[tuple[Way, bytes]]:
    written = Way(
        Mistake.RE_ENCODED, "the JSON was written anew (spaces, indents, escapes, order, numbers)"
    )
    styles: tuple[dict[str, Any], ...] = (
        {"separators": (",", ":")},
        {},
        {"indent": 2},
        {"indent": 4},
        {"indent": "\t"},
    )
    for known in (payload, *_other_numbers(body)):
        for style, is_ascii, is_sorted in product(styles, (False, True), (False, True)):
            try:
                text = json.dumps(known, ensure_ascii=is_ascii, sort_keys=is_sorted, **style)
                yield written, text.encode()
            except (ValueError, TypeError, RecursionError):
                continue
    quoted = Way(Mistake.DOUBLE_ENCODED, "the sender signed the body as a JSON string")
    yield quoted, json.dumps(body.decode("utf-8", "replace")).encode()


def _other_numbers(body: bytes) -> Iterator[object]:
    """The same with 1 for 1.0, as JavaScript writes it, and the other way round."""
    text = body.decode("utf-8-sig")
    with suppress(ValueError, RecursionError):
        yield json.loads(text, parse_int=float)
        yield json.loads(text, parse_float=_whole)


def _whole(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
