"""Wrong keys, addresses, certificates and proxies: each ends as one sentence that says what to mend."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2 as httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from core.engines.llamaparse import LlamaParseEngine
from core.errors import SettingsError, UpstreamError, UpstreamKind
from core.serving import Served
from core.settings import REGIONS, Settings
from tests.factories import free_port


def _failure_at(url: str) -> UpstreamError:
    """What a first question at this address ends with."""

    async def run() -> None:
        engine = LlamaParseEngine(url, SecretStr("llx-key"), max_retries=0, timeout_s=5)
        try:
            await engine.probe()
        finally:
            await engine.close()

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(run())
    return caught.value


def _answering(response: Response) -> Starlette:
    async def answer(_request: object) -> Response:
        return response

    return Starlette(routes=[Route("/{path:path}", answer)])


@pytest.mark.parametrize(
    ("written", "url"),
    [("eu", REGIONS["eu"]), (" NA ", REGIONS["na"]), (f"{REGIONS['eu']}/", REGIONS["eu"])],
)
def test_a_region_is_named_or_an_address(
    monkeypatch: pytest.MonkeyPatch, written: str, url: str
) -> None:
    """Who knows only the region need not know its address."""
    monkeypatch.setenv("LLAMAPARSE_BASE_URL", written)
    assert Settings.load().base_url == url


@pytest.mark.parametrize("written", ["api.cloud.llamaindex.ai", "https://", "asia"])
def test_an_address_without_scheme_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """The host-only form printed in the vendor's documentation is named, with what is missing."""
    monkeypatch.setenv("LLAMAPARSE_BASE_URL", written)
    with pytest.raises(SettingsError, match="https://") as caught:
        Settings.load()
    assert caught.value.variable == "LLAMAPARSE_BASE_URL"


@pytest.mark.parametrize(("asked", "other"), [("na", "eu"), ("eu", "na")])
def test_a_refused_key_names_the_other_region(asked: str, other: str) -> None:
    """A key is good in one region only, and the message says which other one to try, and how."""

    async def run() -> UpstreamError:
        refuse = httpx.MockTransport(
            lambda _r: httpx.Response(401, json={"detail": "Invalid API Key"})
        )
        engine = LlamaParseEngine(REGIONS[asked], SecretStr("llx-key"), transport=refuse)
        with pytest.raises(UpstreamError) as caught:
            await engine.probe()
        await engine.close()
        return caught.value

    step = asyncio.run(run()).next_step
    assert f"LLAMAPARSE_BASE_URL={other}" in step
    assert "LLAMAPARSE_API_KEY" in step


def test_a_web_page_instead_of_json_is_named() -> None:
    """A captive portal or a proxy's login page is called what it is, under status 200 and under 502."""
    with Served(_answering(HTMLResponse("<html>Please log in</html>"))) as portal:
        failure = _lists_at(portal.url)
    assert "web page" in failure.what
    assert "proxy" in failure.next_step
    with Served(_answering(HTMLResponse("<html>Bad gateway</html>", 502))) as gateway:
        failure = _failure_at(gateway.url)
    assert (failure.kind, failure.vendor_message) == (UpstreamKind.SERVER, "")


def test_a_missing_key_is_told_from_a_wrong_one() -> None:
    """The service's own words for a request without a key are kept beside ours."""
    with Served(_answering(JSONResponse({"detail": "Not authenticated"}, 401))) as service:
        failure = _failure_at(service.url)
    assert (failure.kind, failure.vendor_message) == (
        UpstreamKind.UNAUTHORIZED,
        "Not authenticated",
    )
    assert failure.counts_against_health


def test_an_untrusted_certificate_is_named(tmp_path: Path) -> None:
    """TLS with a certificate that this machine does not know says so, and what may stand in between."""
    with _serving_tls(tmp_path) as url:
        failure = _failure_at(url)
    assert "certificate" in failure.what
    assert failure.kind is UpstreamKind.CONNECTION
    assert not failure.outcome_unknown


def test_https_at_a_port_without_tls_is_named() -> None:
    """https:// in front of a plain port is a wrong address, not a broken network."""
    with Served(_answering(JSONResponse({}))) as plain:
        failure = _failure_at(plain.url.replace("http://", "https://"))
    assert "does not speak TLS" in failure.what
    assert "LLAMAPARSE_BASE_URL" in failure.next_step


def test_a_proxy_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the environment names a proxy, it is the first thing to look at."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    failure = _failure_at("https://service.example")
    assert "through the proxy" in failure.what
    assert "HTTPS_PROXY" in failure.next_step


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not let the request through is not taken for the service."""
    with _refusing_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        failure = _failure_at("https://service.example")
    assert "proxy did not let the request through" in failure.what


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9050", "http://:::"])
def test_a_proxy_that_cannot_be_used_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """It is named as the variable it stands in, instead of an error of some library."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError) as caught:
        LlamaParseEngine("https://service.example", SecretStr("llx-key"))
    assert caught.value.variable == "HTTPS_PROXY"
    assert caught.value.next_step


def test_a_proxy_does_not_stand_between_us_and_the_simulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MOCK works on a machine whose proxy settings are wrong."""
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9050")
    LlamaParseEngine("http://127.0.0.1:1", SecretStr("simulated"), simulated=True)


def _lists_at(url: str) -> UpstreamError:
    async def run() -> None:
        engine = LlamaParseEngine(url, SecretStr("llx-key"), max_retries=0, timeout_s=5)
        try:
            await engine.find("att-1", datetime.now(UTC))
        finally:
            await engine.close()

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(run())
    return caught.value


@contextmanager
def _serving_tls(folder: Path) -> Iterator[str]:
    """A port that speaks TLS under a certificate nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def shake(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass

    with _listening(shake) as port:
        yield f"https://127.0.0.1:{port}"


@contextmanager
def _refusing_proxy() -> Iterator[str]:
    def refuse(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with _listening(refuse) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """One connection is served in a thread."""

    def once() -> None:
        with closing(server.accept()[0]) as connection:
            serve(connection)

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=once)
        thread.start()
        yield server.getsockname()[1]
        thread.join(timeout=10)
