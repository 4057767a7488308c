"""Send a slide's files to a site: one module per storage kind, and `transport/` which schedules their requests."""

from __future__ import annotations

from collections.abc import Callable

from ..pmacore import StorageKind
from .azure import AzureUploader
from .base import Replaced, SlideUpload, TransferCounts, UploadContext, Uploader, announced
from .digests import Digests
from .filesystem import FileSystemUploader
from .presigned import PresignedClient, is_live
from .s3 import S3Uploader
from .transport.body import UploadBody
from .transport.scheduler import RequestScheduler
from .upload_ids import NO_SESSION, UploadIdLease, UploadIds

_UPLOADERS: dict[StorageKind, Callable[[SlideUpload], Uploader]] = {
    StorageKind.FILESYSTEM: FileSystemUploader,
    StorageKind.S3: S3Uploader,
    StorageKind.AZURE: AzureUploader,
}


def uploader_for(upload: SlideUpload) -> Uploader:
    """Return the uploader of the announcement's storage kind. Raises PmaCoreError if it cannot be followed."""
    uploader = _UPLOADERS[upload.announcement.kind](upload)
    uploader.check()
    return uploader


__all__ = [
    "NO_SESSION",
    "Digests",
    "PresignedClient",
    "Replaced",
    "RequestScheduler",
    "SlideUpload",
    "TransferCounts",
    "UploadBody",
    "UploadContext",
    "UploadIdLease",
    "UploadIds",
    "Uploader",
    "announced",
    "is_live",
    "uploader_for",
]
