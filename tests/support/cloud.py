"""A PMA.core stand-in with root-directories of all three kinds, and what lies behind them, for tests.

def test_it(cloud_sandbox: StartCloud) -> None:
    tokyo = cloud_sandbox("tokyo")              # roots Slides (filesystem), Cloud (S3), Blobs (Azure)
    cli.site("tokyo", tokyo.sandbox, target="Cloud/in")
    tokyo.s3.faults.add(SLOW_DOWN, path=r"x\\.svs\\?partNumber=2", times=1)
    ...
    assert tokyo.s3.objects() == {"in/x.svs": ...}
    assert tokyo.s3.open_multipart_uploads() == []
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from pmacore_sandbox import (
    AzureContainer,
    AzureValidator,
    FaultInjector,
    Gateway,
    S3Bucket,
    S3Validator,
    Sandbox,
    Settings,
    UrlExpiry,
)
from pmacore_sandbox.emulators.buckets import create_bucket, create_container, moto_client
from pmacore_sandbox.emulators.gateway import StorageRequest
from pmacore_sandbox.emulators.validation import RequestValidator
from support.fork_server import LatePatch

MIB = 1024**2
KINDS = ["Cloud", "Blobs"]
"""The root-directories in a cloud: S3 and Azure."""

PART = 5 * MIB
"""Size of S3's parts, unless a test wants another."""

SMALL_BLOCKS = LatePatch(f"""
from pmarep.state import unfinished
from pmarep.uploaders import azure
unfinished.SMALLEST_BLOCK = azure.SMALLEST_BLOCK = {MIB}
""")
"""A patch for commands: Azure's blocks have 1 MiB, where the 8 MiB that they have would only cost time."""


def make_blocks_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a push within the test."""
    monkeypatch.setattr("pmarep.state.unfinished.SMALLEST_BLOCK", MIB)
    monkeypatch.setattr("pmarep.uploaders.azure.SMALLEST_BLOCK", MIB)


class Side:
    """One storage behind a cloud sandbox: the gateway before it, and what lies in it."""

    root: str

    def __init__(self, emulator: str) -> None:
        self._gateway = Gateway(emulator)
        self.url = self._gateway.url

    def start(self, gate: RequestValidator) -> None:
        self._gateway.start(gate)

    def stop(self) -> None:
        self._gateway.stop()
        self.clear()

    def clear(self) -> None:
        """Delete everything: the emulator runs on for other tests."""
        raise NotImplementedError

    def ask_to_stop(self) -> None:
        self._gateway.ask_to_stop()

    @property
    def faults(self) -> FaultInjector:
        """Rules match `key?partNumber=3`, `key?comp=block&blockid=...`, `key?comp=blocklist` or `key`."""
        return self._gateway.faults

    @property
    def requests(self) -> list[StorageRequest]:
        return self._gateway.requests

    def clear_requests(self) -> None:
        self._gateway.clear_requests()

    def wait_idle(self) -> bool:
        return self._gateway.wait_idle()

    @property
    def received(self) -> int:
        """Bytes of all bodies so far, also of refused and broken ones."""
        return sum(request.received for request in self.requests)

    def acknowledged(self) -> list[tuple[str, str]]:
        """Key and part of each PUT that was answered with success, in order."""
        return [(r.key, r.part) for r in self.requests if r.method == "PUT" and 200 <= r.status < 300]

    def etags(self, prefix: str = "") -> dict[str, str]:
        """ETags of the objects whose names begin with `prefix`; another one is of other bytes."""
        raise NotImplementedError

    def names(self) -> list[str]:
        return list(self.etags())

    def chunks(self, name: str) -> Iterator[bytes]:
        raise NotImplementedError

    def put(self, name: str, content: bytes) -> None:
        """Store an object, past PMA.core."""
        raise NotImplementedError

    def objects(self) -> dict[str, bytes]:
        """Contents by name; markers of empty folders left out."""
        return {name: b"".join(self.chunks(name)) for name in self.names()}


class S3Side(Side):
    root = "Cloud"

    def __init__(self, moto: str) -> None:
        super().__init__(moto)
        made = self._made = create_bucket(moto, self.url)
        self.bucket = made.bucket
        self.client: Any = moto_client(moto)

    def backend(self, **options: Any) -> S3Bucket:
        return dataclasses.replace(self._made, **options)

    def clear(self) -> None:
        bucket = {"Bucket": self.bucket}
        try:
            for page in self.client.get_paginator("list_multipart_uploads").paginate(**bucket):
                for upload in page.get("Uploads", ()):
                    self.client.abort_multipart_upload(**bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            for page in self.client.get_paginator("list_objects_v2").paginate(**bucket):
                if keys := [{"Key": item["Key"]} for item in page.get("Contents", ())]:
                    self.client.delete_objects(**bucket, Delete={"Objects": keys})
            self.client.delete_bucket(**bucket)
        except self.client.exceptions.NoSuchBucket:
            pass  # a test took it away

    def etags(self, prefix: str = "") -> dict[str, str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        items = (item for page in pages for item in page.get("Contents", ()))
        return {item["Key"]: item["ETag"] for item in items if not item["Key"].endswith("/")}

    def chunks(self, name: str) -> Iterator[bytes]:
        yield from self.client.get_object(Bucket=self.bucket, Key=name)["Body"].iter_chunks(MIB)

    def put(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=name, Body=content)

    def open_multipart_uploads(self) -> list[str]:
        """Keys of multipart uploads begun and neither completed nor aborted."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket)
        return sorted(upload["Key"] for page in pages for upload in page.get("Uploads", ()))


