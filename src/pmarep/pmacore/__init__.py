"""PMA.core's HTTP interface: the only room that knows its URLs."""

from .client import PmaCore
from .connection import Connection
from .errors import (
    CertificateRefused,
    CredentialsRefused,
    NotFound,
    PermissionDenied,
    PmaCoreError,
    ProtocolError,
    ProxyRefused,
    Redirected,
    Refused,
    ServerError,
    TlsError,
    TransferBroken,
    Unreachable,
)
from .models import Announcement, FileToSend, MultipartFile, Part, RemoteFile, StorageKind, UploadStatus

__all__ = [
    "Announcement",
    "CertificateRefused",
    "Connection",
    "CredentialsRefused",
    "FileToSend",
    "MultipartFile",
    "NotFound",
    "Part",
    "PermissionDenied",
    "PmaCore",
    "PmaCoreError",
    "ProtocolError",
    "ProxyRefused",
    "Redirected",
    "Refused",
    "RemoteFile",
    "ServerError",
    "StorageKind",
    "TlsError",
    "TransferBroken",
    "Unreachable",
    "UploadStatus",
]
