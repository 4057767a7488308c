"""The listing of a folder, read once: names and kinds, and no stat() that is not needed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from ..errors import internal_error
from ..system.open_files import TOO_MANY_OPEN_FILES
from .file_names import is_system_name, normalized_key, placeholder_of
from .links import LinkPolicy, is_linked_folder
from .model import Cause, Kind, Why

Scandir = Callable[[str], AbstractContextManager[Iterator["os.DirEntry[str]"]]]


_TRIES, _PAUSE = 600, 0.1  # seconds

_MAX_PATH = 260  # characters; Windows counts a NUL at the end (learn.microsoft.com, Maximum Path Length Limitation)
TOO_LONG = (
    "not there, or its path is too long for Windows' default of 259 characters; enable long paths (LongPathsEnabled), "
    "or push from a folder nearer to the drive's root"
)


NOT_FILE_OR_FOLDER = "neither a file nor a folder"
"""A pipe, a socket, a device."""
OFFLINE = "in a cloud, not downloaded to this machine"

# FILE_ATTRIBUTE_OFFLINE, _RECALL_ON_OPEN and _RECALL_ON_DATA_ACCESS (winnt.h): OneDrive, tape libraries. Reading such a
# file fetches it, or fails without a network.
_RECALL = 0x1000 | 0x40000 | 0x400000
_DATALESS = 0x40000000  # SF_DATALESS (macOS, sys/stat.h): iCloud since macOS 14


class UnusableEntry(NamedTuple):
    """Something in a folder that cannot be used, and why; the rest as in LeftOut."""

    why: Why
    detail: str
    cause: Cause = Cause.USUAL
    kind: Kind = Kind.UNKNOWN
    files: int = 0


class LoopError(Exception):
    """A folder that is already on the way to itself: a link, a junction or a bind mount leads back."""


def _when_there_is_room(scandir: Scandir, path: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    """Open a folder, waiting (blocked) while too many files are open: sending is about to close some."""
    for _ in range(_TRIES):
        try:
            return scandir(path)
        except OSError as error:
            if error.errno not in TOO_MANY_OPEN_FILES:
                raise
        time.sleep(_PAUSE)
    return scandir(path)


class Folder:
    """The listing of one folder. A link that is followed is what it leads to: without `links`, each of them.

    `files` and `folders` are what can be used, by name as on disk; `unusable` is the rest, with the reason. The
    operating system's entries are kept since a stat() is made through them (`info_of`) only where a slide needs it.
    Raises OSError or LoopError.
    """

    __slots__ = (
        "_alike",
        "_kept",
        "_links",
        "_local",
        "_parent",
        "_scandir",
        "files",
        "folders",
        "key",
        "path",
        "unusable",
    )

    def __init__(
        self, path: str, scandir: Scandir = os.scandir, parent: Folder | None = None, links: LinkPolicy | None = None
    ) -> None:
        self.path = path
        self._links = links
        self._parent = parent
        self._scandir = scandir
        self._local: Path | None = None
        self._alike: dict[str, list[os.DirEntry[str]]] | None = None
        self._kept: dict[str, Folder] = {}
        info = os.stat(path)  # noqa: PTH116  (not from the entry: on Windows that has no st_ino)
        self.key = (info.st_dev, info.st_ino)
        self._refuse_loop()
        self.files: dict[str, os.DirEntry[str]] = {}
        self.folders: dict[str, os.DirEntry[str]] = {}
        self.unusable: dict[str, UnusableEntry] = {}
        with _when_there_is_room(scandir, path) as entries:
            self._sort_in(entries)

    def _refuse_loop(self) -> None:
        above = self._parent
        while above is not None:
            if above.key == self.key:
                raise LoopError("a link back to a folder above it")
            above = above._parent

    def _sort_in(self, entries: Iterator[os.DirEntry[str]]) -> None:
        files, folders, unusable, links = self.files, self.folders, self.unusable, self._links
        hidden: list[os.DirEntry[str]] = []
        for entry in entries:
            name = entry.name
            try:
                if is_system_name(name):
                    hidden.append(entry)
                elif entry.is_file():
                    if links is not None and entry.is_symlink() and not self._follows(entry, links):
                        continue
                    if _LISTS_ATTRIBUTES and is_offline(entry.stat(follow_symlinks=False)):
                        unusable[name] = UnusableEntry(Why.UNREADABLE, OFFLINE, Cause.OFFLINE, files=1)
                    else:
                        files[name] = entry
                elif entry.is_dir():
                    if links is None or not is_linked_folder(entry) or self._follows(entry, links):
                        folders[name] = entry
                elif entry.is_symlink():
                    unusable[name] = UnusableEntry(
                        Why.UNREADABLE, "a link to something that is not there", Cause.DEAD_LINK
                    )
                else:
                    unusable[name] = UnusableEntry(Why.UNREADABLE, NOT_FILE_OR_FOLDER)
            except OSError as error:
                unusable[name] = UnusableEntry(Why.UNREADABLE, os_error_text(error), cause_of(error))
        for entry in hidden:
            self._set_aside(entry)

    def _set_aside(self, entry: os.DirEntry[str]) -> None:
        """Add a hidden entry, or a system's own, to those that cannot be used.

        A placeholder of a cloud gets the name of what it stands for.
        """
        try:
            files = int(entry.is_file())
        except OSError:
            files = 0
        name = placeholder_of(entry.name)
        if name and not is_system_name(name) and name not in self.files and name not in self.folders:
            self.unusable[name] = UnusableEntry(Why.UNREADABLE, OFFLINE, Cause.OFFLINE, files=files)
        else:
            self.unusable[entry.name] = UnusableEntry(
                Why.NOT_A_SLIDE, "hidden or a system's own", kind=Kind.SYSTEM, files=files
            )

    def _follows(self, entry: os.DirEntry[str], links: LinkPolicy) -> bool:
        refusal = links.refusal(entry.path)
        if refusal is not None:
            self.unusable[entry.name] = UnusableEntry(Why.LINK, refusal)
        return refusal is None

    @property
    def name(self) -> str:
        # absolute only here: SRC is often ".", and the name says whose companion folder this is
        return os.path.basename(os.path.abspath(self.path))  # noqa: PTH100, PTH119  (str: names may be no text)

    @property
    def local(self) -> Path:
        """The path of the folder as a Path: made once for all its slides."""
        if self._local is None:
            self._local = Path(self.path)
        return self._local

    def enter(self, name: str) -> Folder:
        """Return the listing of a folder in this one. Raises OSError or LoopError."""
        kept = self._kept.pop(name, None)
        return self._below(name) if kept is None else kept

    def _below(self, name: str) -> Folder:
        return Folder(self.folders[name].path, self._scandir, self, self._links)

    def look_into(self, name: str) -> Folder:
        """Return the listing of a folder in this one, kept for the first enter() of it. Raises OSError or LoopError."""
        if name not in self._kept:
            self._kept[name] = self._below(name)
        return self._kept[name]

    def find(self, name: str) -> os.DirEntry[str] | None:
        """Return the file of a name; where there is none, the only one whose name differs in case or composition."""
        return self.files.get(name) or self._only_alike("f" + normalized_key(name))

    def find_folder(self, name: str) -> os.DirEntry[str] | None:
        """Return the folder of a name, as find() does with files."""
        return self.folders.get(name) or self._only_alike("d" + normalized_key(name))

    def _only_alike(self, key: str) -> os.DirEntry[str] | None:
        if self._alike is None:
            self._alike = {}
            for kind, entries in (("f", self.files), ("d", self.folders)):
                for name, entry in entries.items():
                    self._alike.setdefault(kind + normalized_key(name), []).append(entry)
        alike = self._alike.get(key, [])
        return alike[0] if len(alike) == 1 else None


def info_of(entry: os.DirEntry[str]) -> os.stat_result:
    """Return size and times of a file. Raises OSError.

    On Windows the file itself is asked: what its folder says of it, and so DirEntry.stat(), is as old as its last close
    while a program writes it (FindFirstFileW, remarks).
    """
    return os.stat(entry.path) if sys.platform == "win32" else entry.stat()  # noqa: PTH116  (str: quicker)


# There a folder's listing has them, so that asking costs nothing.
_LISTS_ATTRIBUTES = sys.platform == "win32"


def is_offline(info: os.stat_result) -> bool:
    """Return whether a file's bytes are in a cloud or on a tape, and not on this disk."""
    attributes, flags = getattr(info, "st_file_attributes", 0), getattr(info, "st_flags", 0)
    return bool(attributes & _RECALL or flags & _DATALESS)


def cause_of(error: OSError) -> Cause:
    return Cause.TOO_LONG if _may_be_too_long(error) else Cause.USUAL


def os_error_text(error: OSError) -> str:
    """Return the operating system's words for an error, without the path, which messages name anyhow."""
    if _may_be_too_long(error):
        return TOO_LONG
    return error.strerror or type(error).__name__


def error_text(error: Exception) -> str:
    """Return the words for any error; see os_error_text()."""
    return os_error_text(error) if isinstance(error, OSError) else internal_error(error)


def _may_be_too_long(error: OSError) -> bool:
    """Return whether "no such file" may mean a path too long for Windows, which lists what it cannot open."""
    if sys.platform != "win32" or not isinstance(error, FileNotFoundError):
        return False
    name = error.filename
    return isinstance(name, str | os.PathLike) and len(os.path.abspath(name)) >= _MAX_PATH  # noqa: PTH100
