"""Why was it refused? Tries the mistakes that people and proxies make, and names the one that fits.

Pure: facts in, findings out. No finding holds a secret or the signature that would have been right.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.webhooks.misreadings import (
    SHORTEST,
    Mistake,
    Way,
    bodies_of,
    keys_of,
    readings_of,
    split_prefix,
)
from core.webhooks.signatures import SigningSecret

__all__ = ["Case", "Finding", "Mistake", "diagnose"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The likely mistake, what speaks for it, and what to do."""

    mistake: Mistake
    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Case:
    """What is on record about a refusal, and the secrets of today by (scope, secret).

    ``given_to_vendor`` is the fingerprint of the secret that the named job was submitted with.
    """

    verdict: str
    body: bytes
    body_is_whole: bool
    presented: Sequence[tuple[str, str]]
    secrets: Sequence[tuple[str, SigningSecret]]
    received_at: datetime
    given_to_vendor: str = ""


def diagnose(case: Case) -> tuple[Finding, ...]:
    """The likely mistakes, the most telling first; empty when there is nothing to explain."""
    match case.verdict:
        case "bad_signature" | "missing_signature" | "no_secret":
            return _unsigned(case)
        case "stale" | "future" | "malformed":
            return _content(case)
        case "too_large":
            return (_TOO_LARGE,)
        case "unsupported":
            return (_FORM,)
        case "incomplete" | "too_slow":
            return (_INCOMPLETE,)
        case _:
            return ()


# -- signatures ------------------------------------------------------------------------------------


_ALGORITHMS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("SHA-1", hashlib.sha1),
    ("SHA-512", hashlib.sha512),
    ("MD5", hashlib.md5),
)


def _unsigned(case: Case) -> tuple[Finding, ...]:
    if case.verdict == "no_secret":
        step = "Set LLAMAPARSE_WEBHOOK_SECRET, give the same to the sender, and start again."
        return (Finding(Mistake.NOT_SIGNED, "No secret is configured here.", step),)
    if not case.presented:
        return (_NOT_SIGNED,)
    if not case.body_is_whole:
        what = "Only a part of the body was kept, so its signature cannot be looked into."
        return (Finding(Mistake.UNKNOWN_SECRET, what, "Compare the secrets on both sides."),)
    found = _matches(case)
    if found:
        return tuple(found)
    return (_unknown(case),)


def _matches(case: Case) -> list[Finding]:
    """What fits with the fewest mistakes: each further one that fits too is a coincidence of the first."""
    found: list[tuple[int, Finding]] = []
    readings = [r for name, value in case.presented for r in readings_of(name, value)]
    bodies = _distinct(case.body)
    for scope, secret in case.secrets:
        for key_way, key in keys_of(secret):
            for body_way, body in bodies:
                digest = hmac.new(key, body, hashlib.sha256).digest()
                for reading, claimed in readings:
                    if hmac.compare_digest(digest, claimed):
                        ways = [w for w in (body_way, key_way, *reading) if w.mistake]
                        found.append((len(ways), _finding(scope, secret, ways)))
        found += [(1, f) for f in _odd_digests(secret, case.body, case.presented)]
    fewest = min((count for count, _finding_ in found), default=0)
    return list({f.mistake: f for count, f in reversed(found) if count == fewest}.values())


def _distinct(body: bytes) -> list[tuple[Way, bytes]]:
    seen: dict[bytes, Way] = {}
    for way, variant in bodies_of(body):
        seen.setdefault(variant, way)
    return [(way, variant) for variant, way in seen.items()]


def _finding(scope: str, secret: SigningSecret, ways: Sequence[Way]) -> Finding:
    named = f"“{secret.label}” ({secret.fingerprint})"
    if not ways:
        if scope == "test":
            what = f"It is signed with {named}, but not marked as a test."
            step = 'Sign with the secret of LlamaParse, or put "test": true into the event.'
            return Finding(Mistake.OTHER_ENVIRONMENT, what, step)
        what = f"Today it verifies, with {named}: that secret was added since."
        return Finding(Mistake.VERIFIES_TODAY, what, "Replay it to have it accepted now.")
    first = ways[0]
    what = "; ".join(way.what for way in ways)
    return Finding(
        first.mistake or Mistake.UNKNOWN_SECRET,
        f"With {named} it fits once this is undone: {what}.",
        _STEPS.get(first.mistake or Mistake.UNKNOWN_SECRET, ""),
    )


