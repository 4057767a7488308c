"""The header of a DICOM file, as far as it tells the file's place in a slide, in a few small reads.

pydicom reads it, and stops early: all that is wanted stands before (0048,0007), while what follows can be huge (an ICC
profile, the position of every tile). Elements of known length are stepped over, so that the last step shows where the
pixel data are and whether the file reaches that far. Tags and their order: DICOM PS3.6; encapsulated pixel data: PS3.5
annex A.4.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from .dicom_content import MAGIC, MAGIC_AT
from .dicom_file import BoundedFile, HeaderError, NoSlideError, check_magic, of_garbage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TAIL = 16 * 1024 * 1024  # bytes searched for the end of pixel data whose beginning is not known
_STEPS = 1_000_000  # frames walked over in search of that end; the largest slides have some hundred thousand

_UNDEFINED = 0xFFFFFFFF
_META_SOP_CLASS, _META_SYNTAX = 0x00020002, 0x00020010
_IMAGE_TYPE, _SOP_CLASS, _MODALITY = 0x00080008, 0x00080016, 0x00080060
_STUDY, _SERIES, _INSTANCE_NUMBER, _FRAME_OF_REFERENCE = 0x0020000D, 0x0020000E, 0x00200013, 0x00200052
_CONCATENATION, _IN_CONCATENATION, _CONCATENATION_TOTAL = 0x00209161, 0x00209162, 0x00209163
_FRAMES, _CONTAINER, _MATRIX_COLUMNS, _MATRIX_ROWS = 0x00280008, 0x00400512, 0x00480006, 0x00480007
_WANTED = (
    *(_IMAGE_TYPE, _SOP_CLASS, _MODALITY, _STUDY, _SERIES, _INSTANCE_NUMBER, _FRAME_OF_REFERENCE),
    *(_CONCATENATION, _IN_CONCATENATION, _CONCATENATION_TOTAL, _FRAMES, _CONTAINER, _MATRIX_COLUMNS, _MATRIX_ROWS),
)
_LAST = _MATRIX_ROWS
_OFFSETS, _PIXELS = 0x7FE00001, (0x7FE00008, 0x7FE00009, 0x7FE00010)
# Encapsulated pixel data are little endian: items, and the tag and length (0) of their end.
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_AFTER_PIXELS = b"\xfa\xff\xfa\xff", b"\xfc\xff\xfc\xff"  # DigitalSignaturesSequence, DataSetTrailingPadding

_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_NATIVE = (_IMPLICIT, _BIG_ENDIAN, "1.2.840.10008.1.2.1")  # pixel data of a known length; else in items
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
_STANDARD = "1.2.840.10008."

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""VL Whole Slide Microscopy Image Storage."""


@dataclass(frozen=True, slots=True)
class Header:
    """One whole-slide instance. Texts are "" and numbers 0 where the file does not say.

    `frame` is the frame of reference: the same coordinates on the same glass. `container` is ContainerIdentifier: the
    glass by the laboratory's name. `flavor` is the third value of ImageType: VOLUME, LABEL, OVERVIEW or THUMBNAIL.
    `pixels` is the size of the total pixel matrix, `place` and `total` are InConcatenationNumber and
    InConcatenationTotalNumber. `damage` says how the file is not whole, or is "".
    """

    series: str
    flavor: str = ""
    pixels: int = 0
    number: int = 0
    concatenation: str = ""
    place: int = 0
    total: int = 0
    damage: str = ""
    study: str = ""
    frame: str = ""
    container: str = ""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings about oddities of files.

    To be put around many calls, since the filters of warnings are those of the whole process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(path: str) -> Header:
    """Read the header of a whole-slide instance. Raises OSError, NoSlideError and HeaderError, whatever the file holds.

    What tells a whole-slide image is its SOP class, as for OpenSlide and wsidicom; where that is a maker's own, the
    modality SM and a total pixel matrix.
    """
    with BoundedFile(path) as file:
        file.seek(check_magic(file.at(0, MAGIC_AT + len(MAGIC))))
        try:
            return _header(file)
        except (NoSlideError, HeaderError):
            raise
        except Exception as error:
            raise of_garbage(error, "its header cannot be read") from None


def _header(file: BoundedFile) -> Header:
    from pydicom.filereader import read_dataset  # here: this takes 0.2 s, and most folders have no DICOM
    from pydicom.uid import UID

    stream = cast("BinaryIO", file)  # as much of one as pydicom uses
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    sop_class, syntax = _text(meta, _META_SOP_CLASS), _text(meta, _META_SYNTAX)
    if syntax in _DEFLATED:
        raise NoSlideError("DICOM, but no whole-slide image: deflated as a whole")
    if sop_class.startswith(_STANDARD) and sop_class != WHOLE_SLIDE:
        raise NoSlideError(f"DICOM, but no whole-slide image: {UID(sop_class[:64]).name}")
    extent = _Extent(file, native=syntax in _NATIVE)
    tags = list(_WANTED)
    data = read_dataset(stream, syntax == _IMPLICIT, syntax != _BIG_ENDIAN, stop_when=extent.stop, specific_tags=tags)
    sop_class = _text(data, _SOP_CLASS) or sop_class
    pixels = _number(data, _MATRIX_COLUMNS) * _number(data, _MATRIX_ROWS)
    modality = _text(data, _MODALITY)
    if sop_class != WHOLE_SLIDE and (modality != "SM" or not pixels):
        if not sop_class and not modality:
            raise HeaderError(extent.cut_or("its header has neither a SOP class nor a modality"))
        raise NoSlideError(f"DICOM, but no whole-slide image: {(modality or sop_class)[:64]}")
    series = _text(data, _SERIES)
    if not series:
        raise HeaderError(extent.cut_or("its header has no SeriesInstanceUID"))
    return Header(
        series=series,
        flavor=(_text(data, _IMAGE_TYPE).split("\\") + [""] * 3)[2].strip(),
        pixels=pixels,
        number=_number(data, _INSTANCE_NUMBER),
        concatenation=_text(data, _CONCATENATION),
        place=_number(data, _IN_CONCATENATION),
        total=_number(data, _CONCATENATION_TOTAL),
        damage=extent.damage(_number(data, _FRAMES)),
        study=_text(data, _STUDY),
        frame=_text(data, _FRAME_OF_REFERENCE),
        container=_text(data, _CONTAINER),
    )


