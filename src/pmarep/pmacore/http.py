"""One request to a PMA.core and its answer, or one of our errors: status codes, refusals, broken connections."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from math import inf
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from .bounded_json import MAX_RESPONSE_BYTES, parse_answer
from .connection_settings import Connection
from .decompression import Decompressor
from .errors import (
    Intercepted,
    NotFound,
    PermissionDenied,
    PmaCoreError,
    ProtocolError,
    Redirected,
    Refused,
    ServerError,
    StorageFull,
    TooLarge,
)
from .pooled_transport import NEW_CONNECTION, REPEATED_BODY
from .redact import one_line
from .response_deadline import ResponseDeadline
from .socket_options import connection_tracer
from .transport_errors import TRANSPORT_ERRORS, error_from_transport, proxy_refused

_PIECE = 1024 * 1024

SLOWEST_STORAGE = 8 * 1024 * 1024
"""Bytes per second at which a server stores at least: a 4 GiB file may take nine minutes after its last byte came."""

SLOW_BYTES = 4 * 1024**3
"""Bytes that a server is assumed to move when it puts a file's parts together."""

LONGEST_WAIT = 900.0
"""Seconds that a `Retry-After` may ask for at most."""

_FULL = re.compile(
    r"not enough (free )?(disk |storage )?space|no space left|disk (is |was )?full|(storage|bucket|container) is full"
    r"|insufficient (disk|storage|free)|quota[^.]{0,60}(exceed|reached|full|over)|(exceed|over|above)[^.]{0,60}quota"
    r"|QuotaExceeded|InsufficientStorage|StorageFull|0x80070070",
    re.IGNORECASE,
)

FIREWALL_STATUSES = (403, 406)
"""Status codes of the pages with which firewalls and ModSecurity now and then answer harmless requests: PMA.core
refuses in JSON. IIS itself has pages for 400, 401, 404, 405 and 413, whose causes last."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body that can be made again, since a request may have to be repeated. `length` in bytes."""

    content: Callable[[], AsyncGenerator[bytes, None]]
    length: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a PMA.core. `query` values are percent-encoded whole, "/" included."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: Body | None = None
    any_answer: bool = False  # any 2xx will do, as for the clients; otherwise the answer has to be JSON
    slow: bool = False  # the server may work on it for minutes before it answers
    new_connection: bool = False  # not over one that somebody may just be closing, after which it would go again

    def url(self, base: str) -> str:
        query = urlencode(self.query, quote_via=quote, safe="")
        return f"{base}{self.path}?{query}" if query else base + self.path


async def ask(
    client: httpx.AsyncClient,
    connection: Connection,
    request: Request,
    secrets: Iterable[str] = (),
    dated: Callable[[datetime], None] = lambda _: None,
    longest: float = inf,
) -> Any:
    """Send a request; return the answer, without the `{"d": ...}` wrapping of old versions. Raises PmaCoreError.

    `secrets` appear in no message. `dated` is told the server's time. `longest`: seconds that the answer to a request
    without a body may take, which is less than silence may last where somebody has little patience.
    """
    base, body = connection.url, request.body
    length = body.length if body is not None else SLOW_BYTES if request.slow else 0
    longest = longest if body is None else inf
    limit = ResponseDeadline(base, client.timeout, length / SLOWEST_STORAGE, sending=body is not None, longest=longest)
    options: dict[str, Any] = {"extensions": {"trace": limit.traced(connection_tracer(client))}}
    if request.new_connection:
        options["extensions"][NEW_CONNECTION] = True
    if request.json is not None:
        options["json"] = request.json
    if body is not None:
        options["content"] = body.content()
        options["extensions"][REPEATED_BODY] = body.content
        options["headers"] = {"Content-Length": str(body.length), "Content-Type": body.content_type}
    if length:
        options["timeout"] = patient(client.timeout, length)
    try:
        async with limit, client.stream(request.method, request.url(base), **options) as response:
            content = await read_answer(response, base, MAX_RESPONSE_BYTES, limit.came)
    except TRANSPORT_ERRORS as error:
        certified = connection.client_cert is not None
        raise error_from_transport(error, base, connection.proxy_to(base), certified) from None
    if (date := moment(response.headers.get("date", ""))) is not None:
        dated(date)
    if response.status_code == 407:  # over plain http, a proxy answers as if it were the server
        raise proxy_refused("407", base, connection.proxy_to(base))
    return _understand(response, content, _RequestInfo(base, request, tuple(secrets)))


def patient(usual: httpx.Timeout, length: int) -> httpx.Timeout:
    """Return time-outs that let a server store `length` bytes before it answers; other silence counts as usual."""
    read = None if usual.read is None else usual.read + length / SLOWEST_STORAGE
    return httpx.Timeout(connect=usual.connect, read=read, write=usual.write, pool=None)


async def read_answer(response: httpx.Response, who: str, limit: int, came: Callable[[int], None]) -> bytes:
    """Read an answer of `limit` bytes at most; `came` is told how many have come.

    Raises ProtocolError, TransferBroken, and what httpx raises.
    """
    content, unpacker = bytearray(), Decompressor(response, who)
    async for chunk in unpacker.chunks():
        came(len(chunk))
        for piece in unpacker.pieces(chunk, _PIECE):
            content += piece
            if len(content) > limit:
                raise ProtocolError(f"{who} gave an endless answer")
    if content:
        unpacker.end()
    return bytes(content)


