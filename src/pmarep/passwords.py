"""A password that says where it comes from, and how one is read that a program wrote."""

from __future__ import annotations

import codecs
import locale
from typing import BinaryIO, Self

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class NotTextError(Exception):
    """Bytes that are no text in any encoding. The message has no part of them."""


class Password(str):
    """A password with its origin.

    `source`, such as `from the variable PMAREP_PASSWORD_TOKYO`: whoever is refused learns what to mend.
    """

    source: str

    def __new__(cls, text: str, source: str) -> Self:
        password = super().__new__(cls, text)
        password.source = source
        return password


def first_line(data: bytes) -> str:
    """Decode the first line of what a program wrote, "" if there is none. Raises NotTextError.

    As its byte order mark says (PowerShell writes UTF-16), else UTF-8, else as this machine's locale has it.
    """
    encodings = [encoding for mark, encoding in _MARKS if data.startswith(mark)]
    if "utf-16" not in encodings:  # whose line ends are no single bytes
        data = next(iter(data.splitlines()), b"")
    for encoding in encodings or ("utf-8", locale.getpreferredencoding(False)):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        line = text.replace("\r", "\n").partition("\n")[0]
        if "\0" in line:
            raise NotTextError("a text with NULs, such as UTF-16 without a byte order mark; UTF-8 is best")
        return line
    raise NotTextError("something that is no text; UTF-8 is best")


def read_line(stream: BinaryIO) -> str:
    """Read the first line of a stream, and wait for no more of it. Raises NotTextError."""
    data = stream.readline()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data += stream.read()
    return first_line(data)
