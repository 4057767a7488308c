"""Completeness of a TIFF: what its directories point to has to lie in the file. A copy that broke off shows so.

Only what is wrong for certain counts, since scanners and labs write odd files that readers take all the same:

- tiles of no bytes, with offset 0 (Philips, sparse exports), byte counts that are missing, or too large for a strip
  that is not compressed;
- NDPI and other files that are no BigTIFF and larger than 4 GiB, whose offsets have no room for their high bits: of
  those only the head is looked at.
"""

from __future__ import annotations

import os
import sys
from array import array
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .tiff import KINDS, NO_TIFF, NoTiffError, TiffError, TiffKind

CUT_OFF = "cut off: it names bytes behind its end, as a copy does that broke off"
_DIRECTORIES = 1000  # that are looked at; whole slides have some ten, z-stacks some hundred
_ENTRIES = 256 * 1024  # offsets of one picture that are looked at, from the end of the list
_BYTES = 32 * 1024 * 1024  # read at most
_TAGS = 4096
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS = 256, 257, 258, 259, 277, 278
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES, _SUB = 273, 279, 324, 325, 330
_PICTURE = (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS)
_WANTED = (*_PICTURE, _STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES, _SUB)
_CODES = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # SHORT, LONG, IFD, LONG8, IFD8, as array has them
_NONE = 1
_EXACT = (7, 8, 33003, 33005, 34712)  # JPEG, Deflate, JPEG 2000; not LZW: LSM gives the sizes before compression


class _Entry(NamedTuple):
    kind: int  # the type of its values
    number: int
    at: int  # where the values stand


class _Layout:
    def __init__(self, file: BinaryIO, kind: TiffKind, size: int) -> None:
        self._file = file
        self._kind = kind
        self._size = size
        self._left = _BYTES

    def check(self) -> None:
        first = self._number(self._read(self._kind.first, self._kind.word))
        if first == 0:
            raise TiffError("no picture in it: not written to its end")
        waiting, seen = [first], {0}
        while waiting and len(seen) <= _DIRECTORIES and self._left > 0:
            at = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            if at >= self._size:
                raise TiffError(CUT_OFF)
            waiting += self._directory(at, is_first=at == first)

    def _directory(self, at: int, is_first: bool) -> list[int]:
        """Look at one directory; where the next one and those below it stand."""
        kind = self._kind
        count = self._number(self._read(at, kind.count))
        if not 0 < count <= _TAGS:
            if is_first:
                raise TiffError(f"damaged: its first directory has {count} entries")
            return []
        step = 4 + 2 * kind.word
        table = self._read(at + kind.count, count * step)
        entries: dict[int, _Entry] = {}
        for start in range(0, len(table), step):
            tag = self._number(table[start : start + 2])
            if tag in _WANTED:
                entries[tag] = self._entry(table[start : start + step], at + kind.count + start)
        self._picture(entries, _TILES, _TILE_BYTES)
        self._picture(entries, _STRIPS, _STRIP_BYTES)
        end = at + kind.count + len(table)
        following = self._number(self._read(end, kind.word)) if end + kind.word <= self._size else 0
        return [following, *self._values(entries.get(_SUB))]

    def _entry(self, data: bytes, at: int) -> _Entry:
        word = self._kind.word
        kind, count = self._number(data[2:4]), self._number(data[4 : 4 + word])
        width = array(_CODES[kind]).itemsize if kind in _CODES else 0
        inside = count * width <= word
        return _Entry(kind, count, at + 4 + word if inside else self._number(data[4 + word :]))

    def _picture(self, entries: dict[int, _Entry], offsets_tag: int, counts_tag: int) -> None:
        offsets = self._values(entries.get(offsets_tag))
        if not offsets:
            return
        if max(offsets) >= self._size:
            raise TiffError(CUT_OFF)
        counts = self._values(entries.get(counts_tag))
        if len(counts) == len(offsets):
            last = max(range(len(offsets)), key=offsets.__getitem__)
            needed = counts[last] if offsets_tag == _TILES else self._of_strip(entries, counts[last])
            if offsets[last] and offsets[last] + needed > self._size:
                raise TiffError(CUT_OFF)

    def _of_strip(self, entries: dict[int, _Entry], count: int) -> int:
        """Return how many bytes of a strip there have to be, whatever its byte count says."""
        first = {tag: next(iter(self._values(entries.get(tag))), None) for tag in _PICTURE}
        compression = first[_COMPRESSION] or _NONE
        if compression in _EXACT:
            return count
        width, height = first[_WIDTH], first[_HEIGHT]
        if compression != _NONE or width is None or height is None:
            return 0
        bits = width * (first[_BITS] or 1) * (first[_SAMPLES] or 1)
        return min(count, (bits + 7) // 8 * min(first[_ROWS] or height, height))

    def _values(self, entry: _Entry | None) -> list[int]:
        if entry is None or entry.kind not in _CODES or not entry.number:
            return []
        values = array(_CODES[entry.kind])
        count = min(entry.number, _ENTRIES)
        skipped = (entry.number - count) * values.itemsize
        values.frombytes(self._read(entry.at + skipped, count * values.itemsize))
        if sys.byteorder != self._kind.order:
            values.byteswap()
        return values.tolist()

    def _read(self, at: int, size: int) -> bytes:
        if at + size > self._size:
            raise TiffError(CUT_OFF)
        self._left -= size
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) < size:
            raise TiffError(CUT_OFF)
        return data

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self._kind.order == "little" else "big")


def check_layout(path: str) -> None:
    """Look at the directories of a TIFF, and at where its pictures lie. Raises OSError, NoTiffError, TiffError."""
    with Path(path).open("rb", buffering=4096) as file:
        kind = KINDS.get(file.read(4))
        if kind is None:
            raise NoTiffError(NO_TIFF)
        size = os.fstat(file.fileno()).st_size
        if kind.word == 4 and size >= 1 << 32:
            return
        _Layout(file, kind, size).check()
