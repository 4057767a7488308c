"""Label and macro images of Philips iSyntax: its head is XML like that of Philips' TIFFs, with their types as words.

Only a yes is told: no sample without them was at hand, and the maker does not publish the format.
"""

from __future__ import annotations

from pathlib import Path

from .model import Carries, LabelImages

_HEAD = 16 * 1024 * 1024  # bytes that are looked through, in pieces
_PIECE = 1024 * 1024
_WORDS = b"LABELIMAGE", b"MACROIMAGE"
_END = b"\x04"  # ends the XML


def of_isyntax(path: str) -> LabelImages:
    """Look for the words in the head. Raises OSError."""
    found, tail, left = set[bytes](), b"", _HEAD
    with Path(path).open("rb", buffering=0) as file:
        while left > 0 and (piece := file.read(_PIECE)):
            text, _, rest = (tail + piece).partition(_END)
            found |= {word for word in _WORDS if word in text}
            if rest or len(found) == len(_WORDS):
                break
            tail, left = text[-len(_WORDS[0]) :], left - len(piece)
    return LabelImages(*(Carries.said(word in found, sure=False) for word in _WORDS))
