"""One request to a PMA.core and its answer, or one of our errors: status codes, refusals, broken connections."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from .errors import (
    NotFound,
    PermissionDenied,
    PmaCoreError,
    ProtocolError,
    Refused,
    ServerError,
    from_transport,
)
from .redact import one_line

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that we are ready to hold: a listing of some 500,000 slides."""

# Long uploads: a server may store a 4 GiB file away before it answers.
UPLOAD_TIMEOUT = httpx.Timeout(60.0, connect=15.0, read=600.0, pool=None)


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


async def ask(client: httpx.AsyncClient, base: str, request: Request, secrets: Iterable[str]) -> Any:
    """The answer, out of its old `{"d": ...}` wrapping. Raises PmaCoreError; `secrets` appear in no message."""
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
        options["timeout"] = UPLOAD_TIMEOUT
    try:
        async with client.stream(request.method, request.url(base), **options) as response:
            content = await _read(response, base)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise from_transport(error, base) from None
    return _understand(response, content, _Place(base, request, tuple(secrets)))


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
        to = one_line(response.headers.get("location", ""), place.secrets)
        raise ProtocolError(f"{place.base} redirects to {to}", "use the address it redirects to as url")
    try:
        answer = json.loads(content) if content.strip() else None
    except (ValueError, RecursionError):
        answer = content
    if isinstance(answer, dict) and set(answer) == {"d"}:
        answer = answer["d"]
    refusal = _refusal(answer)
    if status >= 400 or refusal is not None:
        raise _error(status, refusal, place, _retry_is_useful(status))
    if isinstance(answer, bytes) and not place.request.any_answer:
        raise ProtocolError(
            f"{place.base} answers {place.method} with something that is no JSON",
            "is this the address of a PMA.core? It may need a path such as /core/",
        )
    return answer


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


def _error(status: int, refusal: str | None, place: _Place, transient: bool) -> PmaCoreError:
    words = place.says(refusal) if refusal else f"HTTP status {status}"
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
    if transient and not (refusal and status == 500 and place.request.path.startswith("api/json/")):
        return ServerError(f"the server failed at {place.method}: {words}")
    return Refused(f"{place.method} was refused: {words}")
