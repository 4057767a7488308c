"""Draw the thumbnail of a slide: a small PNG in a colour of its own, since the stand-in reads no slides."""

from __future__ import annotations

import hashlib
import struct
import zlib

SIDE = 64
"""Pixels of a square, unless a smaller one is asked for."""


def thumbnail(path: str, width: int, height: int) -> bytes:
    """Return a PNG of at most so many pixels, always the same for one virtual path."""
    side = max(min(width, height, SIDE), 1)
    colour = hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()[:3]
    rows = (b"\0" + colour * side) * side  # 0: no filter
    head = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)  # 8 bits, RGB
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
