"""Values that all of the sandbox shares: uploads, their files, and files as a root-directory holds them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .paths import Parts, fold_parts, strip_ending

PathKey = tuple[str, Parts]
"""A root-directory in upper case and a path in it, folded where case does not matter: equal for one file."""


class UploadType(enum.Enum):
    """The kind of an upload: the value is the number in an announcement's answer, the name its other spelling.

    `pma_python` reads both.
    """

    FileSystem = 0
    AmazonS3 = 1
    Azure = 2


@dataclass(frozen=True)
class StoredFile:
    """A file that lies in a root-directory; `path` is spelled as stored, from the root-directory down.

    `tag`: the ETag of cloud storages.
    """

    path: Parts
    size: int
    mtime_ns: int
    tag: str = ""


@dataclass
class AnnouncedFile:
    """One file of an announcement; `path` is relative to the announced folder, `length` is in bytes.

    `previous_marker`: the version marker of the object that lay there when it was announced, or None.
    `multipart_id`: the id of S3's multipart upload of this file.
    """

    path: str
    length: int
    is_main: bool
    complete: bool = False
    previous_marker: str | None = None
    multipart_id: str | None = None

    @property
    def parts(self) -> Parts:
        """The path as it is stored: dots and blanks at the end of names get here only where they are dropped."""
        return tuple(map(strip_ending, self.path.split("/")))


@dataclass
class Upload:
    """One announcement: the files of one slide that may be sent to `folder` of the root-directory `root`."""

    id: int
    root: str
    folder: Parts
    files: dict[str, AnnouncedFile] = field(repr=False)
    exact: bool = False  # names match exactly, not ignoring case
    forgotten: bool = False  # the server was restarted and knows the id no more
    finished: bool = False  # a client has asked, and was told that all files are complete

    @property
    def main(self) -> AnnouncedFile:
        """The slide's main file."""
        return next(file for file in self.files.values() if file.is_main)

    @property
    def missing(self) -> list[AnnouncedFile]:
        """The files that have not arrived."""
        return [file for file in self.files.values() if not file.complete]

    @property
    def complete(self) -> bool:
        """True when all files have arrived."""
        return not self.missing

    def path(self, file: AnnouncedFile) -> Parts:
        """Return where a file comes to lie, from the root-directory down."""
        return self.folder + file.parts

    def key(self, file: AnnouncedFile) -> PathKey:
        """Return the key of a file's path."""
        return path_key(self.root, self.path(file), exact=self.exact)


def path_key(root: str, path: Parts, *, exact: bool) -> PathKey:
    """Return what is equal for all spellings of one path; `exact`: the root-directory distinguishes case."""
    return root.upper(), path if exact else fold_parts(path)
