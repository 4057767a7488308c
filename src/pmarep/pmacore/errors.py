"""Everything that can go wrong between us and a PMA.core.

A class says what to do about it, not where it happened: `transient` errors are worth another try, `site_wide` ones
concern every slide of the site.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import ClassVar

import httpx

from ..errors import PmarepError
from .redact import redact


class PmaCoreError(PmarepError):
    """A server could not do what it was asked. The message says what happened; what to do."""

    transient: ClassVar[bool] = False
    site_wide: ClassVar[bool] = False

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}; {advice}" if advice else what)


class Unreachable(PmaCoreError):
    """No connection could be made."""

    transient = True
    site_wide = True


class TlsError(PmaCoreError):
    """The connection is not trusted, so nothing was said over it."""

    site_wide = True


class CredentialsRefused(PmaCoreError):
    """The server does not let this user in."""

    site_wide = True


class TransferBroken(PmaCoreError):
    """A connection ended, or went silent, in the middle of a request."""

    transient = True


class ServerError(PmaCoreError):
    """The server failed (5xx) or is overloaded (429)."""

    transient = True


class Refused(PmaCoreError):
    """The server understood and said no."""


class PermissionDenied(Refused):
    """The user may not do that there."""


class NotFound(Refused):
    """There is no such path, upload or method."""


class ProtocolError(PmaCoreError):
    """The answer is none that a PMA.core gives."""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _chain(inner)
        error = error.__cause__ or error.__context__


def from_transport(error: httpx.HTTPError | httpx.InvalidURL, server: str) -> PmaCoreError:
    """Our error for one of httpx. `server` is the base URL; nothing of httpx's own texts with URLs is kept."""
    causes = list(_chain(error))
    if isinstance(error, httpx.ProxyError):
        return Unreachable(
            f"the proxy on the way to {server} refused: {redact(str(error))}", "check the proxy settings"
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _from_connecting(error, causes, server)
    if isinstance(error, httpx.TimeoutException):
        return TransferBroken(f"{server} went silent in the middle of a request")
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        words = next((e.strerror for e in causes if isinstance(e, OSError) and e.strerror), "connection closed")
        return TransferBroken(f"the connection to {server} broke ({words})")
    return ProtocolError(f"the request to {server} could not be made ({type(error).__name__})")


def _from_connecting(error: Exception, causes: list[BaseException], server: str) -> PmaCoreError:
    host = httpx.URL(server).host
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = cause.verify_message or cause.reason or "verification failed"
            return TlsError(
                f"the certificate of {server} is not trusted ({words})",
                "install its CA on this machine or name it with ca_bundle",
            )
        if isinstance(cause, ssl.SSLError):
            return TlsError(
                f"no TLS connection to {server} ({cause.reason or cause})", "check http or https in its url"
            )
        if isinstance(cause, socket.gaierror):
            return Unreachable(f"the host name {host} is not known here", "check the url and this machine's DNS")
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return Unreachable(f"{server} refused the connection", "is the server running, and the port right?")
    if isinstance(error, httpx.ConnectTimeout):
        return Unreachable(f"{server} did not answer in time", "check the url, the network and firewalls")
    words = next((e.strerror for e in causes if isinstance(e, OSError) and e.strerror), "no connection")
    return Unreachable(f"cannot reach {server} ({words})", "check the url and the network")
