"""The protocol of a root-directory, whatever it is stored in.

Paths here are tuples of names below the root-directory. A FileSystem root takes and gives the bytes itself; those in a
cloud answer announcements with the URLs to send to, and downloads with a URL to get from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..models import AnnouncedFile, StoredFile, Upload, UploadType
from ..paths import Parts


class RootDirectory(Protocol):
    """One root-directory. All methods may block and are called from worker threads; all raise Refusal."""

    name: str
    kind: UploadType
    resumes_uploads: bool
    """True if announcing an unfinished upload again continues it, so that files which it brought stay complete."""

    def match_key(self, path: Parts) -> Parts:
        """Return what is equal for all spellings of a path that mean one file here."""

    def check_name(self, name: str) -> None:
        """Refuse a name that this kind cannot store."""

    def folders(self, folder: Parts) -> list[Parts]:
        """Return the folders in a folder. Refuses a folder that does not exist."""

    def files(self, folder: Parts) -> list[StoredFile]:
        """Return the files in a folder, in order of name. Refuses a folder that does not exist."""

    def files_below(self, folder: Parts) -> Iterator[StoredFile]:
        """Yield all files in a folder and in its sub-folders; none where there is no such folder."""

    def find(self, path: Parts) -> StoredFile | None:
        """Return the file at a path, or None."""

    def find_all(self, paths: Iterable[Parts]) -> dict[Parts, StoredFile]:
        """Return those of some files that are there, by the paths that were asked about."""

    def has_folder(self, folder: Parts) -> bool:
        """Return whether a folder exists."""

    def make_folder(self, folder: Parts) -> None:
        """Make one folder in an existing one. Refuses one that exists."""

    def check_placeable(self, folder: Parts, files: list[AnnouncedFile]) -> None:
        """Refuse files that could not come to lie in `folder`."""

    def version_marker(self, path: Parts, /) -> str | None:
        """Return a marker of the object at a path, which a later write changes; None where nothing lies."""

    def have_arrived(self, files: Sequence[tuple[Parts, AnnouncedFile]], /) -> list[bool]:
        """Return of each announced file whether a client wrote it to the storage: whole, and newer than its marker."""

    def upload_urls(self, upload: Upload, /) -> dict[str, Any]:
        """Return `Urls` and `MultipartFiles` of an announcement's answer."""

    def complete_multipart(self, path: Parts, upload_id: str, parts: Sequence[tuple[int, str]], /) -> None:
        """Put a file together from its parts (number, ETag)."""

    def delete(self, files: list[StoredFile]) -> None:
        """Delete the files of a slide, main file last in the list, and the slide's own folders when they are empty."""

    def sha256(self, file: StoredFile) -> bytes:
        """Return the digest of a file."""

    def read(self, file: StoredFile) -> bytes:
        """Return the whole contents of a small file."""

    def download_source(self, file: StoredFile) -> Path | str:
        """Return where clients get the bytes of a file: from this server, out of a file, or from a URL."""
