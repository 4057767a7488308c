"""The rule for links: a walk follows those that stay below the source.

Who may write into a folder could else have whatever we can read sent from it.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

from ..text import printable

_MOUNT_POINT = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT: junctions too


class LinkPolicy:
    """Decides which links are followed: those to what lies below `root`, and the one of the path `named`."""

    def __init__(self, root: str, named: str | None = None) -> None:
        self._roots = _real_paths(root)
        self._named = named

    @classmethod
    def for_source(cls, source: Path) -> LinkPolicy:
        """Return the policy for a source: a folder, or the main file of a slide."""
        if os.path.isdir(source):  # noqa: PTH112  (raises nothing)
            return cls(os.fspath(source))
        return cls(os.fspath(source.parent), os.path.join(os.fspath(source.parent), source.name))  # noqa: PTH118

    @property
    def roots(self) -> list[str]:
        """The real paths of the folders, or of the one file, that everything read has to lie in."""
        return [*self._roots, *([] if self._named is None else _real_paths(self._named))]

    def refusal(self, path: str) -> str | None:
        """Return why a link is not followed, or None."""
        real = os.path.realpath(path)
        if path == self._named or any(lies_below(real, root) for root in self._roots):
            return None
        return f"a link that leads out of SRC, which is not followed (--follow-links): {printable(real)}"


def is_linked_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether a folder is a symbolic link to one, or on Windows a junction, which anybody may make there."""
    if sys.platform != "win32" or entry.is_symlink():
        return entry.is_symlink()
    tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
    return bool(tag == _MOUNT_POINT)


def real_path_of(handle: int, path: str) -> str:
    """Return the real path of an open file, whatever links lead there; the kernel's, where that can be asked.

    Raises OSError.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # no /proc
            found = os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115
            if found.startswith("/"):
                return found
    elif sys.platform == "darwin":
        import fcntl

        found = fcntl.fcntl(handle, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")  # as long as it takes
        return os.fsdecode(found)
    return os.path.realpath(path)


def _real_paths(path: str) -> list[str]:
    """Return a real path as os.path.realpath() has it, and as the kernel does, perhaps with letters in another case."""
    found = [os.path.realpath(path)]
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            found.append(real_path_of(handle, path))
        finally:
            os.close(handle)
    return list(dict.fromkeys(found))


def lies_below(real: str, root: str) -> bool:
    """Return whether a real path is in a folder, also a real path, or is that folder."""
    real, root = _comparable(real), _comparable(root)
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def _comparable(path: str) -> str:
    """Return a path as it can be compared: to macOS, names in any case and composition of letters are the same."""
    return unicodedata.normalize("NFC", path).casefold() if sys.platform == "darwin" else os.path.normcase(path)
