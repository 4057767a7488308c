"""Files as a PMA.core gives them back: `GET transfer/Download`, which cloud storage answers with a redirect."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from urllib.parse import urljoin, urlsplit

import httpx

from .connection_settings import Connection
from .decompression import Decompressor
from .errors import PmaCoreError, ProtocolError, ServerError
from .http import Request, refused, retry_after
from .local_addresses import is_local_address, is_local_url, same_host
from .response_deadline import ResponseDeadline, iter_at_minimum_rate
from .socket_options import connection_tracer
from .transport_errors import TRANSPORT_ERRORS, error_from_transport

_CHUNK = 1024 * 1024
_REDIRECTS = 5
_REFUSAL = 64 * 1024  # bytes of one that are read


@asynccontextmanager
async def download(
    core: httpx.AsyncClient,
    storage: Callable[[], httpx.AsyncClient],
    connection: Connection,
    request: Request,
    secrets: list[str],
    size: int | None = None,
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Open a download of one file, of `size` bytes if that is known; yield its chunks. Raises PmaCoreError.

    A refusal may come with status 200: what has another length than the file is not the file.

    `storage` returns the client for the hosts that a redirect leads to: the session stands in the query of the first
    URL and goes nowhere else. Where PMA.core is spoken to over TLS, so is the storage.
    """
    url, client = request.url(connection.url), core
    for _ in range(_REDIRECTS):
        try:
            async with _asked(client, url, connection) as response:
                if not response.is_redirect:
                    if not response.is_success or _is_something_else(response, size):
                        async with ResponseDeadline(_origin(url), client.timeout):
                            raise await _refusal(response, request, connection, secrets, from_core=client is core)
                    async with aclosing(_chunks(response, connection, client.timeout.read)) as chunks:
                        yield chunks
                    return
                url, client = _next(url, response.headers.get("location", ""), connection), storage()
        except TRANSPORT_ERRORS as error:
            raise error_from_transport(error, _origin(url), connection.proxy_to(_origin(url))) from None
    raise ProtocolError(f"{connection.url} redirects a download in circles")


def _is_something_else(response: httpx.Response, size: int | None) -> bool:
    headers = response.headers
    length = headers.get("content-length", "")
    packed = headers.get("content-encoding", "identity").lower() != "identity"
    if size is not None and length.isdecimal() and not packed:
        return int(length) != size
    kind: str = headers.get("content-type", "").lower()
    return kind.startswith(("text/html", "application/json"))


@asynccontextmanager
async def _asked(client: httpx.AsyncClient, url: str, connection: Connection) -> AsyncIterator[httpx.Response]:
    """Yield an answer whose head has come in time, and whose body is still to be read."""

    def meets(address: str) -> None:
        direct = connection.proxy_to(url) is None and not same_host(url, connection.url)
        if direct and is_local_address(address) and not is_local_url(connection.url):
            raise _leads_here(connection)

    request = client.build_request("GET", url, extensions={"trace": connection_tracer(client, meets)})
    async with ResponseDeadline(_origin(url), client.timeout):
        response = await client.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


async def _chunks(
    response: httpx.Response, connection: Connection, silence: float | None
) -> AsyncGenerator[bytes, None]:
    unpacker = Decompressor(response, connection.url)
    try:
        async with aclosing(iter_at_minimum_rate(response, connection.url, silence, _CHUNK)) as chunks:
            async for chunk in chunks:
                for piece in unpacker.pieces(chunk, _CHUNK):
                    yield piece
        unpacker.end()
    except TRANSPORT_ERRORS as error:
        raise error_from_transport(error, connection.url) from None


async def _refusal(
    response: httpx.Response, request: Request, connection: Connection, secrets: list[str], *, from_core: bool
) -> PmaCoreError:
    content, unpacker = b"", Decompressor(response, connection.url)
    async for chunk in unpacker.chunks():
        content += next(unpacker.pieces(chunk, _REFUSAL), b"")
        if len(content) > _REFUSAL:
            break
    if from_core:
        return refused(response, content, connection, request, secrets)
    status = response.status_code
    if status >= 500 or status == 429:
        words = f"the storage failed to give the file back (HTTP status {status})"
        return ServerError(words, retry_after=retry_after(response))
    return ProtocolError(f"the storage does not give the file back (HTTP status {status})")


def _next(url: str, location: str, connection: Connection) -> str:
    try:
        to = urljoin(url, location)
        scheme, _ = urlsplit(to).scheme, urlsplit(to).port  # which raises for one above 65,535
    except ValueError:
        raise ProtocolError(f"{connection.url} redirects a download to an address that is none") from None
    if scheme not in ("http", "https") or (scheme == "http" and connection.url.startswith("https:")):
        raise ProtocolError(f"{connection.url} redirects a download to {scheme or 'nowhere'}, which is not followed")
    if is_local_url(to) and not is_local_url(connection.url):
        raise _leads_here(connection)
    return to


def _leads_here(connection: Connection) -> ProtocolError:
    return ProtocolError(f"{connection.url} redirects a download to this machine itself, which is not followed")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
