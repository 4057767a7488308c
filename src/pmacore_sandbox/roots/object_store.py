"""A root-directory in a bucket or container: folders are what keys have in common up to a `/`.

An empty object `folder/` keeps a folder that has nothing in it. Names match exactly: object storages know no other way.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Protocol

from ..models import AnnouncedFile, StoredFile, Upload, UploadType
from ..paths import Parts, check_windows_name, fold, join
from ..refusals import NotFoundRefusal, Refusal

_LONGEST_KEY = 1024  # bytes in S3, characters in Azure
_MOST_LISTED = 1000
"""What S3 lists in one answer. With more below a folder, its files are asked about one by one."""


@dataclass(frozen=True)
class StoredObject:
    """An object or blob; `tag` is its ETag."""

    key: str
    size: int
    mtime_ns: int
    tag: str


class ObjectStore(Protocol):
    """The objects of a bucket or the blobs of a container; keys are whole. All methods raise Refusal."""

    kind: UploadType
    resumes_uploads: bool

    def list_all(self, prefix: str) -> Iterator[StoredObject]:
        """Yield all objects whose key begins with a prefix."""

    def list_level(self, prefix: str) -> tuple[list[StoredObject], list[str]]:
        """Return the objects of one level, and the prefixes of the next level, which end in `/`."""

    def has_prefix(self, prefix: str) -> bool:
        """Return whether any key begins with a prefix."""

    def stat(self, key: str) -> StoredObject | None:
        """Return the facts about an object, or None."""

    def set_marker(self, key: str) -> str:
        """Return a marker of an existing object that is gone when it is written again; set one if it has none."""

    def read_marker(self, key: str) -> str | None:
        """Return the marker of an object without setting one."""

    def put_empty(self, key: str) -> None:
        """Write an object of 0 bytes."""

    def delete(self, key: str) -> None:
        """Delete an object."""

    def read_chunks(self, key: str) -> Iterator[bytes]:
        """Yield the contents of an object."""

    def download_url(self, key: str) -> str:
        """Return a signed URL to read an object."""

    def upload_urls(self, files: Sequence[tuple[str, AnnouncedFile]]) -> dict[str, Any]:
        """Return `Urls` and `MultipartFiles` of an announcement's answer for files with their keys."""

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], /) -> None:
        """Put an object together from its parts (number, ETag)."""


