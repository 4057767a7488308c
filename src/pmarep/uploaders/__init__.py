"""Ways of sending a slide's files, one module per storage kind."""

from __future__ import annotations

from collections.abc import Callable

from ..pmacore import StorageKind
from .azure import AzureUploader
from .base import Replaced, SlideUpload, TransferCounts, UploadContext, Uploader, announced
from .digests import Digests
from .filesystem import FileSystemUploader
from .presigned import PresignedClient, still_live
from .s3 import S3Uploader
from .transport.body import UploadBody
from .transport.concurrency import NEAR, AdaptiveConcurrency, SharedUplink
from .transport.rate_limit import RateLimiter
from .transport.scheduler import RequestScheduler
from .upload_ids import NO_SESSION, HeldId, UploadIds

_UPLOADERS: dict[StorageKind, Callable[[SlideUpload], Uploader]] = {
    StorageKind.FILESYSTEM: FileSystemUploader,
    StorageKind.S3: S3Uploader,
    StorageKind.AZURE: AzureUploader,
}


def uploader_for(upload: SlideUpload) -> Uploader:
    """Raises PmaCoreError if the announcement cannot be followed."""
    uploader = _UPLOADERS[upload.announcement.kind](upload)
    uploader.check()
    return uploader


__all__ = [
    "NEAR",
    "NO_SESSION",
    "AdaptiveConcurrency",
    "Digests",
    "HeldId",
    "PresignedClient",
    "RateLimiter",
    "Replaced",
    "RequestScheduler",
    "SharedUplink",
    "SlideUpload",
    "TransferCounts",
    "UploadBody",
    "UploadContext",
    "UploadIds",
    "Uploader",
    "announced",
    "still_live",
    "uploader_for",
]
