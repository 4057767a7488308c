"""httpx's transport over httpcore's pools: chooses the proxy, repeats a request whose used connection was closed."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any, Self, cast

import anyio
import httpcore
import httpx

from .connection_pool import ConnectionPool
from .early_response import EarlyResponseBackend

log = logging.getLogger(__name__)

REPEATED_BODY = "pmarep.repeated_body"
"""Extension of a request whose body is no bytes: makes that body, the first time and for each repetition."""

NEW_CONNECTION = "pmarep.new_connection"
"""Extension of a request that goes over a new connection of its own: it is repeated by nobody who cannot know whether
the server has handled it."""

STALE_SECONDS = 5.0
"""A connection of before that breaks within this time was closed already, or just then: later it is a failure."""

Route = Callable[[httpx.URL], str | None]
"""The URL of the proxy, with its password, on the way to another; None where there is none."""


class PooledTransport(httpx.AsyncBaseTransport):
    """Sends each request over pooled connections, by the proxy that `route` finds.

    Repeats a request whose used connection was closed. Limit: once, at once; lost: what that request had sent.

    A proxy or a server may close a connection that is not used, at the very moment when we use it again; a request that
    meets that goes again at once, over a new connection, as RFC 9112 (9.3.1) has it. What is sent twice so may arrive
    twice, as it may with every other repetition.
    """

    def __init__(self, context: ssl.SSLContext | None, limits: httpx.Limits, route: Route) -> None:
        self._context = context
        self._kept = limits.max_keepalive_connections or 0
        self._expiry = limits.keepalive_expiry
        self._route = route
        self._proxies: dict[tuple[str, str, int | None], str | None] = {}
        self._pools: dict[tuple[str | None, bool], ConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy, trace = self._proxy(request.url), _ConnectionTrace(request.extensions.get("trace"))
        keep = NEW_CONNECTION not in request.extensions
        while True:
            pool = self._pool(proxy, keep=keep)
            async with aclosing(_body(request)) as body:  # httpcore leaves it where it is, when sending is broken off
                try:
                    asked = _for_httpcore(request, body, trace)
                    with _httpx_errors():
                        async with pool.connection(asked.url.origin) as connection:
                            answer = await connection.handle_async_request(asked)
                    content = _Content(answer, partial(pool.give_back, connection, asked.url.origin))
                    return httpx.Response(
                        answer.status, headers=answer.headers, stream=content, extensions=answer.extensions
                    )
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    if not keep or not trace.hit_a_closed_connection or not _is_repeatable(request):
                        raise
            log.debug("a connection was closed: once more over a new one")
            keep = False

    def _proxy(self, url: httpx.URL) -> str | None:
        key = url.scheme, url.host, url.port
        if key not in self._proxies:
            self._proxies[key] = self._route(url)
        return self._proxies[key]

    def _pool(self, proxy: str | None, *, keep: bool) -> ConnectionPool:
        """Return the pool of connections over a proxy; `keep`: one that keeps them for the requests to come."""
        if (proxy, keep) not in self._pools:
            self._pools[proxy, keep] = self._new_pool(proxy, self._kept if keep else 0)
        return self._pools[proxy, keep]

    def _new_pool(self, proxy: str | None, kept: int) -> ConnectionPool:
        options: dict[str, Any] = {
            "ssl_context": self._context,
            "keepalive_expiry": self._expiry,
            "network_backend": EarlyResponseBackend(),
        }
        if proxy is None:
            return ConnectionPool(httpcore.AsyncConnectionPool(**options), kept)
        via = httpx.Proxy(proxy)
        through = httpcore.AsyncHTTPProxy(proxy_url=_url(via.url), proxy_auth=via.raw_auth, **options)
        return ConnectionPool(through, kept)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


class _ConnectionTrace:
    """Listens to httpcore's trace of a request: did it open a connection, or get a used one?"""

    def __init__(self, told: Any) -> None:
        self._told = told
        self._began = time.monotonic()
        self._connected = False

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("connect_tcp.started"):
            self._connected = True
        if self._told is not None:
            await self._told(name, info)

    @property
    def hit_a_closed_connection(self) -> bool:
        return not self._connected and time.monotonic() - self._began < STALE_SECONDS


class _Content(httpx.AsyncByteStream):
    """The body of an answer, with httpx's errors. It can be iterated once; `done` is called when it is closed."""

    def __init__(self, answer: httpcore.Response, done: Callable[[], Awaitable[None]]) -> None:
        self._stream = cast(AsyncIterable[bytes], answer.stream)  # never the other kind in an asynchronous connection
        self._parts = aiter(self._stream)
        self._done: Callable[[], Awaitable[None]] | None = done

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        with _httpx_errors():
            return await anext(self._parts)

    async def aclose(self) -> None:
        """End the iteration, then the stream: who has read only the beginning leaves both open."""
        done, self._done = self._done, None
        if done is None:
            return
        with anyio.CancelScope(shield=True):
            for one in (self._parts, self._stream):
                close = getattr(one, "aclose", None)
                if close is not None:
                    await close()
            await done()


def _body(request: httpx.Request) -> AsyncGenerator[bytes, None]:
    """Return a new iteration of the body, for whoever sends it to close."""
    make: Callable[[], AsyncGenerator[bytes, None]] | None = request.extensions.get(REPEATED_BODY)
    if make is not None:
        return make()
    stream = aiter(cast(httpx.AsyncByteStream, request.stream))
    return cast(AsyncGenerator[bytes, None], stream)  # httpx's own streams are iterated by generators


def _for_httpcore(
    request: httpx.Request, body: AsyncGenerator[bytes, None], trace: _ConnectionTrace
) -> httpcore.Request:
    return httpcore.Request(
        method=request.method,
        url=_url(request.url),
        headers=request.headers.raw,
        content=body,
        extensions={**request.extensions, "trace": trace},
    )


def _is_repeatable(request: httpx.Request) -> bool:
    """Return whether the body can be had once more."""
    return REPEATED_BODY in request.extensions or isinstance(request.stream, httpx.ByteStream)


def _url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise httpcore's errors as httpx's of the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
