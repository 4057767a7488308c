"""What is behind a root-directory: one class per kind, all behind one Protocol.

Paths here are tuples of names below the root-directory. A new kind (S3, Azure) is one more class: it answers
announcements with the URLs to send to, and downloads with a URL to get from. Only FileSystem takes bytes itself.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .names import Parts

if TYPE_CHECKING:
    from .uploads import AnnouncedFile, Upload


class UploadType(enum.Enum):
    """The value is the number in an announcement's answer, the name the other spelling (protocol.md, "Upload")."""

    FileSystem = 0
    AmazonS3 = 1
    Azure = 2


@dataclass(frozen=True)
class StoredFile:
    """A file as it lies in a root-directory. `path` is spelled as stored, from the root-directory down."""

    path: Parts
    size: int
    mtime_ns: int


class Storage(Protocol):
    """One root-directory. All methods may block and are called from worker threads; all raise Refusal."""

    name: str
    kind: UploadType

    def check_name(self, name: str) -> None:
        """Refuse a name that this kind cannot store."""

    def folders(self, folder: Parts) -> list[Parts]:
        """The folders in a folder. Refuses a folder that does not exist."""

    def files(self, folder: Parts) -> list[StoredFile]:
        """The files in a folder, in order of name. Refuses a folder that does not exist."""

    def files_below(self, folder: Parts) -> Iterator[StoredFile]:
        """All files in a folder and in its sub-folders; none where there is no such folder."""

    def find(self, path: Parts) -> StoredFile | None: ...

    def has_folder(self, folder: Parts) -> bool: ...

    def make_folder(self, folder: Parts) -> None:
        """Make one folder in an existing one. Refuses one that exists."""

    def check_free(self, folder: Parts, files: list[AnnouncedFile]) -> None:
        """Refuse files that could not come to lie in `folder`."""

    def destinations(self, _upload: Upload) -> dict[str, Any]:
        """`Urls` and `MultipartFiles` of an announcement's answer."""

    def delete(self, files: list[StoredFile]) -> None:
        """Delete the files of a slide, main file last in the list, and the slide's own folders when they are empty."""

    def sha256(self, file: StoredFile) -> bytes: ...

    def read(self, file: StoredFile) -> Path:
        """Where the bytes of a file are, to stream them to a client."""
