"""The first bytes of a file, where its extension alone does not make it a slide.

TIFF 6.0, section 2: `II` or `MM` says the order of bytes, then 42; BigTIFF has 43 there. More is not asked: PMA.core
shows plain TIFFs too, and which flavour (Aperio, Philips, Trestle, ...) a file has is for its readers to say.
"""

from __future__ import annotations

from pathlib import Path

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def no_tiff(path: str) -> str | None:
    with Path(path).open("rb", buffering=0) as file:
        return None if file.read(4) in _TIFF else "not a TIFF"
