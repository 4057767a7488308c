"""An object store in an S3 bucket, by boto3, with the presigned URLs by which clients write to it."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..buckets import S3Bucket, UrlExpiry
from ..models import AnnouncedFile, UploadType
from ..refusals import Refusal
from ..sigv4 import Signer
from .object_store import StoredObject

_MARK = "pmarep-sandbox-mark"
_CHUNK = 1 << 20
_MOST_PARTS = 10_000


class S3ObjectStore:
    """The objects of a bucket. An announced file above the threshold gets a multipart upload, all parts presigned."""

    kind = UploadType.AmazonS3
    # Nothing of an unfinished multipart upload serves another one, and a file that lies there may be of any age.
    resumes_uploads = False

    def __init__(self, backend: S3Bucket, times: UrlExpiry) -> None:
        self._backend = backend
        self._times = times
        self._signer = Signer(backend.access_key, backend.secret_key, backend.region)
        key = backend.access_key, backend.secret_key
        self._s3 = _client(backend.endpoint, backend.region, key)
        self._urls = _client(backend.endpoint, backend.region, None)
        self._bucket = {"Bucket": backend.bucket}

    def list_all(self, prefix: str) -> Iterator[StoredObject]:
        with _errors_as_refusals():
            for page in self._s3.get_paginator("list_objects_v2").paginate(**self._bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield _stored(item["Key"], item["Size"], item)

    def list_level(self, prefix: str) -> tuple[list[StoredObject], list[str]]:
        objects: list[StoredObject] = []
        prefixes: list[str] = []
        with _errors_as_refusals():
            pages = self._s3.get_paginator("list_objects_v2").paginate(**self._bucket, Prefix=prefix, Delimiter="/")
            for page in pages:
                objects += [_stored(item["Key"], item["Size"], item) for item in page.get("Contents", ())]
                prefixes += [item["Prefix"] for item in page.get("CommonPrefixes", ())]
        return objects, prefixes

    def has_prefix(self, prefix: str) -> bool:
        with _errors_as_refusals():
            return bool(self._s3.list_objects_v2(**self._bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"))

    def stat(self, key: str) -> StoredObject | None:
        with _errors_as_refusals():
            try:
                head = self._s3.head_object(**self._bucket, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise
        return _stored(key, head["ContentLength"], head)

    def set_marker(self, key: str) -> str:
        """Set an object tag, which S3 drops at the next write: two writes in a second can have equal ETag and time."""
        mark = self.read_marker(key)
        if mark is None:
            mark = secrets.token_hex(8)
            with _errors_as_refusals():
                self._s3.put_object_tagging(
                    **self._bucket, Key=key, Tagging={"TagSet": [{"Key": _MARK, "Value": mark}]}
                )
        return mark

    def read_marker(self, key: str) -> str | None:
        with _errors_as_refusals():
            tags = self._s3.get_object_tagging(**self._bucket, Key=key)["TagSet"]
        return next((tag["Value"] for tag in tags if tag["Key"] == _MARK), None)

    def put_empty(self, key: str) -> None:
        with _errors_as_refusals():
            self._s3.put_object(**self._bucket, Key=key, Body=b"")

    def delete(self, key: str) -> None:
        with _errors_as_refusals():
            self._s3.delete_object(**self._bucket, Key=key)

    def read_chunks(self, key: str) -> Iterator[bytes]:
        with _errors_as_refusals():
            yield from self._s3.get_object(**self._bucket, Key=key)["Body"].iter_chunks(_CHUNK)

    def download_url(self, key: str) -> str:
        return self._presigned("GET", "get_object", Key=key)

    def upload_urls(self, files: Sequence[tuple[str, AnnouncedFile]]) -> dict[str, Any]:
        listed = {file.path: self._begin(key, file) for key, file in files if self._in_parts(file.length)}
        urls = [None if file.path in listed else self._presigned("PUT", "put_object", Key=key) for key, file in files]
        answer: dict[str, Any] = {"Urls": urls}
        if self._backend.multipart:
            answer["MultipartFiles"] = list(listed.values())
        return answer

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        listed = [{"PartNumber": number, "ETag": f'"{tag}"'} for number, tag in parts]
        with _errors_as_refusals():
            self._s3.complete_multipart_upload(
                **self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
            )

    def _in_parts(self, length: int) -> bool:
        return self._backend.multipart and length > self._backend.threshold

    def _begin(self, key: str, file: AnnouncedFile) -> dict[str, Any]:
        with _errors_as_refusals():
            upload_id = self._s3.create_multipart_upload(**self._bucket, Key=key)["UploadId"]
        size = max(self._backend.part_size, -(-file.length // _MOST_PARTS))
        parts = [
            {
                "PartNumber": number,
                "Url": self._presigned("PUT", "upload_part", Key=key, UploadId=upload_id, PartNumber=number),
                "RangeStart": start,
                "RangeEnd": min(start + size, file.length) - 1,
            }
            for number, start in enumerate(range(0, file.length, size), 1)
        ]
        return {"FilePath": file.path, "UploadId": upload_id, "Parts": parts}

    def _presigned(self, method: str, operation: str, **arguments: Any) -> str:
        bare = self._urls.generate_presigned_url(operation, {**self._bucket, **arguments})
        if self._backend.endpoint and self._backend.public_endpoint:
            bare = self._backend.public_endpoint.rstrip("/") + bare.removeprefix(self._backend.endpoint.rstrip("/"))
        return self._signer.sign(method, bare, self._times.now(), self._times.lifetime)


@functools.lru_cache(maxsize=16)
def _client(endpoint: str | None, region: str, key: tuple[str, str] | None) -> Any:
    """Return a client with this access and secret key; without one, for bare URLs. Making one costs 30 ms of CPU."""
    access, secret = key or (None, None)
    return _session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=Config(
            signature_version=None if key else UNSIGNED,
            s3={"addressing_style": "path" if endpoint else "auto"},
            max_pool_connections=32,
            connect_timeout=10,
            request_checksum_calculation="when_required",  # not every S3 knows Amazon's newer ones
            response_checksum_validation="when_required",
        ),
    )


@functools.cache
def _session() -> Any:
    """Return one boto3 session for all: each new one would read Amazon's description of S3 again."""
    return boto3.session.Session()


def _stored(key: str, size: int, facts: dict[str, Any]) -> StoredObject:
    changed: datetime = facts["LastModified"]
    return StoredObject(key, size, int(changed.timestamp()) * 1_000_000_000, facts["ETag"].strip('"'))


@contextmanager
def _errors_as_refusals() -> Iterator[None]:
    """Turn S3's errors into what a PMA.core that does not catch them answers: a Refusal with status 500."""
    try:
        yield
    except ClientError as error:
        of = error.response.get("Error", {})
        raise Refusal(f"S3 refused: {of.get('Code')}: {of.get('Message')}", status=500) from None
    except BotoCoreError as error:
        raise Refusal(f"S3 failed: {type(error).__name__}", status=500) from None
