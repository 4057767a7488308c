"""Virtual paths, and names as Windows takes and compares them.

PMA.core runs on Windows: names match ignoring case, and some names cannot exist there. A name that is accepted is kept
as it was sent, NFC or NFD: NTFS does not normalise either.
"""

from __future__ import annotations

import re

from .refusals import Refusal

Parts = tuple[str, ...]

_FORBIDDEN = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f]')
_DEVICES = re.compile(r"(?:CON|PRN|AUX|NUL|COM[1-9]|LPT[1-9])(?:\..*)?", re.IGNORECASE)
_LONGEST = 255  # UTF-16 units in one name on NTFS


def fold(name: str) -> str:
    """Return a name as Windows compares it: upper case, character by character.

    NTFS's table knows no ß -> SS, and leaves alone what does not come back (ı, ſ): so neither `casefold` nor `upper`.
    """
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := c.upper()) == 1 and upper.lower() == c else c for c in name)


def fold_parts(parts: Parts) -> Parts:
    """Return a path as Windows compares it."""
    return tuple(fold(part) for part in parts)


def strip_ending(name: str) -> str:
    """Return a name as Win32 takes it: without dots and blanks at its end."""
    return name.rstrip(". ")


def check_windows_name(name: str, *, strip_endings: bool = False) -> None:
    """Raise Refusal for a name that Windows cannot store; `strip_endings`: dots and blanks at its end do not count."""
    if strip_endings:
        name = strip_ending(name)
    if not name:
        raise Refusal("A name is empty")
    bad = _FORBIDDEN.search(name)
    if bad:
        raise Refusal(f"The name {name!r} contains {bad[0]!r}, which Windows does not allow")
    if name.endswith((".", " ")):
        raise Refusal(f"The name {name!r} ends with a dot or a space, which Windows does not allow")
    if _DEVICES.fullmatch(name):
        raise Refusal(f"The name {name!r} is reserved by Windows")
    try:
        units = len(name.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        raise Refusal(f"The name {name!r} is not valid Unicode") from None
    if units > _LONGEST:
        raise Refusal(f"The name {name[:40]!r}... is longer than {_LONGEST} characters")


def split_path(path: object, what: str) -> Parts:
    """Return the parts of a `/`-separated relative path, none of which leads upwards. Raises Refusal.

    Refused here, for every kind of root-directory: absolute paths, backslashes (also UNC), drive letters, `.` and `..`,
    empty parts, control characters.
    """
    if not isinstance(path, str) or not path:
        raise Refusal(f"{what} is missing")
    if "\\" in path:
        raise Refusal(f"{what} {path!r} contains a backslash; use /")
    if re.search(r"[\x00-\x1f\x7f]", path):
        raise Refusal(f"{what} {path!r} contains a control character")
    parts = tuple(path.split("/"))
    if re.match(r"[A-Za-z]:", parts[0]) or any(part in ("", ".", "..") for part in parts):
        raise Refusal(f"{what} {path!r} is not a plain relative path")
    return parts


def join(*parts: str) -> str:
    """Return the virtual path of these parts."""
    return "/".join(parts)
