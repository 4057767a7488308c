"""Check of a slide's content before it is sent: is it something that any reader could open?

The walk goes by names, sizes and indexes, since a hundred thousand slides are looked at every night. Whatever is about
to be sent is opened once: half a copy, a web page instead of a download, or the pointer of a version control would go
to every site and be of no use there. Only what is wrong for certain counts; the rest is for the server to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..text import printable
from .model import BrokenFileError, Slide
from .signatures import ZEROS, reject_foreign_content
from .tiff import KINDS, NoTiffError, TiffError
from .tiff_layout import check_layout

HEAD = 4096  # bytes
_FEW = 64  # bytes, of which some formats might make something
_MOST = 100  # files of a slide that are opened
_TIFF = (".svs", ".ndpi", ".scn", ".bif", ".qptiff", ".tif", ".tiff", ".ptif", ".btf", ".tf2", ".tf8", ".zif", ".lsm")


def check_content(slide: Slide, looked: Callable[[], object] = lambda: None) -> None:
    """Look into the main file, and into those that are TIFFs. `looked` is called after each. Blocks.

    Raises OSError, and BrokenFileError, which names the file where it is not the main one.
    """
    tiffs = [file for file in slide.files[:-1] if file.path.lower().endswith(_TIFF)]
    for file in [slide.main, *tiffs[:_MOST]]:
        try:
            _check_file(os.fspath(slide.local(file)))
        except BrokenFileError as error:
            if file is slide.main:
                raise
            raise BrokenFileError(f"{printable(file.path)}: {error}", error.cause) from None
        looked()


def _check_file(path: str) -> None:
    with Path(path).open("rb", buffering=0) as file:
        head = file.read(HEAD)
        is_tiff = path.lower().endswith(_TIFF)
        if len(head) >= _FEW and not head.strip(b"\0"):
            file.seek(-min(HEAD, os.fstat(file.fileno()).st_size), os.SEEK_END)
            if is_tiff or not file.read(HEAD).strip(b"\0"):
                raise BrokenFileError(ZEROS)
    reject_foreign_content(head)
    if is_tiff and head[:4] in KINDS:
        try:
            check_layout(path)
        except TiffError as error:
            raise BrokenFileError(str(error)) from None
        except NoTiffError:  # another file by now
            return