class ObjectStoreRoot:
    """A root-directory in an object store, below `prefix`: all that S3 and Azure have in common."""

    def __init__(self, name: str, objects: ObjectStore, prefix: str) -> None:
        self.name = name
        self.kind = objects.kind
        self.resumes_uploads = objects.resumes_uploads
        self._objects = objects
        self._prefix = prefix
        self._digests: dict[tuple[str, str], bytes] = {}
        self._large_folders: set[Parts] = set()
        self._lock = threading.Lock()  # makes "look, then create" one step

    def match_key(self, path: Parts) -> Parts:
        return path

    def check_name(self, name: str) -> None:
        # An object may have any name, but PMA.core is a Windows program that handles it as a path.
        check_windows_name(name)

    def folders(self, folder: Parts) -> list[Parts]:
        _, prefixes = self._level(folder)
        return sorted((self._path(prefix[:-1]) for prefix in prefixes), key=_by_name)

    def files(self, folder: Parts) -> list[StoredFile]:
        objects, _ = self._level(folder)
        files = (self._stored(one) for one in objects if not one.key.endswith("/"))
        return sorted(files, key=lambda file: _by_name(file.path))

    def files_below(self, folder: Parts) -> Iterator[StoredFile]:
        for one in self._objects.list_all(self._folder_key(folder)):
            if not one.key.endswith("/"):
                yield self._stored(one)

    def find(self, path: Parts) -> StoredFile | None:
        found = self._objects.stat(self._key(path)) if path else None
        return None if found is None else self._stored(found)

    def find_all(self, paths: Iterable[Parts]) -> dict[Parts, StoredFile]:
        """Return several files by one listing, unless too much lies beside them."""
        wanted = set(paths)
        levels = zip(*(path[:-1] for path in wanted), strict=False)
        folder = tuple(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))
        if len(wanted) > 2 and folder not in self._large_folders:
            listed = list(islice(self._objects.list_all(self._folder_key(folder)), _MOST_LISTED + 1))
            if len(listed) <= _MOST_LISTED:
                return {file.path: file for file in map(self._stored, listed) if file.path in wanted}
            self._large_folders.add(folder)
        return {path: found for path in wanted if (found := self.find(path)) is not None}

    def has_folder(self, folder: Parts) -> bool:
        return not folder or self._objects.has_prefix(self._folder_key(folder))

    def make_folder(self, folder: Parts) -> None:
        if not folder:
            raise Refusal(f"{self.name} exists already")
        self.check_name(folder[-1])
        with self._lock:
            if not self.has_folder(folder[:-1]):
                raise NotFoundRefusal(f"The folder {join(self.name, *folder[:-1])} does not exist")
            if self.has_folder(folder) or self.find(folder) is not None:
                raise Refusal(f"{join(self.name, *folder)} exists already")
            self._objects.put_empty(self._folder_key(folder))

    def check_placeable(self, folder: Parts, files: list[AnnouncedFile]) -> None:
        for file in files:
            key = self._key(folder + file.parts)
            if len(key.encode()) > _LONGEST_KEY:
                raise Refusal(f"The path {file.path[:40]!r}... is too long for the storage")

    def version_marker(self, path: Parts) -> str | None:
        key = self._key(path)
        return None if self._objects.stat(key) is None else self._objects.set_marker(key)

    def have_arrived(self, files: Sequence[tuple[Parts, AnnouncedFile]]) -> list[bool]:
        there = self.find_all(path for path, _ in files)
        return [
            path in there
            and there[path].size == file.length
            and (file.previous_marker is None or self._objects.read_marker(self._key(path)) != file.previous_marker)
            for path, file in files
        ]

    def upload_urls(self, upload: Upload) -> dict[str, Any]:
        return self._objects.upload_urls([(self._key(upload.path(file)), file) for file in upload.files.values()])

    def complete_multipart(self, path: Parts, upload_id: str, parts: Sequence[tuple[int, str]]) -> None:
        self._objects.complete_multipart(self._key(path), upload_id, parts)

    def delete(self, files: list[StoredFile]) -> None:
        folders = set()
        for file in files:
            self._objects.delete(self._key(file.path))
            folders |= {file.path[:depth] for depth in range(len(files[-1].path), len(file.path))}
        for folder in sorted(folders, key=len, reverse=True):
            marker = self._folder_key(folder)
            if [one.key for one in self._objects.list_all(marker)] == [marker]:
                self._objects.delete(marker)

    def sha256(self, file: StoredFile) -> bytes:
        """Return the digest of a file, cached as long as its ETag is the same."""
        key = self._key(file.path)
        known = self._digests.get((key, file.tag))
        if known is None:
            digest = hashlib.sha256()
            for chunk in self._objects.read_chunks(key):
                digest.update(chunk)
            known = self._digests[key, file.tag] = digest.digest()
        return known

    def read(self, file: StoredFile) -> bytes:
        return b"".join(self._objects.read_chunks(self._key(file.path)))

    def download_source(self, file: StoredFile) -> str:
        return self._objects.download_url(self._key(file.path))

    def _level(self, folder: Parts) -> tuple[list[StoredObject], list[str]]:
        objects, prefixes = self._objects.list_level(self._folder_key(folder))
        if folder and not objects and not prefixes:
            raise NotFoundRefusal(f"The folder {join(self.name, *folder)} does not exist")
        return objects, prefixes

    def _key(self, path: Parts) -> str:
        return self._prefix + "/".join(path)

    def _folder_key(self, folder: Parts) -> str:
        return self._key(folder) + "/" if folder else self._prefix

    def _path(self, key: str) -> Parts:
        return tuple(key.removeprefix(self._prefix).split("/"))

    def _stored(self, found: StoredObject) -> StoredFile:
        return StoredFile(self._path(found.key), found.size, found.mtime_ns, found.tag)


def _by_name(path: Parts) -> str:
    return fold(path[-1])
