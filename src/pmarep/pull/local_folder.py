"""Where files go below DIR, and nowhere else: names that a server says are not trusted.

All calls block. Nothing that another program changes in DIR at the same time is guarded against.
"""

from __future__ import annotations

import os
import secrets
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

from ..errors import PmarepError, UsageError
from ..system.windows_names import is_altered_by_windows, is_windows_device, windows_key
from ..text import printable

LONGEST_PATH = 4000
"""Characters of a virtual path. No Windows server has longer ones by default (260), and no disk here holds them."""


class UnusableName(PmarepError):
    """A name that this disk, or nobody at all, can hold."""


class LocalFolder:
    """DIR. Raises UsageError, when it is made, where DIR is no folder that can be written to."""

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        self.path = folder
        try:
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{folder} is no folder; name one for the slides")
            if make:
                folder.mkdir(parents=True, exist_ok=True)
            self._real = folder.resolve()
            self._folds_case, self._folds_composition = _what_is_one_name(folder) if make else _usual()
        except OSError as error:
            raise UsageError(f"cannot write to {folder} ({_reason(error)}); name another folder") from None

    def collision_key(self, path: str) -> str:
        """Return a key that is equal for paths below DIR that are one path on its disk."""
        if self._folds_composition:
            path = unicodedata.normalize("NFC", path)
        return windows_key(path) if self._folds_case else path

    def locate(self, path: str) -> Path:
        """Return where a file with a path below DIR, with "/", lies. Raises UnusableName."""
        check_path(path)
        where = self.path.joinpath(*path.split("/"))
        try:
            where.lstat()
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            raise UnusableName(f"a file lies here where {printable(path)} needs a folder; move it away") from None
        except PermissionError:
            raise UnusableName(f"no right to look at {printable(path)} here; see to its folder's rights") from None
        except (OSError, ValueError) as error:  # too long, or a character that this disk does not take
            raise UnusableName(
                f"this disk cannot hold the name {printable(path)} ({_reason(error)}); pull it into another folder"
            ) from None
        self._check_links(where)
        return where

    def make_parents(self, where: Path) -> None:
        """Make the folders above a place that `locate` has given. Raises UnusableName, OSError."""
        where.parent.mkdir(parents=True, exist_ok=True)
        self._check_links(where)

    def _check_links(self, where: Path) -> None:
        """Raise UnusableName where a link in DIR leads out of it."""
        above = where.parent.resolve()
        if above != self._real and self._real not in above.parents:
            raise UnusableName(
                f"{printable(str(where.parent))} leads out of {printable(str(self.path))} by a link; "
                "remove the link, or pull into another folder"
            )


def check_path(path: str) -> None:
    """Raise UnusableName for a path that a server should not have said: it leads elsewhere, or is no name."""
    shown = printable(path[:200])
    if len(path) > LONGEST_PATH:
        raise UnusableName(f"the server names a file with {len(path)} characters, which no disk holds")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UnusableName(f"the name {shown} holds characters that are none") from None
    for part in path.split("/"):
        if part in ("", ".", "..") or "\\" in part or any(ord(char) < 32 or ord(char) == 127 for char in part):
            raise UnusableName(
                f"the server says a file is {shown}, which is no path of a slide; it is left where it is"
            )
        if part.lower().startswith(PARTIAL_PREFIX):
            raise UnusableName(f"{shown} is called as pmarep calls what is not whole yet; rename it at the site")
        if sys.platform == "win32" and (is_altered_by_windows(part) or is_windows_device(part)):
            raise UnusableName(f"Windows cannot hold the name {shown}; pull it on another system")


PARTIAL_PREFIX = ".pmarep-"
"""Names of files that are not whole yet begin so. Hidden, so never taken for a slide (slides/file_names.py)."""

TRY_PREFIX = f"{PARTIAL_PREFIX}try-"
"""Names of files that try what this disk takes for one name; a killed pull may leave one."""


def _what_is_one_name(folder: Path) -> tuple[bool, bool]:
    """Try whether the disk takes `a` and `A`, and composed and decomposed letters, for one name."""
    name = f"{TRY_PREFIX}{secrets.token_hex(8)}-\u00e9"
    file = folder / name
    try:
        with file.open("xb"):
            pass
        cased = folder / name.upper().replace("\u00c9", "\u00e9")
        return cased.exists(), (folder / unicodedata.normalize("NFD", name)).exists()
    except UnicodeEncodeError:
        return _usual()
    finally:
        with suppress(OSError, UnicodeEncodeError):
            file.unlink()


def _usual() -> tuple[bool, bool]:
    """Return what disks of this system usually do: of a folder that is not there, and is not to be made."""
    return sys.platform in ("win32", "darwin"), sys.platform == "darwin"


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error) or os.strerror(getattr(error, "errno", 0) or 0)
