"""What names mean: which PMA.core can store, which it would take for the same, which nobody wants to send."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# A backslash separates folders on PMA.core's Windows; control characters are legal on no Windows disk and would reach
# people's terminals; lone surrogates are how os.fsdecode() stands in for bytes that are no text.
_UNSTORABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# Windows; Synology; NetApp's snapshots over SMB; the root of an ext4 disk. Compared in lower case.
_SYSTEM = frozenset(
    (
        *("$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"),
        *("@eadir", "#recycle", "#snapshot", "~snapshot", "lost+found"),
    )
)


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted as people sort, whatever order the disk has them in: without regard to case, then exactly."""
    return sorted(sorted(names), key=str.casefold)


def is_system(name: str) -> bool:
    """True for hidden files and folders and for what operating systems and NAS boxes leave behind."""
    return name[0] == "." or name.lower() in _SYSTEM


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


def printable(path: str) -> str:
    """The same text with everything escaped that would disturb a terminal, a JSON reader or a database."""
    if path.isascii() and path.isprintable():
        return path
    return _UNPRINTABLE.sub(_escape, path)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: the byte itself
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def windows_key(name: str) -> str:
    """Equal for names that are one name on a Windows disk.

    NTFS compares names through a table of single upper case characters. So `ß` is not `SS` and the Turkish `ı` is not
    `I`, which casefold() or upper() would make of them.
    """
    return name.upper() if name.isascii() else "".join(map(_upper, name))


def _upper(character: str) -> str:
    upper = character.upper()
    return upper if len(upper) == 1 and upper.lower() == character else character


def loose_key(name: str) -> str:
    """Equal for names that a person takes for the same: case and composed or decomposed umlauts do not matter."""
    return windows_key(name) if name.isascii() else windows_key(unicodedata.normalize("NFC", name))


def few(names: list[str], limit: int = 4) -> str:
    """`a, b, c and 12 more`, printable."""
    shown = ", ".join(printable(name[:200]) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
