"""Copy an Aperio SVS without its label and macro image: a `prepare` of pmarep's site book.

    prepare = ["python3", "/opt/rules/strip_label_svs.py", "{slide}", "{out}"]

Needs tifffile. The pictures are unlinked from the file, and their bytes and texts overwritten with zeros; the scan is
not touched. Texts of the scan's own directories (file name, user, date, barcode) stay as they are.
"""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import tifffile

LABEL, MACRO = 1, 9
"""Sub-file types of Aperio's pictures."""

LARGEST = 64 * 1024 * 1024
"""Bytes of a piece that is overwritten: a picture of a label is small."""


def is_picture(page: Any) -> bool:
    """Return whether a directory is the label or the macro image."""
    text = (page.description or "").partition("\n")[2].lstrip()
    return not page.is_tiled and (page.subfiletype in (LABEL, MACRO) or text.startswith(("label", "macro")))


def strip(path: Path) -> int:
    """Remove the label and the macro image of a file in place; return how many pictures that were."""
    with tifffile.TiffFile(path) as tiff:
        layout: Any = tiff.tiff
        pages = list(tiff.pages)
        pictures = [page for page in pages if is_picture(page)]
        kept = [page for page in pages if not is_picture(page)]
        if not kept or kept[0] is not pages[0]:
            raise ValueError("its first directory is no scan")
        pieces = [piece for page in pictures for piece in pieces_of(page, layout)]
    with path.open("rb+") as file:
        for page, after in zip(kept, [*kept[1:], None], strict=True):
            file.seek(end_of(file, page.offset, layout))
            file.write(struct.pack(layout.offsetformat, 0 if after is None else after.offset))
        for start, length in pieces:
            if length > LARGEST:
                raise ValueError("a picture in it is too large for a label")
            file.seek(start)
            file.write(bytes(length))
    return len(pictures)


def pieces_of(page: Any, layout: Any) -> list[tuple[int, int]]:
    """Return where the pixels, the texts and the directory of a picture lie: offsets and lengths."""
    pixels = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    values = [(tag.valueoffset, tag.valuebytecount) for tag in page.tags]
    return [*pixels, *values, (page.offset, layout.tagnosize + len(page.tags) * layout.tagsize)]


def end_of(file: BinaryIO, directory: int, layout: Any) -> int:
    """Return where a directory holds the offset of the next one."""
    file.seek(directory)
    (count,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    return int(directory + layout.tagnosize + count * layout.tagsize)


def main() -> None:
    slide, out = map(Path, sys.argv[1:])
    copy = out / slide.name
    shutil.copyfile(slide, copy)
    print(f"removed {strip(copy)} pictures")


if __name__ == "__main__":
    main()
