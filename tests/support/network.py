"""Serve what lies between pmarep and a PMA.core: TLS with a private CA, HTTP proxies, servers that are no PMA.core."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LOOPBACK = "127.0.0.1"
PATIENCE = 240.0
HEAD_ONLY = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Authority:
    """A hospital's CA. `pem` is its certificate."""

    ENCODING = serialization.Encoding.PEM

    def __init__(self, folder: Path, name: str = "Hospital Root CA", organisation: str = "St. Example") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            ]
        )
        now = datetime.now(UTC)
        builder = _builder(self._name, self._name, self._key, now - timedelta(days=900), now + timedelta(days=900))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = folder / f"{name.replace(' ', '-')}.pem"
        self.pem.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, *hosts: str, begins: float = -1, ends: float = 90, signed: bool = True, password: bytes | None = None
    ) -> Path:
        """A PEM file with a certificate for these hosts and its key; times in days from now."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        issuer, signer = (self._name, self._key) if signed else (name, key)
        builder = _builder(name, issuer, key, now + timedelta(days=begins), now + timedelta(days=ends))
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = builder.add_extension(names, False).add_extension(usage, False).sign(signer, hashes.SHA256())
        hidden: Any = serialization.NoEncryption()
        if password:
            hidden = serialization.BestAvailableEncryption(password)
        file = self._folder / f"{hosts[0].replace('*', 'any')}-{x509.random_serial_number() % 10**8}.pem"
        encoding = serialization.Encoding.PEM
        file.write_bytes(
            certificate.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, hidden)
        )
        return file

    def server(self, pem: Path, *, wants_client: bool | None = False) -> ssl.SSLContext:
        """What a server with this certificate needs. `wants_client`: a certificate of ours; None: if there is one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        if wants_client is not False:
            context.load_verify_locations(self.pem)
            context.verify_mode = ssl.CERT_REQUIRED if wants_client else ssl.CERT_OPTIONAL
        return context


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, begins: datetime, ends: datetime) -> Any:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


def _general_name(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ip_address(host))
    return x509.DNSName(host)


class Network:
    """Small servers on a loop and a thread of their own, until the end of the block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listeners: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(end())
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def serve(self, handler: Handler, tls: ssl.SSLContext | None = None) -> int:
        """The port on which `handler` gets every connection."""

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
            writer.close()

        async def start() -> int:
            server = await asyncio.start_server(guarded, LOOPBACK, 0, ssl=tls)
            return int(server.sockets[0].getsockname()[1])

        self._loop.call_soon_threadsafe(self._loop.set_exception_handler, lambda *_: None)  # broken handshakes
        return int(self._run(start()))

    def tls(self, context: ssl.SSLContext, port: int) -> int:
        """TLS in front of the plain server on `port`."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await relay(reader, writer, port)

        return self.serve(handle, context)

    def turning_away(self, context: ssl.SSLContext) -> int:
        """A server whose handshake fails as those of real ones do, with a TLS alert; asyncio's sends none."""
        listener = socket.create_server((LOOPBACK, 0))

        def turn_away(connection: socket.socket) -> None:
            with suppress(OSError), context.wrap_socket(connection, True, do_handshake_on_connect=False) as shaking:
                try:
                    shaking.do_handshake()
                except ssl.SSLError:
                    socket.socket.shutdown(shaking, socket.SHUT_WR)
                    while socket.socket.recv(shaking, 1 << 16):  # a reset would overtake the alert
                        pass

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=turn_away, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        self._listeners.append(listener)
        return int(listener.getsockname()[1])

    def answering(self, answer: str, tls: ssl.SSLContext | None = None, shown: list[object] | None = None) -> int:
        """A server that gives everybody this answer: status line, headers, an empty line, body.

        `shown` gets the certificate of each client that got one, or None.
        """

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1 << 16)
            if shown is not None:
                shown.append(writer.get_extra_info("peercert"))
            writer.write(answer.encode())
            await writer.drain()

        return self.serve(handle, tls)


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Copy both ways between a connection and a server on this machine."""
    far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)

    async def copy(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await one.read(1 << 16):
                other.write(data)
                await other.drain()
        other.close()

    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


class Proxy:
    """A proxy for CONNECT, and for plain http to one server. `hosts` says where names lead; `asked` who wanted where.

    `refusal` is what it answers instead, such as `407 Proxy Authentication Required`.
    """

    def __init__(self, network: Network, hosts: dict[str, int] | None = None, refusal: str = "") -> None:
        self._hosts = hosts or {}
        self._refusal = refusal
        self.asked: list[str] = []
        self.url = f"http://{LOOPBACK}:{network.serve(self._handle)}"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(target if method == "CONNECT" else f"{method} {target.partition('?')[0]}")
        if self._refusal or method != "CONNECT":
            words = self._refusal or "501 Not Implemented"
            writer.write(f"HTTP/1.1 {words}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        host, _, port = target.rpartition(":")
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await relay(reader, writer, self._hosts.get(host) or int(port))


def closed_port() -> tuple[socket.socket, int]:
    """A port where nobody listens, as long as the socket is held."""
    held = socket.socket()
    held.bind((LOOPBACK, 0))
    return held, int(held.getsockname()[1])
