"""Diagnoses why the first request to a server failed, so that the error names the cause.

Nothing is sent here that is worth stealing: no session, no password.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from ..errors import PmarepError
from .certificate import certificate, explained
from .connection_settings import Connection
from .errors import (
    CertificateRefused,
    Intercepted,
    NotFound,
    PermissionDenied,
    PmaCoreError,
    ProtocolError,
    ProxyRefused,
    Redirected,
    Refused,
    TlsError,
    TransferBroken,
    Unreachable,
)
from .http import Request, ask

VERSION = Request("GET", "api/json/GetVersionInfo")
# Where PMA.core is found when the path of its url is wrong; the first that answers is named.
_USUAL_PATHS = ("core/", "pma.core/", "pmacore/")
SECONDS = 15.0
PROBE_SECONDS = 5.0  # for each further request: a server may say nothing at all to what is not its protocol


async def diagnose(connection: Connection, error: PmaCoreError) -> PmaCoreError:
    """Return the same error or one that says more. `error` ended the request for the version. Raises nothing."""
    probe = replace(
        connection,
        connect_timeout=min(connection.connect_timeout, PROBE_SECONDS),
        timeout=min(connection.timeout, PROBE_SECONDS),
    )
    try:
        async with asyncio.timeout(SECONDS):
            return await _look(probe, error) or error
    except (PmarepError, TimeoutError):
        return error


async def _look(connection: Connection, error: PmaCoreError) -> PmaCoreError | None:
    match error:
        case CertificateRefused():
            found = await certificate(connection)
            return explained(error, found, connection) if found else None
        case Redirected():
            return await _follow(connection, error)
        case ProxyRefused() | Unreachable():
            return None
        case TlsError():
            return await _without_tls(connection)
    secure = connection.url.startswith("https:")
    # IIS and nginx answer plain http on a port for TLS with status 400, others hang up.
    if not secure and type(error) in (TransferBroken, Refused) and (wants_tls := await _with_tls(connection)):
        return wants_tls
    if secure and isinstance(error, TransferBroken):
        return _rejected_without_answer(connection, error)
    if isinstance(error, NotFound | ProtocolError | PermissionDenied) and (there := await _other_path(connection)):
        return there
    if isinstance(error, PermissionDenied) or (isinstance(error, Intercepted) and error.may_be_refusal):
        # Everybody may ask for the version, so it is not PMA.core that says no.
        return PermissionDenied(
            f"{connection.url} lets nobody in to ask for the version ({error})",
            "something before PMA.core wants a log-in or a client certificate: a gateway, a proxy or IIS itself",
        )
    return None


def _rejected_without_answer(connection: Connection, error: TransferBroken) -> TransferBroken:
    """Return the error of a server that ends a TLS connection without a word: some turn clients away like that."""
    mine = "does not accept our client_cert" if connection.client_cert else "wants a client certificate (client_cert)"
    return TransferBroken(f"{error}, before any answer", f"perhaps it {mine}, or a firewall is in between")


async def _with_tls(connection: Connection) -> PmaCoreError | None:
    """Return the error of a server that was asked in plain http and speaks TLS at this port; None if it does not."""
    secure = connection.url.replace("http:", "https:", 1)
    if urlsplit(connection.url).port is None or await certificate(replace(connection, url=secure)) is None:
        return None
    return _at(secure, TlsError(f"{connection.url} wants TLS", f"write {secure} as url"))


async def _without_tls(connection: Connection) -> PmaCoreError | None:
    plain = connection.url.replace("https:", "http:", 1)
    if urlsplit(connection.url).port is None or not await _answers(connection, plain):
        return None
    return TlsError(
        f"{connection.url} speaks no TLS, only plain http",
        f"{plain} works, but shows the password to everybody on the way; name the port that speaks TLS",
    )


async def _follow(connection: Connection, error: Redirected) -> PmaCoreError | None:
    asked = connection.url + VERSION.path
    to = urlsplit(urljoin(asked, error.location))
    path = to.path
    if not path.lower().endswith(VERSION.path.lower()) or to.scheme not in ("http", "https"):
        return None
    base = f"{to.scheme}://{to.netloc.rpartition('@')[2]}{path[: -len(VERSION.path)]}"
    if to.hostname != urlsplit(connection.url).hostname or not await _answers(connection, base):
        return Redirected(f"{connection.url} redirects to {base}", "use that as url", error.location)
    words = f"{connection.url} redirects to {base}, where PMA.core answers"
    error = Redirected(words, "use that as url", "")
    return error if base.startswith("http:") and connection.url.startswith("https:") else _at(base, error)


async def _other_path(connection: Connection) -> PmaCoreError | None:
    urls = likely_urls(connection.url)
    found = await asyncio.gather(*(_answers(connection, url) for url in urls))
    for url, answers in zip(urls, found, strict=True):
        if answers:
            words = f"there is no PMA.core at {connection.url}, but there is one at {url}"
            return _at(url, NotFound(words, "use that as url"))
    return None


def _at(url: str, error: PmaCoreError) -> PmaCoreError:
    error.better_url = url
    return error


def likely_urls(url: str) -> list[str]:
    """Return other urls on the same host that may be meant: a path may be doubled, missing, or too long."""
    parts = urlsplit(url)
    names = [name for name in parts.path.split("/") if name]
    once = [name for at, name in enumerate(names) if at == 0 or names[at - 1].lower() != name.lower()]
    ups = [names[:count] for count in range(len(names) - 1, -1, -1)]
    paths = ["/".join(path) + "/" if path else "" for path in (once, *ups)]
    below = ["/".join(names) + "/" + usual if names else usual for usual in _USUAL_PATHS]
    found = dict.fromkeys(f"{parts.scheme}://{parts.netloc}/{path}" for path in (*paths, *below, *_USUAL_PATHS))
    found.pop(url, None)
    return list(found)


async def _answers(connection: Connection, url: str) -> bool:
    """Return whether there is a PMA.core at another url."""
    other = replace(connection, url=url)
    try:
        async with other.http() as http:
            return isinstance(await ask(http, other, VERSION), str)
    except PmaCoreError:
        return False
