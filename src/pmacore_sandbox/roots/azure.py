"""An object store in an Azure container, by azure-storage-blob, with the SAS URLs by which clients write to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobPrefix, BlobProperties, BlobSasPermissions, BlobServiceClient, generate_blob_sas

from ..buckets import AzureContainer, UrlExpiry
from ..models import AnnouncedFile, UploadType
from ..refusals import Refusal
from .object_store import StoredObject

_WRITE = BlobSasPermissions(create=True, write=True)
_READ = BlobSasPermissions(read=True)


class AzureObjectStore:
    """The blobs of a container. Each announced file gets one SAS URL to create and write it, not to read it."""

    kind = UploadType.Azure
    # Blocks outlive their announcement under the blob's name, and so do the blobs that it had committed.
    resumes_uploads = True

    def __init__(self, backend: AzureContainer, times: UrlExpiry) -> None:
        self._backend = backend
        self._times = times
        credential = {"account_name": backend.account, "account_key": backend.key}
        service = BlobServiceClient(backend.endpoint, credential, connection_timeout=10)
        self._container = service.get_container_client(backend.container)

    def list_all(self, prefix: str) -> Iterator[StoredObject]:
        with _errors_as_refusals():
            for blob in self._container.list_blobs(name_starts_with=prefix):
                yield _stored(blob)

    def list_level(self, prefix: str) -> tuple[list[StoredObject], list[str]]:
        objects: list[StoredObject] = []
        prefixes: list[str] = []
        with _errors_as_refusals():
            for item in self._container.walk_blobs(name_starts_with=prefix, delimiter="/"):
                if isinstance(item, BlobPrefix):
                    prefixes.append(item.name)
                else:
                    objects.append(_stored(item))
        return objects, prefixes

    def has_prefix(self, prefix: str) -> bool:
        with _errors_as_refusals():
            return any(True for _ in self._container.list_blobs(name_starts_with=prefix, results_per_page=1))

    def stat(self, key: str) -> StoredObject | None:
        with _errors_as_refusals():
            try:
                return _stored(self._container.get_blob_client(key).get_blob_properties())
            except ResourceNotFoundError:
                return None

    def set_marker(self, key: str) -> str:
        """Return the blob's ETag, which Azure changes at every write."""
        found = self.stat(key)
        return found.tag if found else ""

    def read_marker(self, key: str) -> str | None:
        return self.set_marker(key)

    def put_empty(self, key: str) -> None:
        with _errors_as_refusals():
            self._container.get_blob_client(key).upload_blob(b"")

    def delete(self, key: str) -> None:
        with _errors_as_refusals():
            self._container.delete_blob(key)

    def read_chunks(self, key: str) -> Iterator[bytes]:
        with _errors_as_refusals():
            yield from self._container.download_blob(key).chunks()

    def download_url(self, key: str) -> str:
        return self._signed(key, _READ, raw_spaces=False)

    def upload_urls(self, files: Sequence[tuple[str, AnnouncedFile]]) -> dict[str, Any]:
        return {"Urls": [self._signed(key, _WRITE, raw_spaces=self._backend.raw_spaces) for key, _ in files]}

    def complete_multipart(self, _key: str, _upload_id: str, _parts: Sequence[tuple[int, str]]) -> None:
        raise Refusal("Only files of an S3 upload have parts")

    def _signed(self, key: str, permission: BlobSasPermissions, *, raw_spaces: bool) -> str:
        backend = self._backend
        sas = generate_blob_sas(
            backend.account,
            backend.container,
            key,
            account_key=backend.key,
            permission=permission,
            expiry=self._times.end,
        )
        path = quote(f"{backend.container}/{key}", safe="/~ " if raw_spaces else "/~")
        return f"{backend.public_endpoint or backend.endpoint}/{path}?{sas}"


def _stored(blob: BlobProperties) -> StoredObject:
    changed = int(blob.last_modified.timestamp()) * 1_000_000_000
    return StoredObject(blob.name, blob.size, changed, blob.etag.strip('"'))


@contextmanager
def _errors_as_refusals() -> Iterator[None]:
    """Turn Azure's errors into what a PMA.core that does not catch them answers: a Refusal with status 500."""
    try:
        yield
    except HttpResponseError as error:
        raise Refusal(f"Azure refused: {getattr(error, 'error_code', None) or error.status_code}", status=500) from None
    except AzureError as error:
        raise Refusal(f"Azure failed: {type(error).__name__}", status=500) from None
