"""How a PMA.core is reached."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx

from ..errors import ConfigError

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=20.0)


@dataclass(frozen=True, slots=True)
class Connection:
    """A server and the user who talks to it. Sites with equal connections share one session.

    `url` is the base URL with one trailing slash and perhaps a path (`https://host/core/`). `ca_bundle` is a PEM file
    that is trusted instead of the system's store.
    """

    url: str
    username: str
    ca_bundle: Path | None = None

    def ssl_context(self) -> ssl.SSLContext:
        """The system's trust store, since hospitals run their own CAs, or the bundle. Raises ConfigError."""
        if self.ca_bundle is None:
            import truststore

            return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            return ssl.create_default_context(cafile=str(self.ca_bundle))
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"cannot read the ca_bundle {self.ca_bundle} ({error}); it has to be a PEM file"
            ) from None

    def storage_http(self) -> httpx.AsyncClient:
        """A client for the hosts of presigned URLs: nothing of the server's session goes there.

        They may be clouds as well as machines of the hospital, so a `ca_bundle` is trusted besides the usual CAs.
        """
        context = self.ssl_context()
        if self.ca_bundle is not None:
            context.load_default_certs()
        return httpx.AsyncClient(
            verify=context,
            follow_redirects=False,
            headers={"User-Agent": "pmarep"},
            timeout=httpx.Timeout(60.0, connect=15.0, read=600.0, pool=None),
            limits=_LIMITS,
        )

    def http(self) -> httpx.AsyncClient:
        """A client that follows no redirects and waits without a total limit, since slides are long."""
        return httpx.AsyncClient(
            verify=self.ssl_context() if self.url.startswith("https:") else False,
            follow_redirects=False,
            headers={"User-Agent": "pmarep", "Accept": "application/json"},
            timeout=httpx.Timeout(60.0, connect=15.0, pool=None),
            limits=_LIMITS,
        )
