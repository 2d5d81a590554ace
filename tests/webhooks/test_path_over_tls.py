"""The way to the public address over TLS: a real proxy on loopback, with certificates of an authority of our own."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.api import ingress_app
from core.console import Console
from core.serving import Served
from core.webhooks.outbound import post
from tests.webhooks.conftest import Door

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Signs certificates; ``path`` is its own, for those who trust it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    path: Path

    def issued(self, host: str, *, until: timedelta = DAY) -> Path:
        """Key and certificate of a server at ``host``, good until so long from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        is_address = host.replace(".", "").isdigit()
        alternative = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
        certificate = (
            _builder(_name(host), self.certificate.subject, key, until)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.path.with_name(f"{host}-{until.days}.pem")
        path.write_bytes(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that this process trusts, as a machine does whose owner installed it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("Parsedeck's tests")
    certificate = (
        _builder(name, name, key, 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "authority.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return Authority(key, certificate, path)


def test_a_good_certificate_is_a_good_way(
    knock: Callable[..., Door], make_console: Callable[..., Console], authority: Authority
) -> None:
    """Through a proxy that ends TLS every hop works, and the event is on record with its bytes untouched."""
    door = knock()
    with (
        Served(ingress_app(door.console)) as served,
        _proxy(authority.issued("127.0.0.1"), served.url) as url,
    ):
        hops = make_console(public_url=url).path_test.run()
    assert [(hop.name, hop.works) for hop in hops] == [
        ("configured", True),
        ("name", True),
        ("connection", True),
        ("event", True),
    ]
    assert "TLSv1" in hops[2].found


@pytest.mark.parametrize(
    ("host", "until", "said"),
    [
        ("127.0.0.1", -DAY, "expired"),
        ("another.example", DAY, "IP address mismatch"),
    ],
    ids=["expired", "another name"],
)
def test_a_certificate_that_does_not_fit_ends_the_way_and_is_named(
    make_console: Callable[..., Console],
    authority: Authority,
    host: str,
    until: timedelta,
    said: str,
) -> None:
    """The report ends at the connection, with what is wrong with the certificate and what to do."""
    with _proxy(authority.issued(host, until=until), "http://127.0.0.1:1") as url:
        last = make_console(public_url=url).path_test.run()[-1]
    assert (last.name, last.works) == ("connection", False)
    assert said in last.found
    assert "certificate for 127.0.0.1 that is valid today" in last.next_step


def test_an_authority_that_nobody_knows_ends_the_way(
    make_console: Callable[..., Console], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of one's own making is no surprise of the vendor's: it is named here."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with _proxy(authority.issued("127.0.0.1"), "http://127.0.0.1:1") as url:
        last = make_console(public_url=url).path_test.run()[-1]
    assert (last.name, last.works) == ("connection", False)
    assert "unable to get local issuer certificate" in last.found


def test_a_request_says_that_a_certificate_is_not_trusted(authority: Authority) -> None:
    """Not that nobody listens: who looks for a server that is down would look in the wrong place."""
    with _proxy(authority.issued("127.0.0.1", until=-DAY), "http://127.0.0.1:1") as url:
        answer = post(url, {}, b"{}", allow_private=True)
    assert "not trusted" in answer.error


@contextmanager
def _proxy(pem: Path, target: str) -> Iterator[str]:
    """Ends TLS and passes the bytes on, as a tunnel does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    port = urlsplit(target).port
    loop = asyncio.new_event_loop()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    listening = asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    server = loop.run_until_complete(listening)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(timeout=20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=20)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number()
    )
    return builder.not_valid_before(now - 10 * DAY).not_valid_after(now + until)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