def raw(data: Dataset, tag: int) -> tuple[bytes, bool]:
    """Return the bytes of an element, and whether they are little endian: pydicom's own conversion is slow."""
    element = data.get_item(tag)
    value = getattr(element, "value", None)
    if isinstance(value, bytes):
        return value, bool(getattr(element, "is_little_endian", True))
    return str(value or "").encode(), True


def _text(data: Dataset, tag: int) -> str:
    return raw(data, tag)[0].rstrip(b"\0 ").decode("latin-1").strip()


def _number(data: Dataset, tag: int) -> int:
    """Return an unsigned integer: binary (US, UL), or IS, whose text has up to 12 characters."""
    value, little = raw(data, tag)
    if tag not in (_INSTANCE_NUMBER, _FRAMES):
        return int.from_bytes(value[:4], "little" if little else "big")
    text = value[:64].strip(b"\0 ")
    return int(text) if text.isdigit() else 0


class _Extent:
    """The extent of a file: does it hold all that its elements say?

    pydicom calls `stop` for each element, with the file at the beginning of its value.
    """

    def __init__(self, file: BoundedFile, native: bool) -> None:
        self._file = file
        self._native = native
        self._cut = False
        self._given_up = False
        self._offsets = 0, 0  # position and length of the extended offset table
        self._pixels: tuple[int, int] | None = None

    def stop(self, tag: int, vr: str | None, length: int) -> bool:
        tag, at = int(tag), self._file.tell()
        if tag in _PIXELS:
            self._pixels = at, length
        elif length != _UNDEFINED:
            self._cut = at + length > self._file.length
            if tag == _OFFSETS:
                self._offsets = at, length
            return self._cut
        elif tag > _LAST:
            self._given_up = True  # its end is only found by reading all of it
        elif vr in ("SQ", "UN", None):
            return False
        else:
            raise HeaderError("its header cannot be read: an element without a length")
        return True

    def cut_or(self, problem: str) -> str:
        """Return what to say of a header in which something is missing."""
        return "it is cut off in its header" if self._cut else problem

    def damage(self, frames: int) -> str:
        """Describe how the file is not whole; "" if it is."""
        if self._given_up:
            return "" if self._native or self._ends_somewhere() else "cut off"
        if self._cut or self._pixels is None:
            return "cut off"
        at, length = self._pixels
        if length != _UNDEFINED:
            return "" if at + length <= self._file.length else "cut off"
        return self._encapsulated(at, frames)

    def _ends_somewhere(self) -> bool:
        """Check that encapsulated pixel data end in the last part of the file, with nothing but padding after them.

        The same bytes end sequences, so that what comes next tells which end it is.
        """
        size = self._file.length
        if self._file.at(max(0, size - len(_END)), len(_END)) == _END:
            return True
        before, found, rest = self._file.at(max(0, size - _TAIL), _TAIL).rpartition(_END)
        return bool(before and found) and (not rest.strip(b"\0") or rest[:4] in _AFTER_PIXELS)

    def _encapsulated(self, at: int, frames: int) -> str:
        """Describe what is missing of encapsulated pixel data; "" if nothing is.

        Their items: the basic offset table, which may be empty, then one or more for each frame; then the end.
        """
        size = self._file.length
        head = self._file.at(at, 8)
        if head[:4] != _ITEM or len(head) < 8:
            return "cut off"
        first = at + 8 + int.from_bytes(head[4:], "little")
        table, length, entry = at + 8, first - at - 8, 4
        if self._offsets[1]:
            (table, length), entry = self._offsets, 8
        if length and length // entry < frames:
            return f"{length // entry} of {frames} frames"
        if self._file.at(size - len(_END), len(_END)) == _END:
            return ""
        last = int.from_bytes(self._file.at(table + length - entry, entry), "little") if length else 0
        return self._walk(first + last, size, None if length else frames)

    def _walk(self, position: int, size: int, frames: int | None) -> str:
        """Go from one frame to the end, behind which there may be padding; "" if it is there."""
        for step in range(_STEPS):
            head = self._file.at(position, 8)
            if head == _END:
                return ""
            if not head and position == size and step >= (1 if frames is None else max(frames, 1)):
                return ""  # some writers forget the end, and readers do not mind
            if head[:4] != _ITEM or len(head) < 8:
                return "cut off"
            position += 8 + int.from_bytes(head[4:], "little")
            if position > size:
                return "cut off"
        return ""
