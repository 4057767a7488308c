"""Names as PMA.core's Windows compares them, and as terminals and logs can show them."""

from __future__ import annotations

import re
import unicodedata

# Control characters, line separators, lone surrogates, and what nobody sees but its effect on other characters: marks
# that turn the direction of text around, blanks without width, tags. Those that join letters of some scripts may stay.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)

# What Win32 takes away from the end of each part of a path, and the characters that it allows in none.
_ALTERED = re.compile(r'[. ](?=[/\n]|\Z)|[<>:"|?*]')
_REPLACED = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
# learn.microsoft.com, "Naming Files, Paths, and Namespaces": devices, whatever comes after a dot.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|(?:COM|LPT)[0-9\xb9\xb2\xb3]|CONIN\$|CONOUT\$) *(?:\..*)?", re.I | re.S)


def printable(text: str) -> str:
    """The same text on one line, with everything escaped that would disturb a terminal, a JSON reader or a database."""
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: the byte itself
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


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


def place_key(path: str) -> str:
    """Equal for paths (of lines of them) that some server may take for one, so that one slide would overwrite another.

    Nobody says what a PMA.core does with names that Windows cannot have; so each of these may be: case, and dots and
    blanks at the end of any part, do not count (Win32); a forbidden character becomes `_`, as many programs write it;
    letters are the same composed and decomposed. NTFS keeps those apart, but a mounting point may be a share of a Mac
    or a NAS that does not, and people cannot tell them apart either.
    """
    key = loose_key(path)
    if _ALTERED.search(key) is None:
        return key
    lines = ("/".join(part.rstrip(". ") for part in line.split("/")) for line in key.split("\n"))
    return "\n".join(lines).translate(_REPLACED)


def is_altered(name: str) -> bool:
    """Whether Win32 cannot keep a name, or path with "/", as it is: it is refused there, or comes to lie elsewhere."""
    return _ALTERED.search(name) is not None


def is_device(name: str) -> bool:
    """Whether Windows takes a name, in any folder, for a device: what is written to `NUL.svs` is gone."""
    return _DEVICE.fullmatch(name) is not None


def lies_within(path: str, other: str) -> bool:
    """Whether a virtual path is another one, or below it. Of places, with their URLs before them, too."""
    return f"{path}/".startswith(f"{other}/")
