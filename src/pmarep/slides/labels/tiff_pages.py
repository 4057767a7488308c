"""The directories of a TIFF with the few tags that tell what a picture is: sizes, texts, no pixels.

TIFF 6.0, section 2, and BigTIFF, in both byte orders. NDPI is a TIFF whose offsets have 8 bytes all the same: the one
in the head, those from directory to directory, and those of values, whose high halves stand behind each directory
(OpenSlide's openslide-decode-tifflike.c, which tells such a file as this module does: the offset in the head, taken
for one of 8 bytes, leads to a directory with tag 65420).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ..tiff import KINDS, NO_TIFF, NoTiffError, TiffError, TiffKind

SUBFILE, WIDTH, HEIGHT, DESCRIPTION, SOFTWARE, TILE_WIDTH, XMP = 254, 256, 257, 270, 305, 322, 700
NDPI_FORMAT, NDPI_SOURCE_LENS, ARGOS_XML = 65420, 65421, 65000
_WANTED = (
    *(SUBFILE, WIDTH, HEIGHT, DESCRIPTION, SOFTWARE, TILE_WIDTH, XMP),
    *(NDPI_FORMAT, NDPI_SOURCE_LENS, ARGOS_XML),
)
_MOST_PAGES = 2000  # that are looked at; whole slides have some ten, fluorescence and z-stacks some hundred
_MOST_TAGS = 4096
_BYTES = 64 * 1024 * 1024  # read at most, of one file
_TEXT = 4096  # bytes of a text, unless more is asked for
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 13: 4, 16: 8, 18: 8}  # bytes of a value, by its type
_UNSIGNED, _FLOAT = (1, 3, 4, 13, 16, 18), 11


class _Entry(NamedTuple):
    kind: int  # the type of its values
    length: int  # how many they are
    at: int  # where the values stand


@dataclass(frozen=True, slots=True)
class Page:
    """One directory. `number` counts from 0. `description` has its first 4 KiB."""

    number: int
    width: int
    height: int
    tiled: bool
    subfile: int | None
    description: bytes
    lens: float | None
    entries: dict[int, _Entry]


class TiffPages:
    """An open TIFF. `is_ndpi`: with offsets of 8 bytes. Raises OSError, NoTiffError or TiffError, whatever is in it."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb", buffering=4096)  # noqa: SIM115  (closed by __exit__)
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._left = _BYTES
            kind = KINDS.get(self._file.read(4))
            if kind is None:
                raise NoTiffError(NO_TIFF)
            self._kind: TiffKind = kind
            self.is_ndpi = kind.word == 4 and self._leads_to_ndpi()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()

    def pages(self) -> tuple[list[Page], bool]:
        """Return the pages in order, one at least, and whether these are all.

        Damage behind the first one, a loop, or too many of them end the list early.
        """
        at = self._offset(self._kind.first)
        if at == 0:
            raise TiffError("no picture in it: not written to its end")
        pages: list[Page] = []
        seen: set[int] = set()
        while at:
            if at in seen or len(pages) >= _MOST_PAGES:
                return pages, False
            seen.add(at)
            try:
                entries, at = self._directory(at)
                pages.append(self._page(len(pages), entries))
            except TiffError:
                if not pages:
                    raise
                return pages, False
        return pages, True

    def text(self, page: Page, tag: int, limit: int = _TEXT) -> bytes:
        """Return the first `limit` bytes of a text, b"" if there is none."""
        return self._text(page.entries.get(tag), limit)

    def whole_text(self, page: Page, tag: int, limit: int) -> bytes:
        """Return a text. Raises TiffError if it has more than `limit` bytes."""
        entry = page.entries.get(tag)
        if entry is not None and entry.length > limit:
            raise TiffError(f"a text in it is larger than {limit // 1024 // 1024} MiB")
        return self._text(entry, limit)

    def _leads_to_ndpi(self) -> bool:
        self.is_ndpi = True
        try:
            entries, _ = self._directory(self._offset(self._kind.first))
        except TiffError:
            return False
        return NDPI_FORMAT in entries

    def _offset(self, at: int) -> int:
        return self._number(self._read(at, 8 if self.is_ndpi else self._kind.word))

    def _directory(self, at: int) -> tuple[dict[int, _Entry], int]:
        """Return the wanted entries of a directory, and where the next one stands, 0 if it is the last."""
        kind = self._kind
        count = self._number(self._read(at, kind.count))
        if not 0 < count <= _MOST_TAGS:
            raise TiffError(f"damaged: a directory has {count} entries")
        step, start = 4 + 2 * kind.word, at + kind.count
        table = self._read(start, count * step)
        end = start + len(table)
        following = self._offset(end)
        high = self._read(end + 8, 4 * count) if self.is_ndpi else b""
        entries: dict[int, _Entry] = {}
        for number in range(count):
            data = table[number * step : (number + 1) * step]
            tag = self._number(data[:2])
            if tag in _WANTED:
                above = self._number(high[4 * number : 4 * number + 4]) << 32 if high else 0
                entries[tag] = self._entry(data, start + number * step, above)
        return entries, following

    def _entry(self, data: bytes, at: int, above: int) -> _Entry:
        word = self._kind.word
        kind, count = self._number(data[2:4]), self._number(data[4 : 4 + word])
        # NDPI has no text in a directory, however short: OpenSlide's change of 2026, "assume NDPI ASCII values are
        # always stored out-of-line".
        inside = count * _WIDTHS.get(kind, 1) <= word and not (self.is_ndpi and kind == 2)
        return _Entry(kind, count, at + 4 + word if inside else above + self._number(data[4 + word :]))

    def _page(self, number: int, entries: dict[int, _Entry]) -> Page:
        return Page(
            number,
            self._first(entries.get(WIDTH)) or 0,
            self._first(entries.get(HEIGHT)) or 0,
            TILE_WIDTH in entries,
            self._first(entries.get(SUBFILE)),
            self._text(entries.get(DESCRIPTION), _TEXT),
            self._lens(entries.get(NDPI_SOURCE_LENS)),
            entries,
        )

    def _first(self, entry: _Entry | None) -> int | None:
        if entry is None or entry.kind not in _UNSIGNED or not entry.length:
            return None
        return self._number(self._read(entry.at, _WIDTHS[entry.kind]))

    def _lens(self, entry: _Entry | None) -> float | None:
        if entry is None or entry.kind != _FLOAT or entry.length != 1:
            return None
        order = "<" if self._kind.order == "little" else ">"
        return float(struct.unpack(f"{order}f", self._read(entry.at, 4))[0])

    def _text(self, entry: _Entry | None, limit: int) -> bytes:
        if entry is None or _WIDTHS.get(entry.kind) != 1:
            return b""
        return self._read(entry.at, min(entry.length, limit)).rstrip(b"\0")

    def _read(self, at: int, size: int) -> bytes:
        if at + size > self._size:
            raise TiffError("cut off")
        self._left -= size
        if self._left < 0:
            raise TiffError("damaged: its directories claim too much")
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) < size:
            raise TiffError("cut off")
        return data

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self._kind.order == "little" else "big")
