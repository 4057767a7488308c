"""Presigned URLs go out byte for byte; what a storage answers becomes the error that says what to do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import string
import threading
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import boto3
import httpx
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from pmarep.pmacore import (
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
)
from pmarep.uploaders.presigned import PresignedClient, expiry, is_live

HTTPS = Connection(url="https://pma.example/", username="u")
HTTP = Connection(url="http://localhost/", username="u")
S3_URL = (
    "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=x&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=s"
)


class _Server(asyncio.Protocol):
    """Keeps the bytes that came and answers them with 200: what really goes over the network."""

    received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        type(self).received += data
        if data.endswith(b"bytes"):
            self._transport.write(b'HTTP/1.1 200 OK\r\nETag: "t"\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n')


async def _pieces(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def _on_the_wire(path: str) -> tuple[bytes, dict[bytes, bytes]]:
    """The request target and the headers that a server sees of a PUT to `path`."""
    _Server.received = b""
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    storage = PresignedClient(HTTP, allow_http=False)
    try:
        await storage.put(
            f"http://127.0.0.1:{port}{path}", lambda: _pieces(b"some ", b"bytes"), 10, {"Content-MD5": "x"}
        )
    finally:
        await storage.close()
        server.close()
    head, _, body = _Server.received.partition(b"\r\n\r\n")
    assert body == b"some bytes"
    first, *lines = head.split(b"\r\n")
    return first.split(b" ")[1], {line.split(b": ")[0].lower(): line.split(b": ")[1] for line in lines}


def _presigned(key: str) -> str:
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    url: str = client.generate_presigned_url(
        "upload_part", {"Bucket": "b", "Key": key, "UploadId": "u/+=", "PartNumber": 1}
    )
    return url.removeprefix("http://127.0.0.1:1")


KEYS = [
    "a b",
    "a+b",
    "a%2Fb",
    "a%20b",
    "ä&ö",
    "a#b",
    "病理 切片",
    "a~b'()!*;:@,$",
    "e\u0301",
    "?x=1",
    "a//b",
    "./a/../b",
    '"',
]


@pytest.mark.parametrize("key", KEYS)
async def test_a_presigned_url_arrives_byte_for_byte(key: str) -> None:
    path = _presigned(key)
    target, _ = await _on_the_wire(path)
    assert target.decode() == path


@pytest.mark.parametrize(
    "path",
    ["/c/%2F%2f?sig=a%2Bb%2fc%3D&se=2026-01-01T00%3A00%3A00Z", "/c/a'b?x=~|{}^`", "/c/.././x//y?&&a==b&", "/c?x=%zz"],
)
async def test_nothing_is_normalised(path: str) -> None:
    assert (await _on_the_wire(path))[0].decode() == path


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + "%/?&=+~.;,'()!*:@$-_ äß片"), max_size=80))
def test_only_raw_spaces_and_non_ascii_are_encoded(tail: str) -> None:
    from pmarep.uploaders.presigned import _Target

    expected = quote(f"/{tail}", safe=string.printable.replace(" ", "")).encode()
    assert _Target.of(f"https://h/{tail}").path == expected


async def test_raw_spaces_in_a_sas_url_are_encoded() -> None:
    target, _ = await _on_the_wire("/c/my slide.svs?sp=cw&sig=x%3D")
    assert target == b"/c/my%20slide.svs?sp=cw&sig=x%3D"


async def test_the_length_is_exact_and_nothing_else_goes_along() -> None:
    _, headers = await _on_the_wire("/c/k")
    assert headers[b"content-length"] == b"10"
    assert headers[b"content-md5"] == b"x"
    unwanted = {b"transfer-encoding", b"cookie", b"authorization", b"content-type", b"referer"}
    assert not unwanted & headers.keys()


@pytest.mark.parametrize("host", ["s", "s.example", "localhost"])
async def test_cookies_of_a_storage_are_not_kept(host: str) -> None:
    answer = httpx.Response(200, headers={"Set-Cookie": "session=1"}, request=httpx.Request("PUT", f"http://{host}/k"))
    async with HTTP.storage_http() as storage, HTTP.http() as core:
        for client in (storage, core):
            client.cookies.extract_cookies(answer)
            again = client.build_request("GET", f"http://{host}/other")
            assert ("cookie" in again.headers) == (client is core)


async def _error_for(response: httpx.Response, url: str = S3_URL, site: Connection = HTTPS) -> PmaCoreError:
    transport = httpx.MockTransport(lambda request: response)
    storage = PresignedClient(site, allow_http=False, http=httpx.AsyncClient(transport=transport))
    with pytest.raises(PmaCoreError) as caught:
        await storage.put(url, lambda: _pieces(b"x"), 1, {})
    assert "Signature=" not in str(caught.value)
    assert "sig=" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def _xml(status: int, code: str, message: str = "words", **headers: str) -> httpx.Response:
    return httpx.Response(
        status, text=f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", headers=headers
    )


async def test_a_certificate_that_is_another_one_all_at_once() -> None:
    """Of somebody in between: the storage's was right a moment ago."""
    untrusted = httpx.ConnectError("")
    untrusted.__cause__ = cause = ssl.SSLCertVerificationError("self-signed certificate")
    cause.verify_message = "self-signed certificate"
    answers: list[httpx.Response | Exception] = [untrusted, httpx.Response(200, headers={"ETag": "e"}), untrusted]

    def answer(_: httpx.Request) -> httpx.Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    storage = PresignedClient(HTTPS, allow_http=False, http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    with pytest.raises(CertificateRefused):
        await storage.put(S3_URL, b"x", 1, {})
    await storage.put(S3_URL, b"x", 1, {})
    with pytest.raises(Intercepted, match="shows a certificate of its own"):
        await storage.put(S3_URL, b"x", 1, {})


LATER = "Thu, 01 Jan 2026 02:00:00 GMT"
EARLIER = "Thu, 01 Jan 2026 00:10:00 GMT"


@pytest.mark.parametrize(
    ("response", "kind", "words"),
    [
        (_xml(403, "AccessDenied", "Request has expired"), AnnounceAgain, "expired"),
        (_xml(403, "AccessDenied", "no", Date=LATER), AnnounceAgain, "expired"),
        (_xml(403, "AccessDenied", "no", Date=EARLIER), PermissionDenied, "AccessDenied: no"),
        (_xml(403, "SignatureDoesNotMatch", "a", Date=EARLIER), PermissionDenied, "SignatureDoesNotMatch"),
        (_xml(400, "ExpiredToken"), AnnounceAgain, "expired"),
        (_xml(404, "NoSuchUpload"), AnnounceAgain, "NoSuchUpload"),
        (_xml(400, "BadDigest"), Damaged, "damaged on the way"),
        (_xml(400, "Md5Mismatch"), Damaged, "damaged on the way"),
        (_xml(400, "InvalidBlockList"), BlocksLost, "lost blocks"),
        (_xml(503, "SlowDown"), ServerError, "SlowDown"),
        (_xml(400, "RequestTimeout"), ServerError, "RequestTimeout"),
        (httpx.Response(429), ServerError, "429"),
        (httpx.Response(502, text="<html>Bad gateway"), ServerError, "502"),
        (httpx.Response(409, headers={"x-ms-error-code": "LeaseIdMissing"}), Refused, "LeaseIdMissing"),
        (_xml(400, "EntityTooLarge", "too &#10;big"), Refused, "EntityTooLarge"),
        (_xml(307, "TemporaryRedirect", "a", Location=S3_URL), ProtocolError, "redirect"),
        (httpx.Response(307, headers={"Location": "http://portal.example/"}), Intercepted, "redirect"),
        (httpx.Response(403, text="<html>Request Rejected"), Intercepted, "web page"),
        (httpx.Response(400, content=b"x" * 100_000), ProtocolError, "endless"),
        (httpx.Response(200, text="\n<!DOCTYPE html><html>Sign in"), Intercepted, "web page"),
    ],
)
async def test_answers_become_errors(response: httpx.Response, kind: type[PmaCoreError], words: str) -> None:
    error = await _error_for(response)
    assert type(error) is kind
    assert words in str(error)


async def test_an_expired_sas_is_announced_again() -> None:
    url = "https://a.blob.core.windows.net/c/b?se=2026-01-01T00%3A00%3A00Z&sig=abc"
    text = "<AuthenticationErrorDetail>Signature not valid in the specified time frame</AuthenticationErrorDetail>"
    assert isinstance(await _error_for(httpx.Response(403, text=text), url), AnnounceAgain)


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "file:///etc/passwd", "h/x", "https://", "https://u:p@h/x", "https://h/a\nb", ""]
)
async def test_what_is_no_upload_url_is_refused(url: str) -> None:
    assert isinstance(await _error_for(httpx.Response(200), url), ProtocolError)


