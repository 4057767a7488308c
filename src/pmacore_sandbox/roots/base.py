"""What is behind a root-directory: one class per kind, all behind one Protocol.

Paths here are tuples of names below the root-directory. FileSystem takes and gives the bytes itself; the cloud kinds
answer announcements with the URLs to send to, and downloads with a URL to get from.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..paths import Parts

if TYPE_CHECKING:
    from ..uploads import AnnouncedFile, Upload


class UploadType(enum.Enum):
    """The value is the number in an announcement's answer, the name the other spelling (`pma_python` reads both)."""

    FileSystem = 0
    AmazonS3 = 1
    Azure = 2


@dataclass(frozen=True)
class StoredFile:
    """A file as it lies in a root-directory. `path` is spelled as stored, from the root-directory down.

    `tag`: the ETag of cloud storages.
    """

    path: Parts
    size: int
    mtime_ns: int
    tag: str = ""


class RootDirectory(Protocol):
    """One root-directory. All methods may block and are called from worker threads; all raise Refusal."""

    name: str
    kind: UploadType
    continues: bool
    """Whether announcing an unfinished upload again goes on with it, so that files which it brought stay complete."""

    def key(self, path: Parts) -> Parts:
        """The same for all spellings of a path that mean one file here."""

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

    def mark(self, path: Parts, /) -> str | None:
        """Mark what lies at a path, so that `has_arrived` can tell a later write from it; None where nothing lies."""

    def has_arrived(self, path: Parts, file: AnnouncedFile, /) -> bool:
        """Whether an announced file was written without this server seeing it: there, whole, and not `file.before`."""

    def destinations(self, upload: Upload, /) -> dict[str, Any]:
        """`Urls` and `MultipartFiles` of an announcement's answer."""

    def complete_multipart(self, path: Parts, upload_id: str, parts: Sequence[tuple[int, str]], /) -> None:
        """Put a file together of its parts (number, ETag)."""

    def delete(self, files: list[StoredFile]) -> None:
        """Delete the files of a slide, main file last in the list, and the slide's own folders when they are empty."""

    def sha256(self, file: StoredFile) -> bytes: ...

    def read(self, file: StoredFile) -> bytes:
        """The whole contents of a small file."""

    def source(self, file: StoredFile) -> Path | str:
        """Where clients get the bytes of a file: from us, out of this file, or from this URL."""
