"""Files as a PMA.core gives them back: `GET transfer/Download`, which cloud storage answers with a redirect."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from .connection_settings import Connection
from .decompression import Decompressor
from .errors import FileChanged, PmaCoreError, ProtocolError, ServerError, TransferBroken
from .gathered_reads import iter_gathered, pause_between_reads
from .http import Request, refused, retry_after
from .local_addresses import is_local_address, is_local_url, same_host
from .ranges import ByteRange, Validators
from .response_deadline import ResponseDeadline, iter_at_minimum_rate
from .socket_options import connection_tracer
from .transport_errors import TRANSPORT_ERRORS, error_from_transport

_CHUNK = 256 * 1024
_REDIRECTS = 5
_REFUSAL = 64 * 1024  # bytes of one that are read


class Download:
    """The bytes of a file, or of a part of it, as they come: `async for`, until there are as many as there have to be.

    `start`: of the file's bytes the one that comes first. It is 0 where the server sends the whole file, be it that a
    part was asked for. `is_part`: the server has understood which part was asked for. `validators`: the version of the
    file, as the answer has it.
    """

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], start: int, validators: Validators, *, is_part: bool = False
    ) -> None:
        self._chunks = chunks
        self.start = start
        self.is_part = is_part
        self.validators = validators

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)


@asynccontextmanager
async def download(
    core: httpx.AsyncClient,
    storage: Callable[[], httpx.AsyncClient],
    connection: Connection,
    request: Request,
    secrets: list[str],
    wanted: ByteRange,
) -> AsyncIterator[Download]:
    """Open a download of one file or a part of it; yield its bytes. Raises PmaCoreError.

    A refusal may come with status 200: what has another length than the file is not the file. Raises RangeRefused where
    not the part comes that was asked for, and not the whole file either.

    `storage` returns the client for the hosts that a redirect leads to: the session stands in the query of the first
    URL and goes nowhere else. Where PMA.core is spoken to over TLS, so is the storage.
    """
    url, client = request.url(connection.url), core
    for _ in range(_REDIRECTS):
        try:
            async with _asked(client, url, connection, wanted.headers) as response:
                if not response.is_redirect:
                    is_part = wanted.is_answered_by(response, _origin(url))
                    if not is_part and (not response.is_success or _is_something_else(response, wanted.size)):
                        async with ResponseDeadline(_origin(url), client.timeout):
                            raise await _refusal(response, request, connection, secrets, from_core=client is core)
                    length = wanted.length if is_part else wanted.size
                    async with aclosing(_chunks(response, connection, client, length)) as chunks:
                        start = wanted.start if is_part else 0
                        yield Download(chunks, start, Validators.of(response), is_part=is_part)
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
    return _is_text(response)


def _is_text(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "").lower()
    return kind.startswith(("text/html", "application/json"))


@asynccontextmanager
async def _asked(
    client: httpx.AsyncClient, url: str, connection: Connection, headers: Mapping[str, str]
) -> AsyncIterator[httpx.Response]:
    """Yield an answer whose head has come in time, and whose body is still to be read."""

    def meets(address: str) -> None:
        direct = connection.proxy_to(url) is None and not same_host(url, connection.url)
        if direct and is_local_address(address) and not is_local_url(connection.url):
            raise _leads_here(connection)

    trace = {"trace": connection_tracer(client, meets)}
    request = client.build_request("GET", url, headers=headers, extensions=trace)
    async with ResponseDeadline(_origin(url), client.timeout):
        response = await client.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


async def _chunks(
    response: httpx.Response, connection: Connection, client: httpx.AsyncClient, length: int | None
) -> AsyncGenerator[bytes, None]:
    """Yield an answer's body, unpacked. Raises TransferBroken, ProtocolError where it has not `length` bytes."""
    unpacker, count = Decompressor(response, connection.url), 0
    try:
        async with (
            aclosing(iter_gathered(response, _CHUNK, pause_between_reads(client))) as read,
            aclosing(iter_at_minimum_rate(read, response, connection.url, client.timeout.read)) as chunks,
        ):
            async for chunk in chunks:
                for piece in unpacker.pieces(chunk, _CHUNK):
                    count += len(piece)
                    if length is not None and count > length:
                        raise ProtocolError(f"{connection.url} gives back more than the {length} bytes of a file")
                    yield piece
        unpacker.end()
    except TRANSPORT_ERRORS as error:
        raise error_from_transport(error, connection.url) from None
    if length is not None and count < length:
        raise TransferBroken(f"{connection.url} gives back {count} of the {length} bytes of a file, and ends")


async def _refusal(
    response: httpx.Response, request: Request, connection: Connection, secrets: list[str], *, from_core: bool
) -> PmaCoreError:
    if response.is_success and not _is_text(response):
        length = response.headers.get("content-length", "")
        return FileChanged(f"{connection.url} gives a file back with {length[:20]} bytes, not with those that it lists")
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
