"""Names and virtual paths as Windows, under a PMA.core, compares them."""

from __future__ import annotations

import re
import unicodedata

# What Win32 takes away from the end of each part of a path, and the characters that it allows in none.
_ALTERED = re.compile(r'[. ](?=[/\n]|\Z)|[<>:"|?*]')
_REPLACED = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
# learn.microsoft.com, "Naming Files, Paths, and Namespaces": devices, whatever comes after a dot.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|(?:COM|LPT)[0-9\xb9\xb2\xb3]|CONIN\$|CONOUT\$) *(?:\..*)?", re.I | re.S)


def windows_key(name: str) -> str:
    """Return a key that is equal for names that are one name on a Windows disk.

    NTFS compares names through a table of single upper case characters. So `ß` is not `SS` and the Turkish `ı` is not
    `I`, which casefold() or upper() would make of them.
    """
    return name.upper() if name.isascii() else name.translate(_UPPER)


class _UpperCase(dict[int, str]):
    """The upper case of each character that has been asked for, by its number."""

    def __missing__(self, number: int) -> str:
        character = chr(number)
        upper = character.upper()
        self[number] = found = upper if len(upper) == 1 and upper.lower() == character else character
        return found


_UPPER = _UpperCase()


def normalized_key(name: str) -> str:
    """Return a key that is equal for names that differ only in case and in composed or decomposed letters."""
    return windows_key(name) if name.isascii() else windows_key(unicodedata.normalize("NFC", name))


def collision_key(path: str) -> str:
    """Return a key that is equal for paths (or lines of them) that some server may take for one path.

    There one slide would overwrite another.

    Nobody says what a PMA.core does with names that Windows cannot have; so each of these may be: case, and dots and
    blanks at the end of any part, do not count (Win32); a forbidden character becomes `_`, as many programs write it;
    letters are the same composed and decomposed. NTFS keeps those apart, but a mounting point may be a share of a Mac
    or a NAS that does not, and people cannot tell them apart either.
    """
    key = normalized_key(path)
    if _ALTERED.search(key) is None:
        return key
    lines = ("/".join(part.rstrip(". ") for part in line.split("/")) for line in key.split("\n"))
    return "\n".join(lines).translate(_REPLACED)


def is_altered_by_windows(name: str) -> bool:
    """Return whether Win32 changes or refuses a name, or a path with "/"."""
    return _ALTERED.search(name) is not None


def is_windows_device(name: str) -> bool:
    """Return whether Windows takes a name, in any folder, for a device: what is written to `NUL.svs` is gone."""
    return _DEVICE.fullmatch(name) is not None


def lies_within(path: str, other: str) -> bool:
    """Return whether a virtual path is another one, or below it; also with the server's URL before both."""
    return f"{path}/".startswith(f"{other}/")


def path_below(folder: str, path: str) -> str | None:
    """Return a virtual path from a folder above it; "" of the folder itself, None where it lies elsewhere.

    Both as the server spells them, which may be in several ways.
    """
    if not folder:
        return path
    parts = path.split("/")
    depth = folder.count("/") + 1
    above = "/".join(parts[:depth])
    return "/".join(parts[depth:]) if normalized_key(above) == normalized_key(folder) else None
