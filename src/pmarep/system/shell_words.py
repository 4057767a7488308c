"""Write a command so that it can be pasted into a shell."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable

_PLAIN_ON_WINDOWS = re.compile(r"[\w./\\:=@+~-]+")
_UNQUOTED_ON_POSIX = re.compile(r"[^\w ./,:@%+=~#!&*()\[\]{}<>?^|;\"$`-]", re.ASCII)


def shell_line(words: Iterable[str], platform: str = sys.platform) -> str:
    """Return a line of words for the shells of a platform: POSIX shells, or cmd and PowerShell on Windows."""
    return " ".join(map(_windows_word if platform == "win32" else _posix_word, words))


def option_words(name: str, value: str) -> list[str]:
    """Return the words that give an option a value, be it one that begins like an option."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _posix_word(word: str) -> str:
    """Quote a word; what cannot be seen, or is no text, as `$'...'`, which bash, zsh and ksh understand."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{_UNQUOTED_ON_POSIX.sub(_escaped, word)}'"


def _escaped(found: re.Match[str]) -> str:
    # In octal, which ends after three digits: a hexadecimal number would swallow a digit that follows it.
    # Half of a surrogate pair that stands for no byte is from a name of another system: NTFS has such.
    errors = "surrogateescape" if "\udc80" <= found[0] <= "\udcff" else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in found[0].encode("utf-8", errors))


def _windows_word(word: str) -> str:
    """Quote a word as Windows programs read it. A `%` within stays what it is for cmd, a `$` for PowerShell."""
    if _PLAIN_ON_WINDOWS.fullmatch(word):
        return word
    inside = re.sub(r'(\\*)"', r'\1\1\\"', word)
    inside = re.sub(r"(\\+)$", r"\1\1", inside)  # or the last one would belong to the quote
    return f'"{inside}"'
