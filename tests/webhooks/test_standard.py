"""What we send is signed as Standard Webhooks says."""

import base64
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks.standard import generated_secret, sign

# the example of the specification's own documentation
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE, AT_S, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'


def test_the_known_answer() -> None:
    """The published example gets the published signature."""
    assert sign(SECRET, MESSAGE, AT_S, BODY) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(body=st.binary(max_size=100))
def test_every_part_is_covered(body: bytes) -> None:
    """Another id, moment, body or secret gives another signature."""
    signature = sign(SECRET, MESSAGE, AT_S, body)
    others = [
        sign(SECRET, "msg_other", AT_S, body),
        sign(SECRET, MESSAGE, AT_S + 1, body),
        sign(SECRET, MESSAGE, AT_S, body + b" "),
        sign(generated_secret(), MESSAGE, AT_S, body),
    ]
    assert signature not in others


def test_openssl_agrees() -> None:
    """An independent implementation signs the same."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key = base64.b64decode(SECRET.removeprefix("whsec_")).hex()
    command = [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    signed = f"{MESSAGE}.{AT_S}.".encode() + BODY
    digest = subprocess.run(command, input=signed, capture_output=True, check=True).stdout
    assert sign(SECRET, MESSAGE, AT_S, BODY) == f"v1,{base64.b64encode(digest).decode()}"


def test_a_secret_that_is_no_base64_is_refused() -> None:
    """A wrong secret fails where it is used first, with a reason."""
    with pytest.raises(ValueError, match="base64"):
        sign("whsec_!", MESSAGE, AT_S, BODY)
