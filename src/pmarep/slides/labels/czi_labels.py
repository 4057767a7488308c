"""Label and macro images of Zeiss CZI: attachments named `Label` and `SlidePreview`.

The layout of the file's head and of the attachments' directory: openslide-vendor-zeiss.c, which shows these two as
label and macro. Numbers are little endian. Attachments may hold anything; others than these are thumbnails, times and
the like.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from .model import NOT_KNOWN, Carries, LabelImages

_HEAD, _DIRECTORY = b"ZISRAWFILE", b"ZISRAWATTDIR"
_DIRECTORY_AT = 104  # where the file's head has the offset of the directory
_DIRECTORY_HEAD, _ENTRY, _NAME_AT = 288, 128, 48  # bytes
_MOST = 1000  # attachments; files have some five


def of_czi(path: str) -> LabelImages:
    """Look at the names of the attachments. Raises OSError."""
    with Path(path).open("rb", buffering=0) as file:
        head = file.read(_DIRECTORY_AT + 8)
        if not head.startswith(_HEAD) or len(head) < _DIRECTORY_AT + 8:
            return NOT_KNOWN
        (at,) = struct.unpack_from("<q", head, _DIRECTORY_AT)
        if not 0 < at < os.fstat(file.fileno()).st_size:  # none was written, or the file not to its end
            return NOT_KNOWN
        file.seek(at)
        start = file.read(_DIRECTORY_HEAD)
        if not start.startswith(_DIRECTORY) or len(start) < _DIRECTORY_HEAD:
            return NOT_KNOWN
        (count,) = struct.unpack_from("<i", start, 32)
        if not 0 <= count <= _MOST:
            return NOT_KNOWN
        entries = file.read(count * _ENTRY)
    sure = len(entries) == count * _ENTRY
    names = {
        entries[at + _NAME_AT : at + _ENTRY].partition(b"\0")[0]
        for at in range(0, len(entries) - _ENTRY + 1, _ENTRY)
        if entries[at : at + 2] == b"A1"
    }
    return LabelImages(Carries.said(b"Label" in names, sure=sure), Carries.said(b"SlidePreview" in names, sure=sure))