def _odd_digests(
    secret: SigningSecret, body: bytes, presented: Sequence[tuple[str, str]]
) -> Iterator[Finding]:
    key = secret.value.encode()
    named = f"“{secret.label}” ({secret.fingerprint})"
    right = hmac.new(key, body, hashlib.sha256).hexdigest()
    for _name, value in presented:
        claimed = split_prefix(value.strip().lower())[2]
        if len(claimed) < SHORTEST:
            continue
        if claimed != right and (right.startswith(claimed) or claimed.startswith(right)):
            what = f"It agrees with {named} as far as it goes, but has the wrong length."
            yield Finding(Mistake.CUT_OFF, what, "Send all 64 hex digits.")
        for name, algorithm in _ALGORITHMS:
            if hmac.compare_digest(
                hmac.new(key, body, algorithm).hexdigest().encode(), claimed.encode()
            ):
                what = f"It is made with {named}, but with {name}."
                yield Finding(Mistake.ALGORITHM, what, "Sign with HMAC-SHA256.")
        if hashlib.sha256(body).hexdigest() == claimed:
            what = "It is the plain SHA-256 of the body, made without any secret."
            yield Finding(Mistake.ALGORITHM, what, "Sign with HMAC-SHA256 and the secret.")


def _unknown(case: Case) -> Finding:
    known = {secret.fingerprint for _scope, secret in case.secrets}
    if case.given_to_vendor and case.given_to_vendor not in known:
        what = (
            f"The job it names was submitted with the secret {case.given_to_vendor}, which is not "
            "configured here any more."
        )
        step = "Add that secret again, after the new one, to LLAMAPARSE_WEBHOOK_SECRET; then replay it."
        return Finding(Mistake.PREVIOUS_SECRET, what, step)
    what = (
        "It fits no secret known here, in no form that is often mixed up: the sender has another "
        "secret, or the body was changed in its content."
    )
    step = "Compare the secret's fingerprint on Setup with the one at the sender."
    return Finding(Mistake.UNKNOWN_SECRET, what, step)


# -- content ---------------------------------------------------------------------------------------

_HOUR_S = 3600
_SLACK_S = 120
_LONGEST_OFFSET_H = 14
_MILLISECONDS = 1e11


def _content(case: Case) -> tuple[Finding, ...]:
    stated = _stated(case.body)
    if stated is None:
        return ()
    if _MILLISECONDS < stated < _MILLISECONDS * 1000:
        what = "The timestamp is in milliseconds; it is read as seconds."
        return (Finding(Mistake.MILLISECONDS, what, "Send seconds since 1970."),)
    if case.verdict == "malformed":
        return ()
    return (_clock(case.received_at.timestamp() - stated),)


def _stated(body: bytes) -> float | None:
    try:
        payload = json.loads(body.decode("utf-8-sig"))
        payload = json.loads(payload) if isinstance(payload, str) else payload
        return float(payload["timestamp"])
    except (ValueError, LookupError, TypeError, RecursionError, OverflowError):
        return None


def _clock(behind_s: float) -> Finding:
    hours = round(behind_s / _HOUR_S)
    is_whole = abs(behind_s - hours * _HOUR_S) < _SLACK_S
    if 0 < abs(hours) <= _LONGEST_OFFSET_H and is_whole:
        what = f"It is off by almost exactly {abs(hours)} h: a local time was taken for UTC."
        return Finding(Mistake.CLOCK, what, "Send seconds since 1970 in UTC.")
    if behind_s < 0:
        what = f"The sender's clock is {-behind_s:,.0f} s ahead of ours."
        return Finding(Mistake.CLOCK, what, "Set both clocks by NTP.")
    what = "It is signed well, but older than is accepted: a late repeat, or a clock behind."
    return Finding(Mistake.REPEAT, what, "Replay it here when it is wanted; replays may be old.")


_NOT_SIGNED = Finding(
    Mistake.NOT_SIGNED,
    "It carries no signature. The vendor signs only when the webhook has a signing secret; the old "
    "webhook_url is never signed.",
    "Submit with webhook_configurations and a secret, as Parsedeck does; or send LC-Signature.",
)
_TOO_LARGE = Finding(
    Mistake.TOO_LARGE,
    "The body is over the cap. Events are small; a result inside the body is not needed.",
    "Have the sender leave results out, or raise PARSEDECK_MAX_WEBHOOK_KB.",
)
_FORM = Finding(
    Mistake.FORM,
    "The body is not plain JSON in UTF-8, or a proxy compressed it.",
    "Send Content-Type: application/json, without Content-Encoding.",
)
_INCOMPLETE = Finding(
    Mistake.INCOMPLETE,
    "The connection was slow or broke before the body's end.",
    "Look at the tunnel or proxy in between; the vendor tries three times.",
)
_STEPS = {
    Mistake.WRONG_KEY_FORM: "Use the secret's text as it is, byte for byte, as the key.",
    Mistake.RE_ENCODED: "Make the proxy or relay pass the body on untouched.",
    Mistake.NEWLINE: "Sign exactly the bytes that are sent, and pass them on untouched.",
    Mistake.DOUBLE_ENCODED: "Sign the bytes that are sent, after the last encoding.",
    Mistake.WRONG_HEADER: "Send the signature as LC-Signature or X-Webhook-Signature.",
    Mistake.HEX_CASE: "Write the digest in lower-case hex.",
    Mistake.BASE64: "Write the digest in lower-case hex.",
    Mistake.SIGNATURE_FORM: "Send LC-Signature: sha256= and 64 lower-case hex digits.",
}
