"""Names as PMA.core's Windows compares them, and as terminals and logs can show them."""

from __future__ import annotations

import re

# Control characters, line separators, those that turn the direction of text around, and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The same text on one line, with everything escaped that would disturb a terminal, a JSON reader or a database."""
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(_escape, text)


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


def lies_within(path: str, other: str) -> bool:
    """Whether a virtual path is another one, or below it. Of places, with their URLs before them, too."""
    return f"{path}/".startswith(f"{other}/")
