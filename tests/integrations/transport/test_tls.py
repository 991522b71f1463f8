"""HTTPS: the certificate must be valid, trusted and that of the name, or nothing is sent."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from integrations.transport.base import Transport, TransportError
from tests.integrations.transport.conftest import exchange, post
from tests.receiver import Receiver, hang

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests; `ca_file` is what a client trusts."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def server(self, name: str, *, days: int = 10, is_self_signed: bool = False) -> ssl.SSLContext:
        """The TLS side of a server whose certificate is for `name` and ends in `days` days."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = None if is_self_signed else self
        certificate = _certificate(name, key, issuer, NOW + timedelta(days=days))
        path = self.folder / f"{name}-{days}-{is_self_signed}.pem"
        path.write_bytes(_pem(certificate) + _private_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    made = Authority(tmp_path_factory.mktemp("tls"), key, _certificate("Test CA", key, None, NOW + timedelta(days=10)))
    Path(made.ca_file).write_bytes(_pem(made.certificate))
    return made


def test_a_valid_certificate_of_the_name_is_accepted(
    build: Callable[..., Transport], authority: Authority, answers: dict[str, Any]
) -> None:
    answers["shop.example"] = ["127.0.0.1"]
    names: list[str | None] = []
    context = authority.server("shop.example")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    transport = build(ca_file=authority.ca_file)
    with Receiver(tls=context) as receiver:
        for _ in range(2):
            assert exchange(transport, post(receiver.url("/x", "shop.example"), b"secret")).error is None
        assert receiver.requests[0].header("host") == f"shop.example:{receiver.port}"
        assert receiver.connections == 1
    assert names == ["shop.example"]


@pytest.mark.parametrize(
    "server",
    [
        lambda authority: authority.server("shop.example", days=-1),
        lambda authority: authority.server("other.example"),
        lambda authority: authority.server("shop.example", is_self_signed=True),
    ],
    ids=["expired", "wrong host", "self-signed"],
)
def test_another_certificate_ends_the_attempt_before_anything_is_sent(
    build: Callable[..., Transport],
    authority: Authority,
    answers: dict[str, Any],
    server: Callable[[Authority], ssl.SSLContext],
) -> None:
    answers["shop.example"] = ["127.0.0.1"]
    transport = build(ca_file=authority.ca_file)
    with Receiver(tls=server(authority)) as receiver:
        result = exchange(transport, post(receiver.url("/x", "shop.example")))
        assert result.error is not None
        assert (result.error.kind, result.error.permanent) == (TransportError.TLS, False)
        assert (receiver.requests, receiver.bytes_received) == ([], 0)


def test_an_authority_that_nobody_trusts_is_refused(build: Callable[..., Transport], authority: Authority) -> None:
    with Receiver(tls=authority.server("localhost")) as receiver:
        result = exchange(build(), post(receiver.url("/x", "localhost")))
        assert result.error is not None
        assert result.error.kind == TransportError.TLS
        assert receiver.requests == []


def test_a_server_without_tls_gets_no_plain_request_instead(
    build: Callable[..., Transport], receiver: Receiver
) -> None:
    result = exchange(build(), post(receiver.url().replace("http:", "https:"), timeout=0.5))
    assert result.error is not None
    assert receiver.requests == []


def test_a_server_that_hangs_inside_tls_ends_at_the_deadline(
    build: Callable[..., Transport], authority: Authority
) -> None:
    with Receiver(tls=authority.server("localhost")) as receiver:
        receiver.script(hang(b"HTTP/1.1 200 OK\r\nX: "))
        result = exchange(build(ca_file=authority.ca_file), post(receiver.url("/x", "localhost"), timeout=0.4))
        assert result.error is not None
        assert result.error.kind == TransportError.TIMEOUT
        assert result.duration < 1.4


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: Authority | None, end: datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    is_authority = name == "Test CA"
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ip_address("127.0.0.1")))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=20))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
