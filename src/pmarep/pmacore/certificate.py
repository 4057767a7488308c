"""Fetches a server's certificate, trusted or not, and explains what is wrong with it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import httpx

from .connection_settings import Connection
from .errors import CertificateRefused
from .redact import one_line
from .transport_errors import TRANSPORT_ERRORS

# Python has no name for this flag of OpenSSL's X509_VERIFY_PARAM: expired certificates can be read as well.
_NO_CHECK_TIME = 0x200000
# X509_V_ERR: self-signed; self-signed in the chain; no issuer found for the chain; none for the server's own.
_UNKNOWN_ISSUER = (18, 19, 20, 21)
_OPENSSL_CODES = 1000
_SHOWN_NAMES = 5


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate. `issuer` is who signed it, in words; `names` are the hosts that it is for."""

    issuer: str
    self_signed: bool
    begins: datetime
    ends: datetime
    names: tuple[str, ...]

    @property
    def days_left(self) -> int:
        """Whole days; negative when it has expired."""
        return (self.ends - datetime.now(UTC)).days

    def is_for(self, host: str) -> bool:
        host = host.lower().rstrip(".").strip("[]")
        return any(_matches(host, name.lower()) for name in self.names)


async def certificate(connection: Connection) -> Certificate | None:
    """Fetch the certificate of a server with an https url; None where none can be had. Raises only ConfigError.

    Python decodes only certificates that it trusts. So the first of two handshakes trusts anything, and the second one
    this certificate alone. Nothing is sent over either but a request for the bare url.
    """
    if (der := await _peer(connection, None)) is None:
        return None
    said = await _peer(connection, der)
    return _read(said) if isinstance(said, dict) and said else None


async def _peer(connection: Connection, trusted: bytes | None) -> Any:
    """Return the peer's certificate: as DER bytes without `trusted`, else decoded."""
    context = replace(connection, verify_tls=False).ssl_context()
    if trusted is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
        context.load_verify_locations(cadata=trusted)
    seen: list[Any] = []

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("start_tls.complete"):
            tls = info["return_value"].get_extra_info("ssl_object")
            seen.append(tls.getpeercert(binary_form=trusted is None))

    # What comes after the handshake does not matter: a server may want a client certificate, or speak no HTTP.
    with suppress(*TRANSPORT_ERRORS):
        async with connection.http(context) as http:
            await http.head(connection.url, extensions={"trace": trace})
    return seen[-1] if seen else None


def _read(decoded: Mapping[str, Any]) -> Certificate:
    """Build a Certificate from the result of `SSLSocket.getpeercert`."""
    return Certificate(
        issuer=_named(decoded.get("issuer", ())),
        self_signed=decoded.get("issuer") == decoded.get("subject"),
        begins=_time(decoded["notBefore"]),
        ends=_time(decoded["notAfter"]),
        names=tuple(one_line(name, limit=100) for kind, name in decoded.get("subjectAltName", ()) if kind in _NAMES),
    )


_NAMES = ("DNS", "IP Address")


def _named(parts: Any) -> str:
    """Return the common name and organisation of a subject or issuer: `Hospital Root CA (Hospital)`."""
    fields = {key: value for part in parts for key, value in part}
    name, organisation = fields.get("commonName"), fields.get("organizationName")
    if name and organisation and organisation != name:
        return one_line(f"{name} ({organisation})", limit=150)
    return one_line(name or organisation or "nobody named", limit=150)


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _matches(host: str, name: str) -> bool:
    with suppress(ValueError):
        return ip_address(host) == ip_address(name)
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:] and not host.startswith(".")
    return host == name


def _is_about_something_else(error: CertificateRefused) -> bool:
    """Return whether OpenSSL has found another fault than the issuer; Windows' and macOS' numbers do not tell."""
    return error.code is not None and 0 < error.code < _OPENSSL_CODES and error.code not in _UNKNOWN_ISSUER


def explained(error: CertificateRefused, found: Certificate, connection: Connection) -> CertificateRefused:
    """Return the same refusal in the certificate's own words: who signed it, since when, for whom."""
    host, wrong, advice = httpx.URL(connection.url).host, [], []
    if datetime.now(UTC) > found.ends:
        wrong.append(f"expired on {found.ends:%Y-%m-%d %H:%M} UTC")
        advice.append("its administrator has to renew it")
    if datetime.now(UTC) < found.begins:
        wrong.append(f"is valid only from {found.begins:%Y-%m-%d %H:%M} UTC")
        advice.append("check this machine's clock")
    if not found.is_for(host):
        shown = ", ".join(found.names[:_SHOWN_NAMES]) or "no host at all"
        more = len(found.names) - _SHOWN_NAMES
        wrong.append(f"is for {shown}{f' and {more} more' if more > 0 else ''}, not for {host}")
        advice.append("write a host name that it is for in the url")
    if error.code in _UNKNOWN_ISSUER or not (wrong or _is_about_something_else(error)):
        here = f"the ca_bundle {connection.ca_bundle} does not hold" if connection.ca_bundle else "is not trusted here"
        who = "itself" if found.self_signed else f'"{found.issuer}"'
        wrong.append(f"is signed by {who}, which {here}")
        advice.append(
            "name a ca_bundle that holds it" if connection.ca_bundle else "install that CA or name it with ca_bundle"
        )
    if not wrong:
        wrong.append(f"is not accepted here ({error.words})")
        advice.append("its administrator has to replace it, or a CA above it")
    return CertificateRefused(
        f"the certificate of {connection.url} {' and '.join(wrong)}", ", and ".join(advice), error.code, error.words
    )
