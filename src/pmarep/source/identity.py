"""The identity of files: is one still that which a run has begun to read, where size and mtime do not tell?

A file can be replaced, or written anew, with both kept: rsync, cp -p and synchronisation programs do so. On POSIX the
ctime tells, which nobody can set; and the inode, which tells it even where two files were written in the same tick of
the clock (some ms). On Windows the file's id; a file that is written anew in place keeps that, so there it is not seen.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence

from ..slides.in_use import file_system_of
from ..slides.links import lies_below, real_path_of

REMEMBERED = 65_536
"""Files whose identity is kept, in some MB: those that were read last."""

_MADE_UP = ("fuse", "cifs", "smb", "9p", "vfat", "msdos", "exfat", "ntfs", "ncp", "afs", "virtiofs")
"""File systems whose inode numbers the kernel, or whoever serves them, may make up anew when it likes."""

Identity = tuple[int, int]


def identity_of(info: os.stat_result) -> Identity:
    """Return inode or file id, and ctime in nanoseconds: 0 where it means nothing."""
    if sys.platform == "win32":
        return info.st_ino, 0  # its ctime is when the file was made
    made_up = (file_system_of(info.st_dev) or "").startswith(_MADE_UP)
    return 0 if made_up else info.st_ino, info.st_ctime_ns


def combine_identities(identities: Iterable[Identity]) -> str:
    """Return one short text for the identities of all files of a slide, in their order."""
    return hashlib.sha256(repr(list(identities)).encode()).hexdigest()[:32]


class FileIdentities:
    """The identity that each file of a run had at first, and where files may lie. Safe to use from several threads.

    `roots`: real paths of folders and files; None: anywhere.
    """

    def __init__(self, roots: Sequence[str] | None = None) -> None:
        self._roots = roots
        self._first: OrderedDict[int, Identity] = OrderedDict()  # by hash, which takes less room than paths
        self._lock = threading.Lock()

    def path_outside_roots(self, handle: int, path: str) -> str | None:
        """Return the real path of an open file if it lies outside the roots, else None. Raises OSError.

        The walk has looked at links already. A file, or a folder on the way, may have become one since.
        """
        if self._roots is None:
            return None
        real = real_path_of(handle, path)
        return None if any(lies_below(real, root) for root in self._roots) else real

    def is_same(self, file: Hashable, identity: Identity) -> bool:
        """Return whether a file is what it was the first time; True the first time."""
        key = hash(file)
        with self._lock:
            first = self._first.setdefault(key, identity)
            self._first.move_to_end(key)
            if len(self._first) > REMEMBERED:
                self._first.popitem(last=False)
        return first == identity