async def test_an_https_site_sends_nothing_over_http_unless_it_may() -> None:
    error = await _error_for(httpx.Response(200), "http://h/x")
    assert "allow_http_uploads" in str(error)
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    allowed = PresignedClient(HTTPS, allow_http=True, http=httpx.AsyncClient(transport=transport))
    await allowed.put("http://h/x", b"", 0, {})


def test_expiry_is_read_from_all_kinds_of_urls() -> None:
    assert expiry(S3_URL) == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert expiry("https://h/k?AWSAccessKeyId=a&Signature=s&Expires=0") == datetime(1970, 1, 1, tzinfo=UTC)
    assert expiry("https://h/k?se=2026-01-01T00%3A00%3A00Z&sig=s") == datetime(2026, 1, 1, tzinfo=UTC)
    assert expiry("https://h/k?se=2026-01-01&sig=s") == datetime(2026, 1, 1, tzinfo=UTC)
    for nothing in ("https://h/k", "https://h/k?X-Amz-Expires=1", "https://h/k?se=soon", "https://h/k?Expires=9"):
        assert expiry(nothing) is None


def test_a_url_that_ends_within_the_minute_is_not_relied_on() -> None:
    end = datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert is_live(S3_URL, end - timedelta(seconds=61))
    assert not is_live(S3_URL, end - timedelta(seconds=60))
    assert is_live("https://h/says-nothing", end)


async def test_says_how_far_the_storage_is() -> None:
    round_trips: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        storage = PresignedClient(
            Connection(url, "me", proxy="none"), allow_http=True, on_round_trip=round_trips.append
        )
        with pytest.raises(PmaCoreError):  # it hangs up: that a connection stood is enough
            await storage.put(f"{url}k?sig=1", b"x", 1, {})
        thread.join(10)
        await storage.close()
    assert round_trips
    assert all(0 < seconds < 5 for seconds in round_trips)
