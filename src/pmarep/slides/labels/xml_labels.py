"""Label and macro images by the XML that Leica, Philips and OME write. Parsed as streams: see tiff_labels.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

from ..ome_xml import NoIndexError
from .model import NONE, Carries, LabelImages

_KIND = re.compile(r"label|macro|overview|barcode")
_NAME = re.compile(r"(?<![a-z0-9])(label|macro|overview|barcode)(?: image)?\W*$")  # at the end of an image's name
_LABELS = ("label", "barcode")


def of_scn(data: bytes, pages: int) -> LabelImages:
    """Look into Leica's XML. `pages`: how many the file has; those that it does not name may be anything.

    Raises NoIndexError.
    """
    reader = _Scn()
    _parse(data, reader.start, reader.end)
    named = len(reader.pages) >= pages
    label = Carries.YES if reader.label else Carries.said(False, sure=named and not reader.other)
    return LabelImages(label, Carries.said(reader.macro, sure=named))


@dataclass(slots=True)
class _Scn:
    label: bool = False
    macro: bool = False
    other: bool = False  # a supplemental image of a kind that is not known
    pages: set[str] = field(default_factory=set)
    _whole: tuple[str | None, ...] = ()
    _in_image: bool = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if "ifd" in attributes:
            self.pages.add(attributes["ifd"])
        if tag == "collection":
            self._whole = attributes.get("sizeX"), attributes.get("sizeY")
        elif tag == "image":
            self._in_image = True
        elif tag == "view" and self._in_image:
            size = attributes.get("sizeX"), attributes.get("sizeY")
            corner = attributes.get("offsetX"), attributes.get("offsetY")
            self.macro |= None not in size and size == self._whole and corner == ("0", "0")
        elif tag == "supplementalImage":
            kind = attributes.get("type", "").lower()
            found = _KIND.search(kind)
            if found is None:
                self.other = True
            elif found[0] in _LABELS:
                self.label = True
            else:
                self.macro = True

    def end(self, tag: str) -> None:
        if tag == "image":
            self._in_image = False


def of_philips(data: bytes) -> LabelImages:
    """Look into Philips' XML for images of the types LABELIMAGE and MACROIMAGE that have bytes. Raises NoIndexError."""
    reader = _Philips()
    _parse(data, reader.start, reader.end, reader.text)
    return LabelImages(
        Carries.said("LABELIMAGE" in reader.found, sure=True), Carries.said("MACROIMAGE" in reader.found, sure=True)
    )


@dataclass(slots=True)
class _PhilipsImage:
    kind: str = ""
    has_data: bool = False


@dataclass(slots=True)
class _Philips:
    found: set[str] = field(default_factory=set)
    _objects: list[_PhilipsImage] = field(default_factory=list)
    _attribute: str = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "DataObject":
            self._objects.append(_PhilipsImage())
        elif tag == "Attribute":
            self._attribute = attributes.get("Name", "")

    def text(self, data: str) -> None:
        if not self._objects:
            return
        if self._attribute == "PIM_DP_IMAGE_TYPE":
            self._objects[-1].kind = (self._objects[-1].kind + data)[:100]
        elif self._attribute == "PIM_DP_IMAGE_DATA":
            self._objects[-1].has_data |= not data.isspace()

    def end(self, tag: str) -> None:
        if tag == "Attribute":
            self._attribute = ""
        elif tag == "DataObject" and self._objects:
            image = self._objects.pop()
            if image.has_data:
                self.found.add(image.kind.strip().upper())


def of_ome(data: bytes) -> LabelImages:
    """Look at the names of the images in an OME-XML text: one image alone has no other beside it. Raises NoIndexError.

    Names that say nothing of a label leave it open: people call images as they like.
    """
    names: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Image":
            names.append(attributes.get("Name", ""))

    _parse(data, start)
    if not names:
        raise NoIndexError("its XML names no image")
    words = [found[1] for name in names if (found := _NAME.search(name.lower()))]
    if len(names) == 1 and not words:
        return NONE
    is_label = [word in _LABELS for word in words]
    sure = len(names) == 1
    return LabelImages(Carries.said(any(is_label), sure=sure), Carries.said(not all(is_label), sure=sure))


def _parse(
    data: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] = lambda _tag: None,
    text: Callable[[str], None] = lambda _data: None,
) -> None:
    """Parse XML as a stream; tags come without their prefix. Raises NoIndexError, also for a document type.

    What is declared as UTF-16 by scanners that write UTF-8 all the same is read as such.
    """
    encoding = None if data[:1] == b"\0" or data[1:2] == b"\0" or data.startswith((b"\xff", b"\xfe")) else "utf-8"
    if encoding:
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("cp1252", "replace").encode()  # writers that put a µ in as it came
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise NoIndexError(f"its XML cannot be read ({error})") from None


def _refuse(*_: object) -> None:
    raise NoIndexError("its XML declares a document type, which no scanner writes")
