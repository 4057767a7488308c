"""The front doors of the storages: they refuse as S3 and Azure do, log without secrets, and fail when told to."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support import plain_http
from support.cloud import KINDS, MIB, CloudSandbox, StartCloud
from support.fork_server import PATIENCE
from support.plain_http import NO_CERTIFICATES
from support.sandbox_client import Client

from pmacore_sandbox import SERVER_BUSY, SLOW_DOWN, Corrupt, Drop, Gateway, Hold, S3Validator, StorageRequest, UrlExpiry
from pmacore_sandbox.asgi_server import bind_socket

CONTENT = bytes(range(256)) * 1000
SECRETS = ("X-Amz-", "sig=", "sessionID=")


@pytest.fixture
def cloud(cloud_sandbox: StartCloud) -> CloudSandbox:
    return cloud_sandbox()


@pytest.fixture
def s3(cloud_sandbox: StartCloud) -> CloudSandbox:
    return cloud_sandbox(azure=False, s3_options={"part_size": 64 * 1024})


def announce(client: Client, root: str, name: str = "a.svs", size: int = len(CONTENT)) -> dict[str, Any]:
    answer = client.announce_raw(root, [{"Path": name, "Length": size, "IsMain": True}])
    announcement: dict[str, Any] = answer.json()
    return announcement


def url_of(cloud: CloudSandbox, root: str, name: str = "a.svs", size: int = len(CONTENT)) -> str:
    with Client(cloud.sandbox) as client:
        url: str = announce(client, root, name, size)["Urls"][0]
    return url


def put(url: str, content: Any = CONTENT, **headers: str) -> httpx.Response:
    kind = {"x-ms-blob-type": "BlockBlob"} if "sig=" in url and "comp=" not in url else {}
    return plain_http.put(url, content=content, headers=kind | headers)


def md5(content: bytes) -> dict[str, str]:
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return {"Content-MD5": base64.b64encode(digest).decode()}


@pytest.mark.parametrize("root", KINDS)
def test_urls_expire_at_the_time_that_is_set(cloud: CloudSandbox, root: str) -> None:
    old = url_of(cloud, root)
    assert put(old).is_success
    cloud.expire_urls()
    refused = put(old)
    words = {"Cloud": "Request has expired", "Blobs": "Signature not valid in the specified time frame"}
    assert (refused.status_code, words[root] in refused.text) == (403, True)
    assert put(url_of(cloud, root)).is_success
    assert [request.status // 100 for request in cloud.side(root).requests] == [2, 4, 2]


def test_azurite_itself_refuses_an_expired_sas(cloud: CloudSandbox) -> None:
    cloud.url_lifetime = -10
    refused = put(url_of(cloud, "Blobs"))
    assert refused.status_code == 403
    assert "Authorization" in refused.text or "Authentication" in refused.text
    assert cloud.azure.objects() == {}


def test_the_lifetime_stands_in_the_urls(cloud: CloudSandbox) -> None:
    cloud.url_lifetime = 77
    assert "X-Amz-Expires=77&" in url_of(cloud, "Cloud")
    assert put(url_of(cloud, "Blobs")).is_success


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda url: url.replace("a%20b.svs", "a%20c.svs"), "SignatureDoesNotMatch"),
        (lambda url: url.replace("a%20b.svs", "a+b.svs"), "SignatureDoesNotMatch"),
        (lambda url: url.replace("X-Amz-Expires=3600", "X-Amz-Expires=9999"), "SignatureDoesNotMatch"),
        (lambda url: url[:-3] + "000", "SignatureDoesNotMatch"),
        (lambda url: url.replace("AKIAPMAREPTEST", "AKIAOTHER"), "InvalidAccessKeyId"),
        (lambda url: url.partition("?")[0], "AccessDenied"),
        (lambda url: url.replace("X-Amz-Expires=3600", "X-Amz-Expires=x"), "AccessDenied"),
    ],
)
def test_a_url_that_was_not_handed_out_like_this_is_refused(s3: CloudSandbox, change: Any, code: str) -> None:
    url = url_of(s3, "Cloud", "a b.svs", 5)
    wrong = put(change(url), b"12345")
    assert (wrong.status_code, f"<Code>{code}</Code>" in wrong.text) == (403, True)
    assert put(url, b"12345", Authorization="Basic eDp5").status_code == 400
    assert plain_http.get(url).status_code == 403
    assert s3.s3.objects() == {}
    assert put(url, b"12345").status_code == 200


def test_s3_wants_to_know_the_length(s3: CloudSandbox) -> None:
    url = url_of(s3, "Cloud", size=5)
    chunked = put(url, iter([b"123", b"45"]))
    assert (chunked.status_code, "NotImplemented" in chunked.text) == (501, True)
    with httpx.Client(trust_env=False, verify=NO_CERTIFICATES) as client:
        request = client.build_request("PUT", url)
        del request.headers["content-length"]
        answer = client.send(request)
    assert (answer.status_code, "MissingContentLength" in answer.text) == (411, True)
    assert s3.s3.objects() == {}


def test_s3_compares_the_md5(s3: CloudSandbox) -> None:
    url = url_of(s3, "Cloud", size=5)
    assert "BadDigest" in put(url, b"12345", **md5(b"12346")).text
    assert "InvalidDigest" in put(url, b"12345", **{"Content-MD5": "x"}).text
    assert s3.s3.objects() == {}
    assert put(url, b"12345", **md5(b"12345")).headers["etag"].strip('"') == "827ccb0eea8a706c4c34a16891f84e7b"


@pytest.mark.parametrize(("root", "code"), [("Cloud", "BadDigest"), ("Blobs", "Md5Mismatch")])
def test_a_byte_damaged_on_its_way_is_found_by_md5(cloud: CloudSandbox, root: str, code: str) -> None:
    url = url_of(cloud, root)
    cloud.side(root).faults.add(Corrupt(offset=100_000), times=2)
    damaged = put(url, **md5(CONTENT))
    assert (damaged.status_code, code in damaged.text) == (400, True)
    assert cloud.side(root).objects() == {}
    assert put(url).is_success  # nobody said what it should be
    assert cloud.side(root).objects() == {
        "a.svs": CONTENT[:100_000] + bytes([CONTENT[100_000] ^ 255]) + CONTENT[100_001:]
    }


@pytest.mark.parametrize("root", KINDS)
def test_a_broken_request_leaves_nothing(cloud: CloudSandbox, root: str) -> None:
    side = cloud.side(root)
    url = url_of(cloud, root)
    rule = side.faults.add(Drop(after_bytes=100_000))
    with pytest.raises(httpx.TransportError):
        put(url)
    assert side.wait_idle()
    assert side.objects() == {}
    assert side.requests[-1].status == 0
    assert 100_000 <= side.received <= len(CONTENT)
    side.faults.remove(rule)
    rule = side.faults.add(Drop(after_bytes=None))
    with pytest.raises(httpx.TransportError):
        put(url)
    assert side.objects() == {"a.svs": CONTENT}
    assert side.acknowledged() == []


def test_storages_can_be_busy(cloud: CloudSandbox) -> None:
    for root, busy, code in (("Cloud", SLOW_DOWN, "SlowDown"), ("Blobs", SERVER_BUSY, "ServerBusy")):
        side = cloud.side(root)
        side.faults.add(busy, method="PUT", path=r"^a\.svs$", times=1)
        url = url_of(cloud, root)
        answer = put(url)
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (503, True)
        assert put(url).is_success
        assert [request.status for request in side.requests] == [503, 200 if root == "Cloud" else 201]


def test_a_request_can_be_held(s3: CloudSandbox) -> None:
    hold = Hold(after_bytes=1)
    s3.s3.faults.add(hold)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(put, url_of(s3, "Cloud", size=5), b"12345")
        assert hold.reached.wait(PATIENCE)
        assert s3.s3.objects() == {}
        hold.release()
        assert sending.result().status_code == 200


def test_the_log_names_parts_and_blocks_and_no_secret(cloud_sandbox: StartCloud) -> None:
    cloud = cloud_sandbox(s3_options={"part_size": 64 * 1024})
    name = "a ä+.svs"
    with Client(cloud.sandbox) as client:
        for part in announce(client, "Cloud", name)["MultipartFiles"][0]["Parts"][:2]:
            put(part["Url"], CONTENT[part["RangeStart"] : part["RangeEnd"] + 1])
        (url,) = announce(client, "Blobs", name)["Urls"]
    put(f"{url}&comp=block&blockid=YSs%3D", b"123")
    put(f"{url}&comp=blocklist", b"<BlockList><Latest>YSs=</Latest></BlockList>")
    put(url, b"")
    assert cloud.s3.requests == [StorageRequest("PUT", name, str(part), 200, 64 * 1024) for part in (1, 2)]
    assert [(request.key, request.part, request.received) for request in cloud.azure.requests] == [
        (name, "YSs=", 3),
        (name, "blocklist", 44),
        (name, "", 0),
    ]
    assert not any(secret in repr(cloud.s3.requests + cloud.azure.requests) for secret in SECRETS)


def test_a_large_body_and_a_large_download(cloud_sandbox: StartCloud) -> None:
    cloud = cloud_sandbox(s3_options={"part_size": 64 * MIB})
    content = hashlib.sha256(b"seed").digest() * MIB  # 32 MiB: more than a gateway holds in memory
    for root in KINDS:
        assert put(url_of(cloud, root, size=len(content)), content).is_success
        with Client(cloud.sandbox) as client:
            where = client.download(f"{root}/a.svs", "a.svs").headers["location"]
        assert plain_http.get(where).content == content
        assert plain_http.get(where, headers={"Range": "bytes=5-8"}).content == content[5:9]


def test_an_emulator_that_is_gone(cloud_sandbox: StartCloud) -> None:
    cloud = cloud_sandbox(azure=False)
    url = url_of(cloud, "Cloud", size=5)
    at = urlsplit(url)
    with bind_socket("127.0.0.1", 0) as nobody, Gateway(f"http://127.0.0.1:{nobody.getsockname()[1]}") as gateway:
        gateway.start(S3Validator(cloud.s3.backend(), UrlExpiry()))
        answer = put(url.replace(at.netloc, urlsplit(gateway.url).netloc), b"12345", Host=at.netloc)
        assert answer.status_code == 502
        assert gateway.requests == [StorageRequest("PUT", "a.svs", "", 502, 5)]
