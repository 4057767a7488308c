"""Send requests to S3 and Azure by the presigned URLs that a PMA.core hands out.

They go to other hosts than PMA.core: without its session, without cookies, following no redirect. The URL is a secret
as a whole and is sent byte for byte as it was given.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from ..pmacore import (
    AnnounceAgain,
    BlocksLost,
    CertificateRefused,
    Connection,
    Damaged,
    Intercepted,
    PermissionDenied,
    PmaCoreError,
    ProtocolError,
    Refused,
    ServerError,
    StorageFull,
)
from ..pmacore.errors import another_certificate
from ..pmacore.http import FIREWALL_STATUSES, SLOWEST_STORAGE, moment, patient, read_answer, retry_after, says_full
from ..pmacore.local_addresses import is_local_address, is_local_url, same_host
from ..pmacore.pooled_transport import REPEATED_BODY
from ..pmacore.redact import one_line
from ..pmacore.response_deadline import ResponseDeadline
from ..pmacore.socket_options import connection_tracer
from ..pmacore.transport_errors import TRANSPORT_ERRORS, error_from_transport, proxy_refused

MAX_ANSWER = 64 * 1024
_EXPIRY_MARGIN = timedelta(seconds=60)


class PresignedClient:
    """HTTP client for the presigned and SAS URLs of one site.

    `on_round_trip` is told the round trip to the storage, in seconds, with each new connection.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        allow_http: bool,
        http: httpx.AsyncClient | None = None,
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._core = connection.url
        self._at_home = is_local_url(connection.url)
        self._only_https = connection.url.startswith("https:") and not allow_http
        self._proxy_to = connection.proxy_to
        self._connect = connection.storage_http
        self._on_round_trip = on_round_trip
        self._http = http
        self._answered: set[str] = set()  # origins
        self._hedge_client: httpx.AsyncClient | None = None  # made with the first hedge

    async def close(self) -> None:
        """Close all connections."""
        for http in (self._http, self._hedge_client):
            if http is not None:
                await http.aclose()

    async def put(
        self,
        url: str,
        content: Callable[[], AsyncGenerator[bytes, None]] | bytes,
        length: int,
        headers: Mapping[str, str],
        *,
        new_connection: bool = False,
    ) -> httpx.Headers:
        """Send one PUT with an exact `Content-Length`; return the headers of its answer. Raises PmaCoreError.

        `content` may be asked for a second time, where a connection turns out to have been closed. `new_connection`:
        use none of the connections that `put` without it has used.
        """
        target, http = self._check(url), self._hedge_http() if new_connection else self._usual_http()
        make = content if callable(content) else None
        limit = ResponseDeadline(target.origin, http.timeout, length / SLOWEST_STORAGE, sending=make is not None)
        trace = limit.traced(connection_tracer(http, self._address_check(target.origin)))
        extensions: dict[str, Any] = {"trace": trace}
        if make is not None:
            extensions[REPEATED_BODY] = make
        request = http.build_request(
            "PUT",
            target.origin,
            content=content if isinstance(content, bytes) else content(),
            headers={**headers, "Content-Length": str(length)},
            timeout=patient(http.timeout, length),
            extensions=extensions,
        )
        request.url = _VerbatimURL(target.origin, target.path)
        try:
            async with limit:
                response = await http.send(request, stream=True)
                try:
                    answered = await read_answer(response, "the storage", MAX_ANSWER, limit.came)
                    answer = answered.decode("utf-8", "replace")
                finally:
                    await response.aclose()
        except TRANSPORT_ERRORS as error:
            failure = error_from_transport(error, target.origin, self._proxy_to(target.origin))
            if isinstance(failure, CertificateRefused) and target.origin in self._answered:
                failure = another_certificate(failure, target.origin)
            raise failure from None
        self._answered.add(target.origin)
        if response.status_code == 407:  # over plain http, a proxy answers as if it were the storage
            raise proxy_refused("407", target.origin, self._proxy_to(target.origin))
        if _is_intermediary(response, answer):
            status = response.status_code
            raise Intercepted(
                f"something between here and {target.origin} answers with a "
                + ("redirect" if response.is_redirect else "web page"),
                "if that stays so, ask who runs the firewall or the proxy on the way",
                status=status,
                may_be_refusal=status >= 400,
            )
        if response.status_code >= 300:
            raise _error(response, answer, url)
        return response.headers

    def _usual_http(self) -> httpx.AsyncClient:
        """Made when it is needed: reading the system's certificates takes 20 ms, which sites without a cloud save."""
        if self._http is None:
            self._http = self._connect(self._on_round_trip)
        return self._http

    def _hedge_http(self) -> httpx.AsyncClient:
        if self._hedge_client is None:
            self._hedge_client = self._connect()
        return self._hedge_client

    def _check(self, url: str) -> _Target:
        target = _Target.of(url)
        if self._only_https and target.scheme != "https":
            raise ProtocolError(
                f"the server wants the slide sent over plain http to {target.origin}",
                "if that is right, say allow_http_uploads = true at this site",
            )
        if is_local_url(target.origin) and not self._at_home:
            raise _is_this_machine(target.origin)
        return target

    def _address_check(self, origin: str) -> Callable[[str], None] | None:
        """Return a check that raises ProtocolError where the host's name has led to this machine.

        None where that is right, or where a proxy makes the connection. The host of PMA.core itself may be this machine
        under its own name.
        """
        if self._at_home or self._proxy_to(origin) is not None or same_host(origin, self._core):
            return None

        def meets(address: str) -> None:
            if is_local_address(address):
                raise _is_this_machine(origin)

        return meets


