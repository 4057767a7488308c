"""Ways of sending a slide's files, one module per storage kind."""

from __future__ import annotations

from collections.abc import Callable

from ..pmacore import PmaCoreError, StorageKind
from .base import Shipment, Uploader
from .filesystem import FileSystemUploader
from .link import Clock, Delivery, Link, Pacer

_UPLOADERS: dict[StorageKind, Callable[[Shipment], Uploader]] = {
    StorageKind.FILESYSTEM: FileSystemUploader,
}


def uploader_for(shipment: Shipment) -> Uploader:
    """Raises PmaCoreError for a storage kind that this version cannot send to."""
    kind = shipment.announcement.kind
    if kind not in _UPLOADERS:
        raise PmaCoreError(f"this root-directory lies on {kind.name} storage, which this version cannot send to")
    return _UPLOADERS[kind](shipment)


__all__ = ["Clock", "Delivery", "Link", "Pacer", "Shipment", "Uploader", "uploader_for"]