class AzureSide(Side):
    root = "Blobs"

    def __init__(self, azurite: str) -> None:
        super().__init__(azurite.rpartition("/")[0])
        made = self._made = create_container(azurite, self.url)
        self.container = made.container
        service = BlobServiceClient(azurite, {"account_name": made.account, "account_key": made.key})
        self.client = service.get_container_client(self.container)

    def backend(self, **options: Any) -> AzureContainer:
        return dataclasses.replace(self._made, **options)

    def clear(self) -> None:
        with suppress(ResourceNotFoundError):  # a test took it away
            self.client.delete_container()

    def etags(self, prefix: str = "") -> dict[str, str]:
        blobs = self.client.list_blobs(name_starts_with=prefix)
        return {blob.name: blob.etag or "" for blob in blobs if not blob.name.endswith("/")}

    def chunks(self, name: str) -> Iterator[bytes]:
        yield from self.client.download_blob(name).chunks()

    def put(self, name: str, content: bytes) -> None:
        self.client.upload_blob(name, content, overwrite=True)

    def uncommitted_blocks(self, name: str) -> list[str]:
        """Ids of blocks that were sent and not committed, in base64 as `requests` has them."""
        _, uncommitted = self.client.get_blob_client(name).get_block_list("all")
        return [base64.b64encode((block.id or "").encode()).decode() for block in uncommitted]


class CloudSandbox:
    """`sandbox` is the PMA.core; `s3` and `azure` are the storages behind `Cloud` and `Blobs`."""

    def __init__(self, sandbox: Sandbox, sides: dict[str, Side], times: UrlExpiry) -> None:
        self.sandbox = sandbox
        self._sides = sides
        self._times = times

    @property
    def s3(self) -> S3Side:
        side = self._sides["Cloud"]
        assert isinstance(side, S3Side)
        return side

    @property
    def azure(self) -> AzureSide:
        side = self._sides["Blobs"]
        assert isinstance(side, AzureSide)
        return side

    def side(self, root: str) -> Side:
        """By the name of the root-directory."""
        return self._sides[root]

    @property
    def url_lifetime(self) -> int:
        """Seconds, of the URLs that are handed out from now on; can be set."""
        return self._times.lifetime

    @url_lifetime.setter
    def url_lifetime(self, seconds: int) -> None:
        self._times.lifetime = seconds

    def expire_urls(self) -> None:
        """Every URL handed out so far is refused as expired from now on; new ones are good."""
        self._times.expire()

    def ask_to_stop(self) -> None:
        self.sandbox.ask_to_stop()
        for side in self._sides.values():
            side.ask_to_stop()

    def stop(self) -> None:
        self.sandbox.stop()
        for side in self._sides.values():
            side.stop()


class StartCloud(Protocol):
    def __call__(
        self,
        name: str = "cloud",
        *,
        azure: bool = True,
        s3_options: dict[str, Any] | None = None,
        azure_options: dict[str, Any] | None = None,
        url_lifetime: int = 3600,
        **settings: Any,
    ) -> CloudSandbox:
        """Options are those of S3Bucket (part_size, multipart_above, multipart, prefix), AzureContainer (raw_spaces,
        prefix) and Settings. With `azure=False` there is no Blobs, and Azurite is not needed."""


class Clouds:
    """Starts cloud sandboxes, and stops them all at the end of its block."""

    def __init__(self, folder: Path, settings: dict[str, Any], request: pytest.FixtureRequest) -> None:
        self._folder = folder
        self._settings = settings
        self._request = request
        self._closing = ExitStack()
        self._started: list[CloudSandbox] = []

    def start(
        self,
        name: str = "cloud",
        *,
        azure: bool = True,
        s3_options: dict[str, Any] | None = None,
        azure_options: dict[str, Any] | None = None,
        url_lifetime: int = 3600,
        **settings: Any,
    ) -> CloudSandbox:
        azurite = self._request.getfixturevalue("azurite_url") if azure else None  # may skip: before anything runs
        times = UrlExpiry(url_lifetime)
        s3 = S3Side(self._request.getfixturevalue("moto_url"))
        s3_backend = s3.backend(**{"part_size": PART, **(s3_options or {})})
        s3.start(S3Validator(s3_backend, times))
        sides: dict[str, Side] = {s3.root: s3}
        cloud: dict[str, Any] = {s3.root: s3_backend}
        if azurite:
            blobs = AzureSide(azurite)
            azure_backend = blobs.backend(**(azure_options or {}))
            blobs.start(AzureValidator(azure_backend, times))
            sides[blobs.root] = blobs
            cloud[blobs.root] = azure_backend
        settings = {"data": self._folder / name, "roots": ("Slides", *cloud), **self._settings, **settings}
        sandbox = Sandbox(Settings(cloud=cloud, url_expiry=times, **settings)).start()
        started = CloudSandbox(sandbox, sides, times)
        self._closing.callback(started.stop)
        self._started.append(started)
        return started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for started in self._started:
            started.ask_to_stop()
        self._closing.close()
