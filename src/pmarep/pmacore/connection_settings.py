"""How a PMA.core is reached: the settings of a connection, and the HTTP clients made from them."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from ..errors import ConfigError
from ..system.proxies import is_exempt, split_proxy
from .pooled_transport import PooledTransport
from .socket_options import HttpClient

CONNECT_TIMEOUT = 15.0
TIMEOUT = 60.0
DIRECT = "none"
"""The proxy of a site that is reached without one, whatever the environment says."""

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=20.0)

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Connection:
    """A server, the user who talks to it, and how it is reached. Sites with equal connections share one session.

    `url` is the base URL with one trailing slash and perhaps a path (`https://host/core/`). `ca_bundle` is a PEM file
    that is trusted instead of the system's store. `client_cert` is a PEM file with certificate and key, or one of each;
    only PMA.core gets to see it. `proxy` is a URL, `none`, or None for what the environment says. `connect_timeout` and
    `timeout` (of silence within a request) are in seconds. `congestion` is the name of what TCP is to do about losses,
    or `auto`: bbr where the round trip is long and the machine allows it; None leaves that to the machine.
    """

    url: str
    username: str
    ca_bundle: Path | None = None
    client_cert: tuple[Path, ...] | None = None
    proxy: str | None = None
    verify_tls: bool = True
    connect_timeout: float = CONNECT_TIMEOUT
    timeout: float = TIMEOUT
    congestion: str | None = None

    def check(self) -> None:
        """Check the settings without a request: files that are no PEM, a proxy that is none.

        Raises ConfigError.
        """
        if self.ca_bundle or self.client_cert:
            self.ssl_context()
        if self.proxy is None:
            _check_environment()

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS context for PMA.core: what is trusted, and the client certificate. Raises ConfigError."""
        context = self._trust()
        if self.client_cert:
            # TLS 1.3: Apache's SSLVerifyClient in a location, and IIS, ask only when they have read the request.
            context.post_handshake_auth = True
            # Without a password given, OpenSSL would ask for one at the terminal.
            try:
                context.load_cert_chain(*map(str, self.client_cert), password=lambda: "-")  # type: ignore[misc]
            except (OSError, ssl.SSLError, ValueError) as error:
                files = ", ".join(map(str, self.client_cert))
                raise ConfigError(
                    f"cannot read the client_cert {files} ({_reason(error)}); it has to be PEM: certificate and key in "
                    "one file, or [certificate, key], the key without a password"
                ) from None
        return context

    def _trust(self) -> ssl.SSLContext:
        """Return a context that trusts the system's trust store, since hospitals run their own CAs, or the bundle."""
        if not self.verify_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if self.ca_bundle is None:
            return _systems_trust()
        # By the system's own rules: create_default_context adds VERIFY_X509_STRICT since Python 3.13, which refuses old
        # CAs of hospitals that are trusted where they are installed. One that is named is trusted, be it no root.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cafile=str(self.ca_bundle))
            return context
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"cannot read the ca_bundle {self.ca_bundle} ({_reason(error)}); it has to be a PEM file"
            ) from None

    def storage_http(self, on_round_trip: Callable[[float], None] = lambda _seconds: None) -> httpx.AsyncClient:
        """Return a client for the hosts of presigned URLs: nothing of the server's session goes there, and no cookie.

        They may be clouds as well as machines of the hospital, so a `ca_bundle` is trusted besides the usual CAs.
        """
        context = self._trust()
        if self.ca_bundle is not None and self.verify_tls:
            context = _with_the_systems(self.ca_bundle, context.verify_flags)
        client = self._client(context, {}, on_round_trip)
        client.cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        return client

    def http(self, context: ssl.SSLContext | None = None) -> httpx.AsyncClient:
        """Return a client that follows no redirects and waits without a total limit, since slides are long."""
        if context is None and self.url.startswith("https:"):
            context = self.ssl_context()
        return self._client(context, {"Accept": "application/json"})

    def _client(
        self,
        context: ssl.SSLContext | None,
        headers: dict[str, str],
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
    ) -> httpx.AsyncClient:
        if self.proxy is None:
            _check_environment()
        return HttpClient(
            congestion=self.congestion,
            on_round_trip=on_round_trip,
            transport=PooledTransport(context, _LIMITS, lambda url: self._proxy_to(str(url))),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "pmarep", "Accept-Encoding": "identity", **headers},
            timeout=httpx.Timeout(self.timeout, connect=self.connect_timeout, pool=None),
        )

    def proxy_to(self, url: str) -> str | None:
        """Return the proxy on the way to `url`, without a password, for error messages; None if there is none."""
        if (found := self._proxy_to(url)) is None:
            return None
        proxy = urlsplit(found)
        return f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}"

    def _proxy_to(self, url: str) -> str | None:
        if self.proxy is not None:
            return None if self.proxy == DIRECT else self.proxy
        parts, proxies = urlsplit(url), getproxies()
        found = proxies.get(parts.scheme) or proxies.get("all")
        if not found or self._is_exempt(parts, proxies.get("no")):
            return None
        return found if "://" in found else f"http://{found}"

    def _is_exempt(self, parts: SplitResult, no_proxy: str | None) -> bool:
        """Return whether NO_PROXY, or the system's settings for PMA.core's own host, except a URL from the proxy."""
        if no_proxy is not None:
            return is_exempt(no_proxy, parts.hostname or "", parts.port or _PORTS.get(parts.scheme))
        own = parts.hostname == urlsplit(self.url).hostname
        return own and bool(proxy_bypass(parts.netloc.rpartition("@")[2]))


def _systems_trust() -> ssl.SSLContext:
    if sys.platform not in ("win32", "darwin") and ssl.get_default_verify_paths().cafile:
        # As truststore does it, but once: it reads this whole file with each connection (20 ms).
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_default_verify_paths()
        return context
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _with_the_systems(ca_bundle: Path, flags: ssl.VerifyFlags) -> ssl.SSLContext:
    """Return a context that trusts the bundle and the system's store.

    Not by `load_default_certs`: Windows fetches most of its roots when it is asked about one.
    """
    context = _systems_trust()
    context.verify_flags = flags
    context.load_verify_locations(cafile=ca_bundle)
    return context


def _check_environment() -> None:
    """Raise ConfigError for a proxy of the environment that httpx would fail at, with its value in a traceback."""
    proxies = getproxies()
    if is_exempt(proxies.get("no", ""), ""):
        return  # that is `*`
    for kind in ("http", "https", "all"):  # storage may be spoken to in another way than PMA.core
        found = proxies.get(kind)
        if found and not _usable(found if "://" in found else f"http://{found}"):
            names = sorted((name for name in os.environ if name.lower() == f"{kind}_proxy"), key=str.isupper)
            where = f"the variable {names[0]}" if names else f"this system's settings for {kind}"
            raise ConfigError(
                f"the proxy in {where} cannot be used; write it as http://host:port or https://host:port, a user name "
                "and password percent-encoded before the host (http://user:p%40ss@host:port)"
            )


def _usable(proxy: str) -> bool:
    try:
        return split_proxy(proxy, "http", "https") is not None and bool(httpx.Proxy(proxy))
    except (httpx.InvalidURL, ValueError):
        return False


def _reason(error: Exception) -> str:
    """Return why a PEM file cannot be read: OpenSSL's texts hold its own source lines, or there is no text at all."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").replace("_", " ").lower()
    return getattr(error, "strerror", None) or "no PEM"
