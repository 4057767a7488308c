"""The tags of a cellSens `.vsi` that tell where its pixels are: in `.ets` files, or all in the `.vsi` itself.

A `.vsi` is a TIFF with a tree of tags of its own behind its first 8 bytes: headers of 24 bytes and fields of four
numbers (type, tag, where the next one is, size), as slideio and Bio-Formats' CellSensReader read them. The tag 20005,
once for each picture, says whether that is in an external file. The latter expects `.ets` files exactly if one is 1:
small pictures and single channels are often saved without.

The fields are searched for instead of walking the tree, whose rules are known from other readers' trials only: a tag
that one fails to reach would make a preview pass for a slide.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from . import tiff

_HAS_EXTERNAL_FILE = 20005
_INLINE = 0x40000000  # the value stands in the place of its size
_SECOND_TAG = 0x08000000  # of 4 bytes, between the field and its value
_TYPES = 0x2200  # types of values are below that; what has another number in this place is no field
_LIMIT = 64 * 1024 * 1024  # bytes that are searched; metadata have some hundred kilobytes, and stand before pixels


def needs_ets(path: str) -> bool:
    """Tell whether a `.vsi` has pixels elsewhere, or may have: unless it is a whole TIFF that says otherwise.

    Raises OSError.
    """
    try:
        tiff.check(path)
    except (tiff.TiffError, tiff.NoTiffError):
        return True
    with Path(path).open("rb") as file:
        data = file.read(_LIMIT + 1)
    return len(data) > _LIMIT or any(_values(data, "<" if data.startswith(b"II") else ">"))


def _values(data: bytes, order: str) -> list[int]:
    """List the values of all fields that look like the tag."""
    tag = struct.pack(f"{order}I", _HAS_EXTERNAL_FILE)
    values: list[int] = []
    for found in re.finditer(re.escape(tag), data):
        at = found.start() - 4
        if at < 8 or at + 16 > len(data):
            continue
        kind, _, _, size = struct.unpack_from(f"{order}4I", data, at)
        if kind & 0xFFFFFF >= _TYPES:
            continue
        if kind & _INLINE:
            values.append(size)
        else:
            begin = at + 16 + (4 if kind & _SECOND_TAG else 0)
            values.append(int(any(data[begin : begin + min(size, 8)])))
    return values
