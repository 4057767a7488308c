"""Translates failures of connections (DNS, closed ports, silence, TLS, proxies) to our errors, without httpx's URLs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

from .errors import (
    CertificateRefused,
    PmaCoreError,
    ProtocolError,
    ProxyRefused,
    ServerError,
    TlsError,
    TransferBroken,
    Unreachable,
)
from .redact import one_line

# TLS alerts by which a server says that it is not content with the client's certificate. It has no clearer words: a
# handshake failure can also be about ciphers, but those are hardly ever why.
_WANTS_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE")
_DISLIKES_CERTIFICATE = ("ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN")


TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError)
"""Exceptions that a request can end with. httpx lets TLS alerts and damaged records through as they are."""


def error_from_transport(
    error: httpx.HTTPError | httpx.InvalidURL | ssl.SSLError,
    server: str,
    proxy: str | None = None,
    client_cert: bool = False,
) -> PmaCoreError:
    """Build our error for one of TRANSPORT_ERRORS. `server` is the base URL, `proxy` what lies on the way there."""
    causes = list(_chain(error))
    if isinstance(error, httpx.ProxyError):
        return proxy_refused(str(error), server, proxy)
    connecting = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    if tls := _from_tls(causes, server, client_cert, connecting):
        return tls
    if connecting:
        return _from_connecting(error, causes, server, proxy)
    way = f" by way of the proxy {proxy}" if proxy else ""
    if isinstance(error, httpx.TimeoutException):
        return TransferBroken(f"{server} went silent in the middle of a request{way}")
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | ssl.SSLError):
        return TransferBroken(f"the connection to {server}{way} broke ({_words(causes, 'connection closed')})")
    return ProtocolError(f"the request to {server} could not be made ({type(error).__name__})")


def proxy_refused(answer: str, server: str, proxy: str | None) -> PmaCoreError:
    """Build our error for a proxy that answers itself: `407 Proxy Authentication Required`."""
    who, words = f"the proxy {proxy}" if proxy else "the proxy", one_line(answer, limit=100)
    if answer.startswith("407"):
        return ProxyRefused(
            f"{who} on the way to {server} wants a user name and password ({words})",
            "leave proxy out of the site book and set HTTPS_PROXY=http://user:password@host:port for this program",
        )
    if answer.startswith("5"):
        return ServerError(f"{who} cannot reach {server} ({words})", "check the url, or ask who runs the proxy")
    return ProxyRefused(
        f"{who} on the way to {server} refused ({words})",
        f"whoever runs it has to allow {httpx.URL(server).host}; or go another way with the site's key proxy",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _chain(inner)
        error = error.__cause__ or error.__context__


def _words(causes: list[BaseException], otherwise: str) -> str:
    return next((e.strerror for e in causes if isinstance(e, OSError) and e.strerror), otherwise)


def _from_tls(causes: list[BaseException], server: str, client_cert: bool, connecting: bool) -> PmaCoreError | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = getattr(cause, "verify_message", "") or cause.reason or "verification failed"
            return CertificateRefused(
                f"the certificate of {server} is not trusted ({words})",
                "install its CA on this machine or name it with ca_bundle",
                getattr(cause, "verify_code", None),
                one_line(words, limit=150),
            )
    for cause in causes:
        if not isinstance(cause, ssl.SSLError) or cause.reason is None:
            continue
        if any(alert in cause.reason for alert in (*_WANTS_CERTIFICATE, *_DISLIKES_CERTIFICATE)):
            return _about_client_certificate(cause.reason, server, client_cert)
        if connecting and isinstance(cause, ssl.SSLEOFError):
            return Unreachable(
                f"{server} hung up in the middle of the TLS handshake", "check http or https in its url, and firewalls"
            )
        if connecting:  # later on, a damaged record is worth another try
            return TlsError(f"no TLS connection to {server} ({cause.reason})", "check http or https in its url")
    return None


def _about_client_certificate(reason: str, server: str, client_cert: bool) -> TlsError:
    if client_cert:
        return TlsError(
            f"{server} does not accept our client certificate ({reason})", "check the files that client_cert names"
        )
    return TlsError(
        f"{server} wants a client certificate, or a kind of TLS that is not spoken here ({reason})",
        "name your certificate with client_cert",
    )


def _from_connecting(error: Exception, causes: list[BaseException], server: str, proxy: str | None) -> PmaCoreError:
    # With a proxy on the way, it is the only machine that we connect to.
    there = f"the proxy {proxy} on the way to {server}" if proxy else server
    check = "the proxy settings" if proxy else "the url"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        host = httpx.URL(proxy or server).host
        of_proxy = f" (the proxy on the way to {server})" if proxy else ""
        return Unreachable(f"the host name {host} is not known here{of_proxy}", f"check {check} and this machine's DNS")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        is_it = "proxy" if proxy else "server"
        return Unreachable(f"{there} refused the connection", f"is the {is_it} running, and the port right?")
    if isinstance(error, httpx.ConnectTimeout):
        return Unreachable(
            f"{there} did not answer in time{_within(error)}", f"check {check}, the network and firewalls"
        )
    return Unreachable(f"cannot reach {there} ({_words(causes, 'no connection')})", f"check {check} and the network")


def _within(error: httpx.ConnectTimeout) -> str:
    """Return ` (15 s)`, the limit that was exceeded; "" where the error does not know its request."""
    try:
        seconds = error.request.extensions["timeout"]["connect"]
    except (RuntimeError, KeyError):
        return ""
    return f" ({seconds:g} s)"
