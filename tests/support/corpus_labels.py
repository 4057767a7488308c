"""Slides with and without label and macro images, as scanners write them: real TIFFs by tifffile, the rest by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

LABEL, MACRO = 1, 9
"""NewSubfileType of Aperio's pictures."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One directory of a TIFF; `tiled` as a scan and its levels are."""

    description: str | None = None
    size: tuple[int, int] = (64, 48)
    tiled: bool = False
    subfile: int = 0
    software: str | None = None
    tags: tuple[Any, ...] = ()


def write_tiff(path: Path, pictures: Sequence[Picture], **options: Any) -> Path:
    """A TIFF with these pictures; `options` are tifffile's, such as bigtiff and byteorder."""
    with tifffile.TiffWriter(path, **options) as tiff:
        for picture in pictures:
            width, height = picture.size
            tiff.write(
                np.zeros((height, width, 3), np.uint8),
                photometric="rgb",
                tile=(16, 16) if picture.tiled else None,
                description=picture.description,
                subfiletype=picture.subfile,
                software=picture.software or False,
                metadata=None,
                extratags=picture.tags,
            )
    return path


def scan(description: str | None = None, **more: Any) -> Picture:
    return Picture(description, (128, 96), tiled=True, **more)


_APERIO = "Aperio Image Library v12.0.15\r\n128x96 [0,0 128x96] (16x16) RAW|AppMag = 20|MPP = 0.4990"
_THUMBNAIL = "Aperio Image Library v12.0.15\r\n128x96 -> 64x48 - |AppMag = 20|MPP = 0.4990"


def aperio(*others: Picture) -> list[Picture]:
    """Aperio's pictures: the scan, the thumbnail, a level, and what comes behind."""
    level = Picture(f"{_APERIO} -> 32x24", (32, 24), tiled=True)
    return [scan(_APERIO), Picture(_THUMBNAIL), level, *others]


APERIO_LABEL = Picture("Aperio Image Library v12.0.15\r\nlabel 64x48", subfile=LABEL)
APERIO_MACRO = Picture("Aperio Image Library v12.0.15\r\nmacro 64x48", subfile=MACRO)
GT450_LABEL, GT450_MACRO = Picture(subfile=LABEL), Picture(subfile=MACRO)


def write_ndpi(path: Path, lenses: Sequence[float], *, at: int = 12, order: str = "<") -> Path:
    """A NanoZoomer's directories, one for each value of SourceLens; `at`: where they begin, perhaps behind 4 GiB.

    The layout is that of OpenSlide's openslide-decode-tifflike.c: offsets have 8 bytes, and the high halves of values
    stand behind each directory. Texts are out of line.
    """
    with path.open("wb") as file:
        file.write((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}Q", at))
        file.seek(at)
        for number, lens in enumerate(lenses):
            here = file.tell()
            text, count = b"Hamamatsu\0", 7
            text_at = here + 2 + 12 * count + 8 + 4 * count
            entries = [
                (256, 4, 1, 128),
                (257, 4, 1, 96),
                (271, 2, len(text), text_at),
                (273, 4, 1, 12),
                (279, 4, 1, 4),
                (65420, 4, 1, 1),
                (65421, 11, 1, struct.unpack(f"{order}I", struct.pack(f"{order}f", lens))[0]),
            ]
            file.write(struct.pack(f"{order}H", count))
            for tag, kind, values, value in entries:
                file.write(struct.pack(f"{order}HHII", tag, kind, values, value & 0xFFFFFFFF))
            following = text_at + len(text) if number + 1 < len(lenses) else 0
            file.write(struct.pack(f"{order}Q", following))
            file.write(b"".join(struct.pack(f"{order}I", value >> 32) for *_, value in entries))
            file.write(text)
    return path


def scn_xml(*, macro: bool = True, supplemental: Sequence[str] = (), pages: int = 2) -> str:
    """Leica's XML: one image of `pages` levels, with or without the one that shows all of the glass."""
    dimensions = "".join(f'<dimension sizeX="128" sizeY="96" r="{page}" ifd="{page}"/>' for page in range(1, pages))
    whole = '<view sizeX="26000" sizeY="76000" offsetX="0" offsetY="0"/>'
    part = '<view sizeX="9000" sizeY="8000" offsetX="100" offsetY="200"/>'
    first = '<pixels><dimension sizeX="64" sizeY="48" r="0" ifd="0"/></pixels>'
    others = "".join(f'<supplementalImage type="{kind}" ifd="{pages + n}"/>' for n, kind in enumerate(supplemental))
    return (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection sizeX="26000" sizeY="76000"><barcode>QUJD</barcode>{others}'
        f"<image>{first}{whole if macro else part}</image><image><pixels>{dimensions}</pixels>{part}</image>"
        "</collection></scn>"
    )


def philips_xml(*images: str, data: str = "QUJD") -> str:
    """Philips' XML with images of these types (PIM_DP_IMAGE_TYPE); `data` is their base64."""
    found = "".join(
        '<DataObject ObjectType="DPScannedImage">'
        f'<Attribute Name="PIM_DP_IMAGE_TYPE" Group="0x301D" Element="0x1004" PMSVR="IString">{kind}</Attribute>'
        f'<Attribute Name="PIM_DP_IMAGE_DATA" PMSVR="IString">{"" if kind == "WSI" else data}</Attribute></DataObject>'
        for kind in ("WSI", *images)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        f'<Attribute Name="PIM_DP_SCANNED_IMAGES" PMSVR="IDataObjectArray"><Array>{found}</Array></Attribute>'
        "</DataObject>"
    )


def ome_xml(*names: str) -> str:
    images = "".join(f'<Image ID="Image:{n}" Name="{name}"><Pixels/></Image>' for n, name in enumerate(names))
    return f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{images}</OME>'


def write_czi(path: Path, names: Sequence[str]) -> Path:
    """The head of a CZI and its directory of attachments with these names (openslide-vendor-zeiss.c)."""
    at = 512
    head = b"ZISRAWFILE".ljust(16, b"\0") + bytes(88) + struct.pack("<q", at)
    entries = b"".join(
        b"A1" + bytes(10) + bytes(8 + 4 + 16) + b"JPG".ljust(8, b"\0") + name.encode().ljust(80, b"\0")
        for name in names
    )
    directory = b"ZISRAWATTDIR".ljust(16, b"\0") + bytes(16) + struct.pack("<i", len(names)) + bytes(252)
    path.write_bytes(head.ljust(at, b"\0") + directory + entries)
    return path