def _is_this_machine(origin: str) -> ProtocolError:
    return ProtocolError(f"the server wants the slide sent to {origin}, which is this machine itself")


class _VerbatimURL(httpx.URL):
    """A URL whose path and query go out byte for byte: httpx would normalise what the signature covers.

    httpx's own way, the extension `target`, also replaces what is said to a proxy: CONNECT would show it the signature.
    As text it is the origin alone, so that no log can hold more.
    """

    def __init__(self, origin: str, path: bytes) -> None:
        super().__init__(origin)
        self._as_given = path

    @property
    def raw_path(self) -> bytes:
        return self._as_given


class _Target:
    """A URL in parts. `path` is the request line's, as given but for raw spaces and non-ASCII characters."""

    def __init__(self, scheme: str, origin: str, path: bytes) -> None:
        self.scheme = scheme
        self.origin = origin
        self.path = path

    @classmethod
    def of(cls, url: str) -> _Target:
        """Parse a URL that a server gave. Raises ProtocolError."""
        match = re.fullmatch(r"(https?)://([^/?#\s@]+)(/[^#\x00-\x1f\x7f]*)", url, re.IGNORECASE)
        if match is None:
            raise ProtocolError("the server gave an upload URL that is none", "only http and https can be used")
        scheme, host, path = match[1].lower(), match[2], match[3]
        origin = f"{scheme}://{host}/"
        try:
            raw = re.sub(rb"[\x80-\xff ]", lambda m: b"%%%02X" % m[0][0], path.encode())
            httpx.URL(origin)
            _ = urlsplit(origin).port  # raises for one above 65,535
        except (ValueError, httpx.InvalidURL):
            raise ProtocolError("the server gave an upload URL that is none") from None
        return cls(scheme, origin, raw)


def _is_intermediary(response: httpx.Response, answer: str) -> bool:
    """Return whether a proxy, firewall or sign-in page has answered instead of the storage.

    A storage speaks XML and has a code for everything. A sign-in page of a hotel or hospital answers everything with
    200 or a redirect, firewalls have pages for 403.
    """
    if _tag(answer, "Code") or response.headers.get("x-ms-error-code"):
        return False
    page = answer.lstrip()[:14].lower().startswith(("<html", "<!doctype html"))
    return response.is_redirect or (page and (response.status_code < 400 or response.status_code in FIREWALL_STATUSES))


def _error(response: httpx.Response, answer: str, url: str) -> PmaCoreError:
    """Return the error of an answer, by S3's "Error Responses" and Azure's "Blob Storage error codes"."""
    status, code = response.status_code, _tag(answer, "Code") or response.headers.get("x-ms-error-code", "")
    words = one_line(f"{code or f'HTTP status {status}'}: {_tag(answer, 'Message')}").rstrip(": ")
    # Azurite says InvalidOperation where Azure says Md5Mismatch.
    if says_full(status, f"{code} {words}"):
        return StorageFull(
            f"the storage has no room left ({words})",
            "free some, or ask its administrator for a larger quota; the next run sends the rest",
        )
    if code in ("BadDigest", "Md5Mismatch") or (status == 400 and "contentMD5 doesn't match" in answer):
        return Damaged(f"a part was damaged on the way ({words})")
    if code in ("InvalidBlockList", "InvalidBlobOrBlock"):
        return BlocksLost(f"the storage has lost blocks ({words})")
    if code in ("NoSuchUpload", "ExpiredToken") or (status == 403 and _has_expired(response, answer, url)):
        return AnnounceAgain(f"the upload URLs have expired ({words})", "the next run announces the slide again")
    if status in (408, 429) or status >= 500 or code in ("RequestTimeout", "SlowDown", "ServerBusy"):
        return ServerError(f"the storage failed ({words})", retry_after=retry_after(response))
    if status == 403:
        return PermissionDenied(f"the storage does not take the upload ({words})", "ask the server's administrator")
    if 300 <= status < 400:
        return ProtocolError("the storage redirects, which is not followed with a signed URL")
    return Refused(f"the storage refused the upload ({words})")


def _tag(answer: str, name: str) -> str:
    """Return the text of one XML element; no parser is used, since the answer may come from anywhere."""
    match = re.search(rf"<{name}>([^<]{{0,500}})</{name}>", answer)
    return match[1].strip() if match else ""


def _has_expired(response: httpx.Response, answer: str, url: str) -> bool:
    if "expired" in answer.lower() or "not valid in the specified time frame" in answer.lower():
        return True
    now = moment(response.headers.get("date", "")) or datetime.now(UTC)
    end = expiry(url)
    return end is not None and now >= end


def expiry(url: str) -> datetime | None:
    """Return when a presigned (S3 Signature 4 or 2) or SAS URL expires; None if it does not say."""
    try:
        query = {key.lower(): values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        if "x-amz-expires" in query:
            start = datetime.strptime(query["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return start + timedelta(seconds=int(query["x-amz-expires"]))
        if "awsaccesskeyid" in query:
            return datetime.fromtimestamp(int(query["expires"]), UTC)
        if "se" in query:
            end = datetime.fromisoformat(query["se"])
            return end if end.tzinfo else end.replace(tzinfo=UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        pass
    return None


def is_live(url: str, now: datetime) -> bool:
    """Return whether a URL is valid for at least another minute."""
    end = expiry(url)
    return end is None or now + _EXPIRY_MARGIN < end
