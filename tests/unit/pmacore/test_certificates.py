"""Old CAs of hospitals, and certificates of ours that a server asks for late."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from support.network import HEAD_ONLY, LOOPBACK, PATIENCE, Authority, Network

from pmarep.pmacore import CertificateRefused, Connection, PmaCore
from pmarep.pmacore.certificate import Certificate, explained

STRICT = ssl.VerifyFlags(0x20)  # ssl.VERIFY_X509_STRICT


class OldAuthority(Authority):
    """As hospitals made them twenty years ago: basicConstraints not critical, no authorityKeyIdentifier anywhere."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "Old Root CA")
        now, key = datetime.now(UTC), self._key
        builder = (
            x509.CertificateBuilder().subject_name(self._name).issuer_name(self._name).public_key(key.public_key())
        )
        builder = builder.serial_number(1).not_valid_before(now - timedelta(9)).not_valid_after(now + timedelta(9))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
        self._certificate = builder.sign(key, hashes.SHA256())
        self.pem.write_text(self._certificate.public_bytes(Authority.ENCODING).decode())


@pytest.fixture
def as_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `ssl.create_default_context` does since then, on every Python."""
    usual = ssl.create_default_context

    def strict(*args: Any, **more: Any) -> ssl.SSLContext:
        context = usual(*args, **more)
        context.verify_flags |= STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


@pytest.mark.usefixtures("as_python_3_13")
@pytest.mark.parametrize("installed", [True, False])
async def test_an_old_ca_is_trusted_where_it_is_installed_and_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    ca = OldAuthority(tmp_path)
    if installed:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.pem))
    with Network() as network:
        url = f"https://{LOOPBACK}:{network.answering(HEAD_ONLY, ca.server(ca.issue(LOOPBACK)))}/"
        connection = Connection(url, "u", None if installed else ca.pem)
        for client in (connection.http(), connection.storage_http()):
            async with client as http:
                assert (await http.get(url)).status_code == 200


def test_the_same_rules_for_the_systems_cas_and_a_ca_bundle(tmp_path: Path) -> None:
    named = Connection("https://x/", "u", Authority(tmp_path).pem).ssl_context()
    systems = Connection("https://x/", "u").ssl_context()
    assert named.verify_flags & STRICT == systems.verify_flags & STRICT == 0
    assert (named.verify_mode, named.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        (20, "unable to get local issuer certificate", "which the ca_bundle x.pem does not hold"),
        (66, "EE certificate key too weak", r"is not accepted here \(EE certificate key too weak\); its administrator"),
        (79, "invalid CA certificate", r"is not accepted here \(invalid CA certificate\); "),
        (None, "", "which the ca_bundle x.pem does not hold"),
        (0x800B0109, "a root which is not trusted", "which the ca_bundle x.pem does not hold"),  # Windows
        (-67843, "certificate is not trusted", "which the ca_bundle x.pem does not hold"),  # macOS
    ],
)
def test_the_true_reason(code: int | None, words: str, expected: str) -> None:
    now = datetime.now(UTC)
    found = Certificate("Hospital CA", False, now - timedelta(1), now + timedelta(1), ("pma.example",))
    connection = Connection("https://pma.example/", "u", Path("x.pem"))
    error = explained(CertificateRefused("x", code=code, words=words), found, connection)
    with pytest.raises(CertificateRefused, match=expected):
        raise error


class AsksLate:
    """A server that wants a client certificate once it has read the request, as Apache does for a location."""

    def __init__(self, context: ssl.SSLContext) -> None:
        context.post_handshake_auth, context.verify_mode = True, ssl.CERT_REQUIRED
        self._context = context
        self._listener = socket.create_server((LOOPBACK, 0))
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self.shown: list[object] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as tls:
            head = b""
            while b"\r\n\r\n" not in head:
                head += tls.recv(1 << 16)
            tls.verify_client_post_handshake()
            body = b'"3.0.3.2222"'
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
            tls.settimeout(0.05)
            while not tls.getpeercert():  # it comes while we read
                with suppress(TimeoutError):
                    if not tls.recv(1):
                        return
            tls.sendall(body)
            self.shown.append(tls.getpeercert())

    def close(self) -> None:
        self._listener.close()
        self._thread.join(PATIENCE)


async def asked_late(ca: Authority, mine: tuple[Path, ...] | None) -> list[object]:
    """What the server was shown."""
    context = ca.server(ca.issue(LOOPBACK))
    context.load_verify_locations(ca.pem)
    server = AsksLate(context)

    async def password() -> str:
        return "x"

    try:
        async with PmaCore(
            Connection(f"https://{LOOPBACK}:{server.port}/", "u", ca.pem, mine, timeout=PATIENCE), password
        ) as core:
            assert await core.version() == "3.0.3.2222"
    finally:
        server.close()
    return server.shown


@pytest.mark.skipif(not ssl.HAS_TLSv1_3, reason="only TLS 1.3 asks after the handshake")
async def test_a_client_certificate_that_is_asked_for_after_the_handshake(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    (shown,) = await asked_late(ca, (ca.issue("workstation"),))
    assert shown
