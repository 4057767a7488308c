"""The table of slide formats: one entry each.

To add a format:
- A single file per slide: one `Format` with a name and extensions in FORMATS; `recognise` where the extension does not
  tell enough.
- Several files per slide: also a module of its own in this folder, with `collect(folder, main)`, which returns the
  Companions that an index or a folder names (helpers: companions.py, index_file.py; a short example: ndpis.py), or
  `group(folder, names)` where several main-looking files are one slide (continuation_files.py). A folder named after
  the main file gets a CompanionFolder, so that it is recognised also when the main file is missing (mirax.py).
- `belongs` says for people what belongs to a slide. Tests are in tests/unit/slides/test_slides_formats.py, and their
  samples are written by tests/support/corpus.py. Nothing else needs to change for a usual format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from . import (
    afi,
    continuation_files,
    cws,
    dicom,
    dicom_content,
    dicomdir,
    menarini,
    mirax,
    ndpis,
    oif,
    ome,
    tiff,
    vms,
    vsi,
    zarr,
)
from .companions import Companions, SlideGroups, add_folder
from .folder import Folder


@dataclass(frozen=True, slots=True)
class CompanionFolder:
    """The rule by which a folder that belongs to a main file is recognised, also when that file is missing.

    `main_of` gives the main file's name for a folder's name, or None; `is_companion` looks inside. `folder_of` gives
    the folder's name for a main file's without its extension, and `take` what belongs to the slide out of such a folder
    (given what it should be called, and where it is on disk, "" or with "/" at its end). `is_flat`: whether the files
    tell that they belong to a slide also where they lie beside the main file.
    """

    main_of: Callable[[str], str | None]
    is_companion: Callable[[Folder], bool]
    folder_of: Callable[[str], str] = str
    take: Callable[[Companions, Folder, str, str], None] | None = None
    is_flat: bool = False


@dataclass(frozen=True)
class Format:
    """One slide format.

    A file with one of `extensions` (lower case, without the dot; `ome.tif` goes before `tif`) or one of `names` (whole
    names, in lower case) is a main file, if `recognise` agrees: given the path, it reads as few bytes as it takes and
    returns None for such a slide, else why it is none. OSError means unreadable.

    `collect` is given the main file's folder and name and says what else belongs to it and what is missing; None:
    nothing else does. Where several files that look like main files are one slide (or none at all), `group` is given
    the folder and all their names instead, and sorts them. A format has at most one of `collect` and `group`. Those
    without a `companion` folder may lay claim to any files, so they are asked before others are looked at.

    `search` is given the folder, the names of its files that no format knows, and those of this format. It says which
    of the former are of this format by what is in them: for formats with a `group`.

    `belongs` says for people what belongs to a slide besides its main file `n`, where something does.

    `plain`: pictures of any origin, which may as well be tiles. `deep`: has files in sub-folders of any name.
    `takes_rest`: what another slide has is simply not its own, where others would be incomplete.

    `never_empty`: endings of the files of a slide (in lower case) that cannot be empty. Where a whole folder belongs to
    a slide, others in it may be.
    """

    name: str
    extensions: tuple[str, ...] = ()
    collect: Callable[[Folder, str], Companions] | None = None
    companion: CompanionFolder | None = None
    names: tuple[str, ...] = ()
    recognise: Callable[[str], str | None] | None = None
    group: Callable[[Folder, Sequence[str]], SlideGroups] | None = None
    search: Callable[[Folder, Sequence[str], Sequence[str]], list[str]] | None = None
    belongs: str = ""
    plain: bool = False
    deep: bool = False
    takes_rest: bool = False
    never_empty: tuple[str, ...] = ("",)

    @cached_property
    def has_companions(self) -> bool:
        return self.collect is not None or self.group is not None


def _collect_cws(folder: Folder, main: str) -> Companions:
    def is_other_slide(path: str) -> bool:
        entry = format_of(path)
        return entry is not None and not entry.plain and entry.name != _MENARINI

    def is_others_folder(below: Folder) -> bool:
        if any(is_other_slide(name) for name in below.files):
            return True
        return any(companion.is_companion(below) for _, companion, _ in companion_mains(below.name))

    return cws.collect(folder, main, is_other_slide, is_others_folder)


def _take_folder(parts: Companions, folder: Folder, name: str, local_prefix: str) -> None:
    add_folder(parts, folder, f"{name}/", local_prefix)


_MENARINI = "Menarini D-Sight"

# The extensions are those of PMA.UI 2.39.2's uploader (imageUpload.js), of the Python SDK, and the single-file ones of
# OpenSlide. Where the maker is not certain, the name is just the extension.
FORMATS: tuple[Format, ...] = (
    Format(
        "3DHISTECH MIRAX",
        ("mrxs",),
        mirax.collect,
        CompanionFolder(mirax.main_of, mirax.is_companion, take=mirax.take, is_flat=True),
        belongs="the folder n/ with its Slidedat.ini and all files that this names",
    ),
    Format(
        "cellSens VSI",
        ("vsi",),
        vsi.collect,
        CompanionFolder(vsi.main_of, vsi.is_companion, "_{}_".format, _take_folder),
        belongs="the folder _n_/ with the .ets files",
        never_empty=(".ets",),
    ),
    Format("Hamamatsu NDPIS", ("ndpis",), ndpis.collect, belongs="the .ndpi files that it names, beside it"),
    Format("Hamamatsu VMS", ("vms",), vms.collect, belongs="the pictures and the map file that it names, beside it"),
    Format("Hamamatsu VMU", ("vmu",), vms.collect, belongs="the pictures and the map file that it names, beside it"),
    Format("Aperio AFI", ("afi",), afi.collect, belongs="the .svs files that it names, beside it"),
    Format(
        "Aperio CWS",
        collect=_collect_cws,
        names=(cws.MAIN,),
        deep=True,
        takes_rest=True,
        never_empty=(".jpg", ".ini"),
        belongs="the whole folder: index files and a JPEG file per tile",
    ),
    Format(
        _MENARINI,
        ("ini",),
        menarini.collect,
        recognise=menarini.recognise,
        deep=True,
        belongs="the pictures that it names, and a folder n/",
    ),
    Format("Aperio SVS", ("svs",)),
    Format("Hamamatsu NDPI", ("ndpi",)),
    Format("Olympus OIF (not sent)", ("oif",), oif.collect, belongs="the folder n.oif.files/ with its planes"),
    Format("Leica SCN", ("scn",)),
    Format("Leica LIF", ("lif",)),
    Format("Leica LOF", ("lof",)),
    Format(
        "Zeiss CZI", ("czi",), group=continuation_files.czi_group, belongs="n (1).czi, n (2).czi, ... that continue it"
    ),
    Format("Zeiss ZVI", ("zvi",)),
    Format("Zeiss LSM", ("lsm",)),
    Format("Nikon ND2", ("nd2",)),
    Format(
        "Olympus OIR", ("oir",), group=continuation_files.oir_group, belongs="n_00001, n_00002, ... that continue it"
    ),
    Format("Olympus OIB", ("oib",)),
    Format("Ventana BIF", ("bif",)),
    Format("Philips iSyntax", ("isyntax", "i2syntax")),
    Format("Sakura SVSLIDE", ("svslide",)),
    Format("Motic MDS", ("mds", "mdsx")),
    Format("KFBIO KFB", ("kfb", "kfbf")),
    Format("Akoya QPTIFF", ("qptiff",)),
    Format("SmartZoom SZI", ("szi",)),
    Format("ZIF", ("zif",)),
    Format("ARGOS AVS", ("avs",)),
    Format("SWS", ("sws",)),
    Format("CWS", ("cws",)),
    Format("TMAP", ("tmap",)),
    Format("RTS", ("rts",)),
    Format("DICOMDIR", collect=dicomdir.collect, names=dicomdir.NAMES, deep=True, belongs="all files that it lists"),
    Format(
        "DICOM",
        ("dcm",),
        group=dicom.group,
        search=dicom_content.find,
        belongs="all files of the same series in the folder, whatever their names; the largest is the main file",
    ),
    Format(
        "Zarr",
        names=zarr.NAMES,
        group=zarr.group,
        deep=True,
        takes_rest=True,
        belongs="all that is in its folder n.zarr/, also what is hidden: .zattrs, .zgroup, .zarray, .zmetadata",
    ),
    Format(
        "OME companion",
        ("companion.ome",),
        ome.companion_collect,
        deep=True,
        belongs="the .ome.tif files that it names, beside it or in folders there",
    ),
    Format(
        "OME-TIFF",
        ("ome.tif", "ome.tiff", "ome.btf", "ome.tf2", "ome.tf8"),
        group=ome.group,
        belongs="the other .ome.tif files that its text names, beside it",
    ),
    Format("TIFF", ("tif", "tiff", "ptif", "btf", "tf2", "tf8"), recognise=tiff.recognise, plain=True),
    Format("JPEG", ("jpeg", "jpg"), plain=True),
    Format("JPEG 2000", ("jp2",), plain=True),
    Format("JPEG XR", ("jxr",), plain=True),
    Format("PNG", ("png",), plain=True),
)

# Formats that no table knows, but PMA.start does; see ownership.py.
KNOWN_TO_PMA_START = Format("known to PMA.start", group=lambda _folder, _names: SlideGroups())

_BY_EXTENSION = {extension: entry for entry in FORMATS for extension in entry.extensions}
SEARCHED = tuple(entry for entry in FORMATS if entry.search)
_BY_NAME = {name: entry for entry in FORMATS for name in entry.names}
_LAST_OF_TWO = frozenset(extension.rpartition(".")[2] for extension in _BY_EXTENSION if "." in extension)
_COMPANIONS = tuple((entry, entry.companion) for entry in FORMATS if entry.companion)


def extension_of(name: str) -> str:
    """Return the extension of a name in lower case: `svs` of `A.SVS`; "" where there is none."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def format_of(name: str) -> Format | None:
    """Return the format whose main file has such a name (or path), or None."""
    lower = name.rpartition("/")[2].lower() if "/" in name else name.lower()
    if lower in _BY_NAME:
        return _BY_NAME[lower]
    stem, dot, extension = lower.rpartition(".")
    if not dot:
        return None
    if extension in _LAST_OF_TWO:
        longer = _BY_EXTENSION.get(f"{stem.rpartition('.')[2]}.{extension}") if "." in stem else None
        if longer is not None:
            return longer
    return _BY_EXTENSION.get(extension)


def companion_mains(folder_name: str) -> list[tuple[Format, CompanionFolder, str]]:
    """Return the formats and main files' names whose companion a folder of this name could be."""
    found = [(entry, companion, companion.main_of(folder_name)) for entry, companion in _COMPANIONS]
    return [(entry, companion, main) for entry, companion, main in found if main is not None]
