"""OME-TIFF images to test with, in one file and in several; tifffile opens them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile

_SPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def uuid_of(name: str) -> str:
    """The UUID of a file that was called so when it was written."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, name)}"


def ome_xml(names: Sequence[str], own: str = "") -> str:
    """The text of a set with one channel in each file. `own` is the file it stands in, "" for a companion."""
    data = "".join(
        f'<TiffData FirstC="{number}" FirstT="0" FirstZ="0" IFD="0" PlaneCount="1">'
        f"<UUID FileName={quoteattr(name)}>{uuid_of(name)}</UUID></TiffData>"
        for number, name in enumerate(names)
    )
    channels = "".join(f'<Channel ID="Channel:0:{number}" SamplesPerPixel="1"/>' for number in range(len(names)))
    uuid = f' UUID="{uuid_of(own)}"' if own else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{_SPACE}"{uuid}><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYZCT" Type="uint8" SizeX="64" SizeY="48" SizeZ="1" SizeC="{len(names)}" SizeT="1">'
        f"{channels}{data}</Pixels></Image></OME>"
    )


def binary_only(companion: str, own: str) -> str:
    """The text of a file with pictures only."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{_SPACE}" UUID="{uuid_of(own)}">'
        f'<BinaryOnly MetadataFile={quoteattr(companion)} UUID="{uuid_of(companion)}"/></OME>'
    )


def write_plane(path: Path, text: str, *, seed: int = 0, big: bool = False) -> Path:
    """A TIFF file of one page with that description."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64), np.uint8)
    with tifffile.TiffWriter(path, ome=False, bigtiff=big) as writer:
        writer.write(pixels, description=text.encode(), metadata=None, photometric="minisblack")
    return path


def write_ome(path: Path, *, names: Sequence[str] | None = None, big: bool = False) -> list[Path]:
    """A set beside `path` (`n.ome.tif`): `n_C0.ome.tif`, ... unless named. The first holds the first plane."""
    stem = path.name.removesuffix(".ome.tif")
    names = [f"{stem}_C{number}.ome.tif" for number in range(3)] if names is None else names
    return [
        write_plane(path.with_name(name), ome_xml(names, name), seed=number, big=big)
        for number, name in enumerate(names)
    ]


def write_companion(path: Path, *, names: Sequence[str] | None = None) -> list[Path]:
    """`n.companion.ome` and the files it names beside it; the companion comes last."""
    stem = path.name.removesuffix(".companion.ome")
    names = [f"{stem}_C{number}.ome.tif" for number in range(3)] if names is None else names
    files = [
        write_plane(path.with_name(name), binary_only(path.name, name), seed=number)
        for number, name in enumerate(names)
    ]
    path.write_text(ome_xml(names), encoding="utf-8")
    return [*files, path]
