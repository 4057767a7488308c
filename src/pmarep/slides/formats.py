"""The table of slide formats: one entry each. A new format is one more entry, with a module if it has several files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import afi, mirax, ndpis, vsi
from .listing import Folder
from .parts import Parts


@dataclass(frozen=True, slots=True)
class Companion:
    """How a folder that belongs to a main file is known when that file is missing.

    `main_of` gives the main file's name for a folder's name, or None; `is_companion` looks inside.
    """

    main_of: Callable[[str], str | None]
    is_companion: Callable[[Folder], bool]


@dataclass(frozen=True, slots=True)
class Format:
    """One slide format.

    A file with one of `extensions` (lower case, without the dot) is a main file. `collect` is given the main file's
    folder and name and says what else belongs to it and what is missing; None: nothing else does. Formats without a
    `companion` folder may lay claim to files beside the main file, so they are asked before those are looked at.
    """

    name: str
    extensions: tuple[str, ...]
    collect: Callable[[Folder, str], Parts] | None = None
    companion: Companion | None = None


# The extensions are those of PMA.UI 2.39.2's uploader (imageUpload.js). Where the maker is not certain, the name is
# just the extension.
FORMATS: tuple[Format, ...] = (
    Format("3DHISTECH MIRAX", ("mrxs",), mirax.collect, Companion(mirax.main_of, mirax.is_companion)),
    Format("cellSens VSI", ("vsi",), vsi.collect, Companion(vsi.main_of, vsi.is_companion)),
    Format("Hamamatsu NDPIS", ("ndpis",), ndpis.collect),
    Format("Aperio AFI", ("afi",), afi.collect),
    Format("Aperio SVS", ("svs",)),
    Format("Hamamatsu NDPI", ("ndpi",)),
    Format("Leica SCN", ("scn",)),
    Format("Leica LIF", ("lif",)),
    Format("Zeiss CZI", ("czi",)),
    Format("Zeiss ZVI", ("zvi",)),
    Format("Zeiss LSM", ("lsm",)),
    Format("Nikon ND2", ("nd2",)),
    Format("Olympus OIR", ("oir",)),
    Format("Ventana BIF", ("bif",)),
    Format("Philips iSyntax", ("isyntax",)),
    Format("Sakura SVSLIDE", ("svslide",)),
    Format("Motic MDS", ("mds", "mdsx")),
    Format("KFBIO KFB", ("kfb",)),
    Format("Akoya QPTIFF", ("qptiff",)),
    Format("SmartZoom SZI", ("szi",)),
    Format("ZIF", ("zif",)),
    Format("SWS", ("sws",)),
    Format("TMAP", ("tmap",)),
    Format("RTS", ("rts",)),
    Format("DICOM", ("dcm",)),
    Format("TIFF", ("tif", "tiff")),
    Format("JPEG", ("jpeg", "jpg")),
    Format("JPEG 2000", ("jp2",)),
    Format("JPEG XR", ("jxr",)),
    Format("PNG", ("png",)),
)

_BY_EXTENSION = {extension: entry for entry in FORMATS for extension in entry.extensions}


def extension_of(name: str) -> str:
    """`svs` of `A.SVS`; empty where there is none."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def format_of(name: str) -> Format | None:
    """The format whose main file has such a name."""
    return _BY_EXTENSION.get(extension_of(name))


def companion_mains(folder_name: str) -> list[tuple[Format, Companion, str]]:
    """Whose companion a folder of this name could be: the formats and the names of the main files."""
    found = [(entry, entry.companion, entry.companion.main_of(folder_name)) for entry in FORMATS if entry.companion]
    return [(entry, companion, main) for entry, companion, main in found if main is not None]
