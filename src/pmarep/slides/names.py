"""What names mean: which PMA.core can store, which it would take for the same, which nobody wants to send."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ..names import printable, windows_key

# A backslash separates folders on PMA.core's Windows; control characters are legal on no Windows disk and would reach
# people's terminals; lone surrogates are how os.fsdecode() stands in for bytes that are no text.
_UNSTORABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# Windows; Synology; NetApp's snapshots over SMB; the root of an ext4 disk. Compared in lower case.
_SYSTEM = frozenset(
    (
        *("$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"),
        *("@eadir", "#recycle", "#snapshot", "~snapshot", "lost+found"),
    )
)

# Hidden, and yet a slide's: without them nobody knows what the other files of a Zarr are.
_ZARR = frozenset((".zattrs", ".zgroup", ".zarray", ".zmetadata"))

_FEW = 4  # names that a message has room for


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted as people sort, whatever order the disk has them in: without regard to case, then exactly."""
    return sorted(sorted(names), key=str.casefold)


def is_system(name: str) -> bool:
    """True for hidden files and folders and for what operating systems and NAS boxes leave behind."""
    return (name[0] == "." and name not in _ZARR) or name.lower() in _SYSTEM


def unstorable(name: str) -> str | None:
    """Why no PMA.core could store this name (or path with "/"), or None.

    Names that only Windows refuses (`a:b`, a trailing dot) are not among them: a root-directory can be an S3 bucket or
    an Azure container, so that is for the server to say.
    """
    if name.isascii() and name.isprintable() and "\\" not in name:  # most are, and this is the faster way to see it
        return None
    found = _UNSTORABLE.search(name)
    if found is None:
        return None
    if found[0] == "\\":
        return "a backslash in the name"
    return "bytes in the name that are no text" if found[0] >= "\ud800" else "a control character in the name"


def loose_key(name: str) -> str:
    """Equal for names that a person takes for the same: case and composed or decomposed umlauts do not matter."""
    return windows_key(name) if name.isascii() else windows_key(unicodedata.normalize("NFC", name))


def few(names: list[str]) -> str:
    """`a, b, c, d and 12 more`, printable."""
    shown = ", ".join(printable(name[:200]) for name in names[:_FEW])
    return shown if len(names) <= _FEW else f"{shown} and {len(names) - _FEW} more"
