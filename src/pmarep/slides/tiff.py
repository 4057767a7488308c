"""The beginning of a TIFF or BigTIFF file: is it one, is its first directory there, what is its description.

TIFF 6.0, section 2; BigTIFF: the same with offsets and counts of 8 bytes (as libtiff and tifffile read it).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .model import BrokenFileError
from .signatures import ZEROS, reject_foreign_content

_WINDOW = 4096  # bytes fetched by one read; small files have header and first directory in it
_TAGS = 4096  # most directories have some twenty
_DESCRIPTION, _ASCII = 270, 2

NO_TIFF = "not a TIFF"
_SHORTEST = 8  # bytes of a header


class TiffError(Exception):
    """A TIFF file that is cut off, or written no further than its head. The text says which."""


class NoTiffError(Exception):
    """A file that is no TIFF."""


@dataclass(frozen=True, slots=True)
class TiffKind:
    order: str  # "little" or "big"
    word: int  # bytes of an offset
    count: int  # bytes of the number of entries
    first: int  # where the offset of the first directory stands


KINDS = {
    b"II*\0": TiffKind("little", 4, 2, 4),
    b"MM\0*": TiffKind("big", 4, 2, 4),
    b"II+\0": TiffKind("little", 8, 8, 8),
    b"MM\0+": TiffKind("big", 8, 8, 8),
}


def recognise(path: str) -> str | None:
    """Return why a file is no TIFF, by its first bytes. Raises BrokenFileError where it was to be one, and broke off.

    More is not asked: PMA.core shows plain TIFFs too, and which flavour (Aperio, Philips, ...) it is, is for readers.
    """
    with Path(path).open("rb", buffering=0) as file:
        head = file.read(4)
        if head in KINDS:
            return None
        head += file.read(_WINDOW)
    reject_foreign_content(head)
    if len(head) < _SHORTEST:
        raise BrokenFileError(f"only {len(head)} bytes long: a copy that broke off")
    if not head.strip(b"\0"):
        raise BrokenFileError(ZEROS)
    return NO_TIFF


def description(path: str, limit: int) -> bytes:
    """Return the ImageDescription of the first picture, b"" if it has none. Raises OSError, NoTiffError, TiffError.

    Reads the head, one directory and the text. More than `limit` bytes of text are a TiffError.
    """
    with Path(path).open("rb", buffering=_WINDOW) as file:
        found = _find_description(file)
        if found is None:
            return b""
        at, length = found
        if length > limit:
            raise TiffError(f"its description is larger than {limit // 1024 // 1024} MiB")
        return _read(file, at, length).rstrip(b"\0")


def check(path: str) -> None:
    """Raise what description() would, for a file whose text is not wanted."""
    with Path(path).open("rb", buffering=_WINDOW) as file:
        _find_description(file)


def _find_description(file: BinaryIO) -> tuple[int, int] | None:
    """Return the offset of the description and its length in bytes."""
    kind = KINDS.get(file.read(4))
    if kind is None:
        raise NoTiffError(NO_TIFF)
    first = _number(_read(file, kind.first, kind.word), kind)
    if first == 0:
        raise TiffError("no picture in it: not written to its end")
    count = _number(_read(file, first, kind.count), kind)
    size = 4 + 2 * kind.word  # tag and type, then count and value
    if not 0 < count <= _TAGS:
        raise TiffError(f"damaged: its first directory has {count} entries")
    table = _read(file, first + kind.count, count * size)
    for at in range(0, len(table), size):
        entry = table[at : at + size]
        if _number(entry[:2], kind) == _DESCRIPTION and _number(entry[2:4], kind) == _ASCII:
            length = _number(entry[4 : 4 + kind.word], kind)
            inside = first + kind.count + at + 4 + kind.word
            start = inside if length <= kind.word else _number(entry[4 + kind.word :], kind)
            if start + length > os.fstat(file.fileno()).st_size:
                raise TiffError("cut off")
            return start, length
    return None


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    if at >= 1 << 63:
        raise TiffError("cut off")
    file.seek(at)
    data = file.read(size)
    if len(data) < size:
        raise TiffError("cut off")
    return data


def _number(data: bytes, kind: TiffKind) -> int:
    return int.from_bytes(data, "little" if kind.order == "little" else "big")
