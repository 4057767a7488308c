"""Ways of sending a slide's files, one module per storage kind."""

from __future__ import annotations

from collections.abc import Callable

from ..pmacore import StorageKind
from .azure import AzureUploader
from .base import Means, Old, Sent, Shipment, Uploader, announced
from .controller import NEAR, Controller, Line
from .delivery import Delivery
from .digests import Digests
from .filesystem import FileSystemUploader
from .link import Link
from .pacer import Pacer
from .s3 import S3Uploader
from .storage import Storage, still_live
from .upload_ids import NO_SESSION, HeldId, UploadIds

_UPLOADERS: dict[StorageKind, Callable[[Shipment], Uploader]] = {
    StorageKind.FILESYSTEM: FileSystemUploader,
    StorageKind.S3: S3Uploader,
    StorageKind.AZURE: AzureUploader,
}


def uploader_for(shipment: Shipment) -> Uploader:
    """Raises PmaCoreError if the announcement cannot be followed."""
    uploader = _UPLOADERS[shipment.announcement.kind](shipment)
    uploader.check()
    return uploader


__all__ = [
    "NEAR",
    "NO_SESSION",
    "Controller",
    "Delivery",
    "Digests",
    "HeldId",
    "Line",
    "Link",
    "Means",
    "Old",
    "Pacer",
    "Sent",
    "Shipment",
    "Storage",
    "UploadIds",
    "Uploader",
    "announced",
    "still_live",
    "uploader_for",
]
