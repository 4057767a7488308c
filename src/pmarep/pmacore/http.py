"""One request to a PMA.core and its answer, or one of our errors: status codes, refusals, broken connections."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from .connection import UPLOAD_PATIENCE, Connection
from .errors import NotFound, PermissionDenied, PmaCoreError, ProtocolError, Redirected, Refused, ServerError
from .redact import one_line
from .transport import FAILURES, from_transport, proxy_refused

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that we are ready to hold: a listing of some 500,000 slides."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body that can be made again, since a request may have to be repeated. `length` in bytes."""

    content: Callable[[], AsyncIterator[bytes]]
    length: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask. `query` values are percent-encoded whole, "/" included."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: Body | None = None
    any_answer: bool = False  # any 2xx will do, as for the clients; otherwise the answer has to be JSON
    slow: bool = False  # the server may work on it for minutes before it answers

    def url(self, base: str) -> str:
        query = urlencode(self.query, quote_via=quote, safe="")
        return f"{base}{self.path}?{query}" if query else base + self.path


async def ask(client: httpx.AsyncClient, connection: Connection, request: Request, secrets: Iterable[str] = ()) -> Any:
    """The answer, out of its old `{"d": ...}` wrapping. Raises PmaCoreError; `secrets` appear in no message."""
    base = connection.url
    options: dict[str, Any] = {}
    if request.json is not None:
        options["json"] = request.json
    if request.body is not None:
        options["content"] = request.body.content()
        options["headers"] = {
            "Content-Length": str(request.body.length),
            "Content-Type": request.body.content_type,
        }
    if request.slow or request.body is not None:
        options["timeout"] = _patient(client.timeout)
    try:
        async with client.stream(request.method, request.url(base), **options) as response:
            content = await _read(response, base)
    except FAILURES as error:
        certified = connection.client_cert is not None
        raise from_transport(error, base, connection.proxy_to(base), certified) from None
    if response.status_code == 407:  # over plain http, a proxy answers as if it were the server
        raise proxy_refused("407", base, connection.proxy_to(base))
    return _understand(response, content, _Place(base, request, tuple(secrets)))


def _patient(usual: httpx.Timeout) -> httpx.Timeout:
    read = None if usual.read is None else usual.read * UPLOAD_PATIENCE
    return httpx.Timeout(connect=usual.connect, read=read, write=usual.write, pool=None)


async def _read(response: httpx.Response, base: str) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER:
            raise ProtocolError(f"{base} gave an endless answer")
    return bytes(content)


@dataclass(frozen=True, slots=True)
class _Place:
    base: str
    request: Request
    secrets: tuple[str, ...]

    def says(self, words: str) -> str:
        return one_line(words, self.secrets)

    @property
    def method(self) -> str:
        """`GetFiles` of `api/json/GetFiles`."""
        return self.request.path.removeprefix("api/json/")


def _understand(response: httpx.Response, content: bytes, place: _Place) -> Any:
    status = response.status_code
    if response.is_redirect:
        location = response.headers.get("location", "")
        to = one_line(location, place.secrets)
        raise Redirected(f"{place.base} redirects to {to}", "use the address it redirects to as url", location)
    try:
        answer = json.loads(content) if content.strip() else None
    except (ValueError, RecursionError):
        answer = content
    if isinstance(answer, dict) and set(answer) == {"d"}:
        answer = answer["d"]
    refusal = _refusal(answer)
    if status >= 400 or refusal is not None:
        title = _titled(content, place) if refusal is None else ""
        raise _error(status, refusal, title, place)
    if isinstance(answer, bytes) and not place.request.any_answer:
        raise ProtocolError(
            f"{place.base} answers {place.method} with something that is no JSON{_titled(answer, place)}",
            "is this the address of a PMA.core? It may need a path such as /core/",
        )
    return answer


def _titled(page: bytes, place: _Place) -> str:
    """`: a web page ("Welcome to nginx!")`, which tells most people who it is that answers."""
    text = page[:20_000].decode("utf-8", "replace")
    if not re.search(r"<html|<!doctype html", text, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^>]*>([^<]{1,500})", text, re.IGNORECASE)
    return f': a web page ("{one_line(unescape(title[1]), place.secrets, 100)}")' if title else ": a web page"


def _refusal(answer: Any) -> str | None:
    """The words of `{"Code", "Message"}` or ASP.NET's `{"Message", "ExceptionMessage"}`, or None."""
    if not isinstance(answer, dict):
        return None
    keys = {key.lower(): value for key, value in answer.items()}
    if "message" in keys and (keys.keys() <= {"code", "message", "exceptionmessage", "exceptiontype", "stacktrace"}):
        words = [keys.get("message"), keys.get("exceptionmessage")]
        return " ".join(dict.fromkeys(str(word) for word in words if word)) or "no reason given"
    return None


def _retry_is_useful(status: int) -> bool:
    return status in (408, 429) or (status >= 500 and status not in (501, 505, 507))


def _error(status: int, refusal: str | None, title: str, place: _Place) -> PmaCoreError:
    words = place.says(refusal) if refusal else f"HTTP status {status}{title}"
    if status in (401, 403):
        return PermissionDenied(f"{place.method} is not permitted: {words}", "check the rights of this user")
    if status == 413:
        return Refused(
            f"the server takes no file of this size: {words}",
            "its administrator can raise IIS's maxAllowedContentLength (at most 4 GiB)",
        )
    if status == 404:
        if refusal is None:
            return NotFound(
                f"{place.base} knows no {place.method}: {words}",
                "is this the address of a PMA.core? It may need a path such as /core/",
            )
        return NotFound(f"{place.method}: {words}")
    if _retry_is_useful(status) and not (refusal and status == 500 and place.request.path.startswith("api/json/")):
        return ServerError(f"the server failed at {place.method}: {words}")
    return Refused(f"{place.method} was refused: {words}")
