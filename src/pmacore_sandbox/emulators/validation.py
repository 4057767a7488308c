"""Validates requests to S3 and Azure where their emulators do not: signature, expiry, length, MD5.

A validator also gives requests their labels for log and faults. It answers errors as the storage does: S3's "Error
Responses", Azure's "Blob Storage error codes".
"""

from __future__ import annotations

import base64
import binascii
import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from ..buckets import AzureContainer, S3Bucket, UrlExpiry
from ..faults import CannedResponse

_LARGEST_PUT = 5 * 1024**3
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class RequestHead:
    """A request without its body. `target` is that of the request line, byte for byte; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def below(self, start: str) -> str:
        """Return the decoded path below `start`."""
        path = unquote(self.target.partition("?")[0]).lstrip("/")
        return path.removeprefix(start.strip("/") + "/")


class RequestValidator(Protocol):
    """Checks of one storage kind, and the labels of its requests."""

    def label(self, head: RequestHead) -> str:
        """Return key and part of a request, without anything secret."""

    def check_head(self, head: RequestHead) -> CannedResponse | None:
        """Return the error with which a request is refused before its body is read, or None."""

    def check_body(self, head: RequestHead, md5: bytes) -> CannedResponse | None:
        """Return the error with which a request is refused after its body is read, or None."""


def s3_error(status: int, code: str, message: str, **more: str) -> CannedResponse:
    """Return an error of S3; `more`: further tags."""
    tags = "".join(
        f"<{tag}>{html.escape(text)}</{tag}>" for tag, text in {"Code": code, "Message": message, **more}.items()
    )
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{tags}<RequestId>SANDBOX</RequestId></Error>'
    return CannedResponse(status, body, "application/xml")


def azure_error(status: int, code: str, message: str, **more: str) -> CannedResponse:
    """Return an error of Azure Blob Storage; `more`: further tags."""
    tags = "".join(
        f"<{tag}>{html.escape(text)}</{tag}>" for tag, text in {"Code": code, "Message": message, **more}.items()
    )
    body = f'<?xml version="1.0" encoding="utf-8"?><Error>{tags}</Error>'
    return CannedResponse(status, body, "application/xml", {"x-ms-error-code": code})


SLOW_DOWN = s3_error(503, "SlowDown", "Please reduce your request rate.")
SERVER_BUSY = azure_error(503, "ServerBusy", "The server is currently unable to receive requests.")


class S3Validator:
    """Checks signature, expiry, length and MD5: moto checks none of them."""

    def __init__(self, backend: S3Bucket, times: UrlExpiry) -> None:
        from ..sigv4 import Signer  # botocore takes a while

        self._bucket = backend.bucket
        self._key = backend.access_key
        self._signer = Signer(backend.access_key, backend.secret_key, backend.region)
        self._times = times

    def label(self, head: RequestHead) -> str:
        part = head.query.get("partNumber")
        return head.below(self._bucket) + (f"?partNumber={part}" if part else "")

    def check_head(self, head: RequestHead) -> CannedResponse | None:
        return self._url_refusal(head) or (_body_head_refusal(head) if head.method == "PUT" else None)

    def check_body(self, head: RequestHead, md5: bytes) -> CannedResponse | None:
        given = head.headers.get("content-md5")
        if _right_md5(given, md5):
            return None
        return s3_error(
            400,
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
            ExpectedDigest=given or "",
            CalculatedDigest=base64.b64encode(md5).decode(),
        )

    def _url_refusal(self, head: RequestHead) -> CannedResponse | None:
        query = head.query
        if "authorization" in head.headers:
            return s3_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        try:
            begin = datetime.strptime(query["X-Amz-Date"], _TIME).replace(tzinfo=UTC)
            end = begin + timedelta(seconds=int(query["X-Amz-Expires"]))
            key = query["X-Amz-Credential"].partition("/")[0]
        except (KeyError, ValueError):
            return s3_error(403, "AccessDenied", "Access Denied")
        if key != self._key:
            return s3_error(
                403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
            )
        now = self._times.now()
        if now > end:
            return s3_error(
                403,
                "AccessDenied",
                "Request has expired",
                **{"X-Amz-Expires": query["X-Amz-Expires"], "Expires": _iso(end), "ServerTime": _iso(now)},
            )
        if not self._signer.matches(head.method, f"http://{head.headers.get('host', '')}{head.target}", head.headers):
            return s3_error(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
            )
        return None


def _body_head_refusal(head: RequestHead) -> CannedResponse | None:
    if "transfer-encoding" in head.headers:
        return s3_error(
            501,
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
            Header="Transfer-Encoding",
        )
    if "content-length" not in head.headers:
        return s3_error(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    if int(head.headers["content-length"]) > _LARGEST_PUT:
        return s3_error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    try:
        right = len(base64.b64decode(head.headers.get("content-md5", "A" * 22 + "=="), validate=True)) == 16
    except binascii.Error:
        right = False
    return None if right else s3_error(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")


class AzureValidator:
    """Checks expiry by the clock of the tests, and MD5.

    Azurite checks SAS, lengths and block lists itself; a wrong MD5 too, but there it says InvalidOperation.
    """

    def __init__(self, backend: AzureContainer, times: UrlExpiry) -> None:
        self._container = f"{backend.account}/{backend.container}"
        self._times = times

    def label(self, head: RequestHead) -> str:
        query = head.query
        shown = [f"{name}={query[name]}" for name in ("comp", "blockid") if name in query]
        return head.below(self._container) + (f"?{'&'.join(shown)}" if shown else "")

    def check_head(self, head: RequestHead) -> CannedResponse | None:
        try:
            end = datetime.fromisoformat(head.query["se"])
        except (KeyError, ValueError):
            return None
        now = self._times.now()
        if now <= end or datetime.now(UTC) > end:
            return None
        return azure_error(
            403,
            "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
            "correctly including the signature.",
            AuthenticationErrorDetail=f"Signature not valid in the specified time frame: Start [] - Expiry "
            f"[{_http(end)}] - Current [{_http(now)}]",
        )

    def check_body(self, head: RequestHead, md5: bytes) -> CannedResponse | None:
        if _right_md5(head.headers.get("content-md5"), md5):
            return None
        return azure_error(
            400,
            "Md5Mismatch",
            "The MD5 value specified in the request did not match with the MD5 value calculated by the server.",
        )


def _right_md5(given: str | None, md5: bytes) -> bool:
    return given is None or given.strip() == base64.b64encode(md5).decode()


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _http(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