def refused(
    response: httpx.Response, content: bytes, connection: Connection, request: Request, secrets: Iterable[str]
) -> PmaCoreError:
    """Build the error for an answer that is no success; `content` is what has been read of it."""
    try:
        _understand(response, content, _RequestInfo(connection.url, request, tuple(secrets)))
    except PmaCoreError as error:
        return error
    return ProtocolError(f"{connection.url} answers {request.path} with HTTP status {response.status_code}")


@dataclass(frozen=True, slots=True)
class _RequestInfo:
    base: str
    request: Request
    secrets: tuple[str, ...]

    def redacted(self, words: str) -> str:
        return one_line(words, self.secrets)

    @property
    def method(self) -> str:
        """`GetFiles` of `api/json/GetFiles`."""
        return self.request.path.removeprefix("api/json/")


def _understand(response: httpx.Response, content: bytes, info: _RequestInfo) -> Any:
    status = response.status_code
    if response.is_redirect:
        location = response.headers.get("location", "")
        to = one_line(location, info.secrets)
        raise Redirected(f"{info.base} redirects to {to}", "use the address it redirects to as url", location)
    try:
        answer = parse_answer(content, info.base) if content.strip() else None
    except (ValueError, RecursionError):
        answer = content
    refusal = _refusal(answer)
    if status >= 400 or refusal is not None:
        if says_full(status, content[:20_000].decode("utf-8", "replace")):
            raise StorageFull(
                f"{info.base} has no room left: {info.redacted(refusal or f'HTTP status {status}')}",
                "free some, or ask its administrator for a larger quota; the next run sends the rest",
            )
        raise _error(response, refusal, content, info)
    if isinstance(answer, bytes):
        page = _titled(answer, info)
        # Where any answer will do, a web page will not: a sign-in page says 200 to what the server has never seen.
        if page or not info.request.any_answer:
            raise (Intercepted if page else ProtocolError)(
                f"{info.base} answers {info.method} with something that is no JSON{page}",
                "is this the address of a PMA.core? It may need a path such as /core/",
            )
    return answer


def _titled(page: bytes, info: _RequestInfo) -> str:
    """Return `: a web page ("Welcome to nginx!")`, which tells people who has answered; "" if it is no web page."""
    text = page[:20_000].decode("utf-8", "replace")
    if not re.search(r"<html|<!doctype html", text, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^<>]*>([^<]{1,500})", text, re.IGNORECASE)
    return f': a web page ("{one_line(unescape(title[1]), info.secrets, 100)}")' if title else ": a web page"


def _refusal(answer: Any) -> str | None:
    """Return the words of `{"Code", "Message"}` or ASP.NET's `{"Message", "ExceptionMessage"}`, or None."""
    if not isinstance(answer, dict):
        return None
    keys = {key.lower(): value for key, value in answer.items()}
    if "message" in keys and (keys.keys() <= {"code", "message", "exceptionmessage", "exceptiontype", "stacktrace"}):
        words = [keys.get("message"), keys.get("exceptionmessage")]
        return " ".join(dict.fromkeys(str(word) for word in words if word)) or "no reason given"
    return None


def _retry_is_useful(status: int) -> bool:
    return status in (408, 429) or (status >= 500 and status not in (501, 505, 507))


def says_full(status: int, answer: str) -> bool:
    """Return whether a refusal says that the storage is full.

    By HTTP's 507, words about quotas, and the texts of Windows and .NET (0x80070070: ERROR_DISK_FULL).
    """
    return status == 507 or (status not in (401, 404) and _FULL.search(answer) is not None)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that `Retry-After` asks for: RFC 9110 has a number or a date."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), LONGEST_WAIT)
    until = moment(text)
    return None if until is None else min(max((until - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)


def moment(text: str) -> datetime | None:
    """Parse the date in a header; None if it is none."""
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _error(response: httpx.Response, refusal: str | None, content: bytes, info: _RequestInfo) -> PmaCoreError:
    status = response.status_code
    words = info.redacted(refusal) if refusal else f"HTTP status {status}{_titled(content, info)}"
    if status in FIREWALL_STATUSES and refusal is None and _titled(content, info):
        return Intercepted(
            f"{info.base} answers {info.method} with {words}, which is not PMA.core's",
            "if that stays so, ask who runs the firewall or the proxy before it",
            status=status,
            may_be_refusal=True,
        )
    if status in (401, 403):
        return PermissionDenied(f"{info.method} is not permitted: {words}", "check the rights of this user")
    # IIS's own answer to what is over its maxAllowedContentLength; the sub-status stands in detailed pages only.
    if status == 413 or (status == 404 and b"404.13" in content[:20_000]):
        return TooLarge(
            f"the server takes no file of this size: {words}",
            "its administrator can raise IIS's maxAllowedContentLength (at most 4 GiB); larger slides need a "
            "root-directory on S3 or Azure",
        )
    if status == 404:
        if refusal is None:
            return NotFound(
                f"{info.base} knows no {info.method}: {words}",
                "is this the address of a PMA.core? It may need a path such as /core/",
            )
        return NotFound(f"{info.method}: {words}")
    if _retry_is_useful(status) and not (refusal and status == 500 and info.request.path.startswith("api/json/")):
        return ServerError(
            f"the server failed at {info.method}: {words}",
            retry_after=retry_after(response),
            may_be_refusal=status == 500,
            by_proxy=status in (502, 504),
        )
    return Refused(f"{info.method} was refused: {words}")
