"""The files that an OME-XML text names: what of it says which TIFF files make one image.

`OME/Image/Pixels/TiffData/UUID` with `FileName` (OME-TIFF specification, "TiffData"), `OME@UUID` of the file that the
text stands in, and `OME/BinaryOnly@MetadataFile` where the text is elsewhere. Parsed as a stream, since a set of ten
thousand planes has megabytes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

LIMIT = 32 * 1024 * 1024  # bytes


class NoIndexError(Exception):
    """A text that is no OME-XML. The text says why."""


@dataclass(slots=True)
class Named:
    """One file that a text names: UUID and FileName, either of which may be ""; both are for "this file"."""

    uuid: str
    file: str


@dataclass(slots=True)
class Index:
    """The files that an OME-XML text names. `named` is in the order of the planes, each file once."""

    uuid: str = ""
    metadata_file: str = ""
    named: list[Named] = field(default_factory=list)


def parse(data: bytes) -> Index:
    """Parse an OME-XML text. Raises NoIndexError.

    A document type is refused: entities are how XML eats memory and files.
    """
    if not data.lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"<"):
        raise NoIndexError("no XML")
    try:
        text = data.decode("utf-8-sig").encode()
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace").encode()  # writers that put a µ in as it came
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise NoIndexError(f"its XML cannot be read ({error})") from None
    if not reader.is_ome:
        raise NoIndexError("its XML is not OME-XML")
    return reader.index


def _refuse(*_: object) -> None:
    raise NoIndexError("its XML declares a document type, which no scanner writes")


class _Reader:
    def __init__(self) -> None:
        self.index = Index()
        self.is_ome = False
        self._path: list[str] = []
        self._file: Named | None = None
        self._uuid_of_all: list[str] | None = None
        self._seen: set[tuple[str, str]] = set()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        self._path.append(tag)
        if len(self._path) == 1:
            self.is_ome = tag == "OME"
            self.index.uuid = attributes.get("UUID", "").strip()
        elif tag == "BinaryOnly" and len(self._path) == 2:
            self.index.metadata_file = attributes.get("MetadataFile", "").strip()
        elif tag == "TiffData" and self._path[-2] == "Pixels":
            self._file = Named("", "")
        elif tag == "UUID" and self._file is not None and self._path[-2] == "TiffData":
            self._file.file = attributes.get("FileName", "").strip()

    def text(self, data: str) -> None:
        if self._file is not None and self._path[-1] == "UUID":
            self._file.uuid += data

    def end(self, _name: str) -> None:
        if self._path.pop() == "TiffData" and self._file is not None:
            self._file.uuid = self._file.uuid.strip()
            key = self._file.uuid, self._file.file
            if key not in self._seen:
                self._seen.add(key)
                self.index.named.append(self._file)
            self._file = None


def relative_path(file: str) -> str:
    """Return the path from the index's folder that a FileName means, with "/" between its parts.

    Bio-Formats takes it from that folder, also where it leads into a sub-folder or begins with "./" (OMETiffReader).
    Old versions of it wrote absolute paths; it takes the last part of such a path that leads nowhere, and so do we,
    without looking where it leads.
    """
    parts = [part for part in re.split(r"[/\\]", file) if part not in ("", ".")]
    return "/".join(parts[-1:] if re.match(r"[/\\]|[A-Za-z]:[/\\]", file) else parts)
