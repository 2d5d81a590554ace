"""Signatures: what is accepted, what is refused, and that nothing else can happen."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import WebhookRejected
from core.webhooks.signatures import SigningSecret, sign, verify

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("vectors.json").read_text(encoding="utf-8")
)["vectors"]
SECRET = SigningSecret("current", "whsec_test")
OLD = SigningSecret("previous", "whsec_old")
BODY = b'{"event_id":"1"}'


def _verdict(headers: dict[str, str], body: bytes, *secrets: SigningSecret) -> str:
    try:
        return verify(headers, body, secrets).label
    except WebhookRejected as rejected:
        return rejected.reason


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    """Every known delivery gets the verdict that signature checking alone must give."""
    body = base64.b64decode(vector["body_base64"])
    secret = SigningSecret("configured", vector["secret"])
    verdict = _verdict({vector["header"]: vector["value"]}, body, secret)
    assert (verdict == "configured") is vector["accept"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_sign_agrees_with_openssl(vector: dict[str, Any]) -> None:
    """What we sign is what an independent implementation signs."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    body = base64.b64decode(vector["body_base64"])
    key = f"hexkey:{vector['secret'].encode().hex()}"
    command = [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", key, "-r"]
    digest = subprocess.run(command, input=body, capture_output=True, check=True).stdout.split()[0]
    assert sign(vector["secret"], body) == f"sha256={digest.decode()}"


def test_rotation_names_the_secret_that_matched() -> None:
    """While rotating, either secret is accepted and the answer says which one it was."""
    signed_with_old = {"LC-Signature": sign(OLD, BODY)}
    assert _verdict(signed_with_old, BODY, SECRET, OLD) == "previous"
    assert _verdict({"LC-Signature": sign(SECRET, BODY)}, BODY, SECRET, OLD) == "current"


@pytest.mark.parametrize("name", ["lc-signature", "LC-SIGNATURE", "Lc-Signature"])
def test_header_names_have_no_case(name: str) -> None:
    """A proxy may change the case of a header name."""
    assert _verdict({name: sign(SECRET, BODY)}, BODY, SECRET) == "current"


def test_nothing_is_accepted_without_a_secret() -> None:
    """A missing secret closes the door rather than opening it."""
    assert _verdict({"LC-Signature": sign(SECRET, BODY)}, BODY) == "no_secret"


def test_an_unsigned_delivery_is_told_from_a_badly_signed_one() -> None:
    """The two reasons lead to different repairs, so they have different names."""
    assert _verdict({"Content-Type": "application/json"}, BODY, SECRET) == "missing_signature"
    assert _verdict({"LC-Signature": "sha256=00"}, BODY, SECRET) == "bad_signature"


def test_one_good_signature_is_enough() -> None:
    """A relay that adds its own header does not spoil the vendor's."""
    headers = {"X-Webhook-Signature": "relay", "LC-Signature": sign(SECRET, BODY)}
    assert _verdict(headers, BODY, SECRET) == "current"


@pytest.mark.parametrize("value", ["", "  ", "\n", "\ud800"])
def test_a_useless_secret_fails_at_construction(value: str) -> None:
    """A bad secret is found when it is configured, not at the first delivery."""
    with pytest.raises(ValueError, match="signing secret"):
        SigningSecret("broken", value)


def test_a_secret_is_never_shown() -> None:
    """Logs and error pages may print the object; the value must not be in it."""
    assert "whsec_test" not in repr(SECRET)
    assert SECRET.fingerprint == "609b97b0"
    assert SECRET.fingerprint != OLD.fingerprint


@given(
    headers=st.dictionaries(
        st.one_of(st.text(), st.sampled_from(["LC-Signature", "x-webhook-signature"])),
        st.one_of(st.text(st.characters()), st.just("sha256=é"), st.just("sha256=\ud800")),
    ),
    body=st.binary(),
)
def test_only_one_exception_leaves_verify(headers: dict[str, str], body: bytes) -> None:
    """Whatever arrives, the answer is a secret or ``WebhookRejected``."""
    assert _verdict(headers, body, SECRET) in {"current", "missing_signature", "bad_signature"}


@given(secret=st.text(min_size=1).filter(str.strip), body=st.binary())
def test_what_is_signed_verifies(secret: str, body: bytes) -> None:
    """Signing and verifying agree for every secret and every body."""
    named = SigningSecret("any", secret)
    assert _verdict({"LC-Signature": sign(named, body)}, body, named) == "any"
