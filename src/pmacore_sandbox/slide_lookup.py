"""Finds the slides of a root-directory, the files that belong to each, and whether all of them are there.

PMA.core knows the vendors' formats; the stand-in goes by what was announced together, and for files that somebody put
into the data folder by hand by the conventions of PMA.UI's uploader (imageUpload.js) and of the vendors' formats.
"""

from __future__ import annotations

import configparser
import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from .models import StoredFile
from .paths import Parts, fold, join
from .refusals import NotFoundRefusal, Refusal
from .roots.base import RootDirectory
from .upload_registry import UploadRegistry

_SINGLE = (
    "tif tiff jpeg jpg jp2 png ndpi dcm svs scn svslide lif zvi czi lsm nd2 mds zif sws qptiff tmap jxr kfb isyntax "
    "rts bif oir szi mdsx cws tf2 tf8 btf oib lof i2syntax kfbf avs ptif"
)
_SEVERAL = "mrxs vsi ndpis afi vms vmu ome ini"
EXTENSIONS = frozenset((_SINGLE + " " + _SEVERAL).upper().split())
_WHOLE_NAMES = frozenset(("DICOMDIR", "SLIDESCAN.INI"))
_LARGEST_INDEX = 1 << 20  # bytes; an index file is a few hundred


class SlideLookup:
    """The slides of one root-directory."""

    def __init__(self, storage: RootDirectory, uploads: UploadRegistry) -> None:
        self._root = storage
        self._uploads = uploads

    def main_files(self, folder: Parts) -> list[Parts]:
        """Return the main files of a folder's slides: no companions, and no slide whose upload is incomplete."""
        files = self._root.files(folder)
        if self._is_companion_folder(folder):
            return []
        mains = [file for file in files if self._is_main(file.path) and self._upload_complete(file.path) is not False]
        claimed = {self._root.match_key(part.path) for file in mains for part in self._named_in_index(file)}
        return [
            file.path
            for file in mains
            if self._root.match_key(file.path) not in claimed
            and not self._uploads.is_companion(self._root.name, file.path)
        ]

    def files_of(self, path: Parts) -> list[StoredFile]:
        """Return all files of a slide, the main file last: no client may count on its coming first."""
        main = self._root.find(path)
        if main is None or not self._is_main(main.path):
            raise NotFoundRefusal(f"The slide {join(self._root.name, *path)} does not exist")
        found = {self._root.match_key(file.path): file for file in self._companions(main)}
        found.pop(self._root.match_key(main.path), None)
        return [*(found[key] for key in sorted(found)), main]

    def check_readable(self, path: Parts) -> list[StoredFile]:
        """Return the files of a slide. Raises Refusal while some are missing."""
        files = self.files_of(path)
        upload = self._uploads.uploaded_by(self._root.name, files[-1].path)
        if upload is not None:
            sizes = {self._root.match_key(file.path): file.size for file in files}
            missing = next(
                (
                    file
                    for file in upload.files.values()
                    if not file.complete or sizes.get(self._root.match_key(upload.path(file))) != file.length
                ),
                None,
            )
            if missing is not None:
                raise Refusal(f"The slide {path[-1]!r} cannot be opened: {missing.path!r} has not arrived", code=2)
        elif not self._has_companions(files):
            raise Refusal(f"The slide {path[-1]!r} cannot be opened: files of it are missing", code=2)
        return files

    def image_info(self, path: Parts) -> dict[str, Any]:
        """Return what the official client reads from GetImageInfo. The figures are made up: nothing is decoded."""
        files = self.check_readable(path)
        virtual = join(self._root.name, *files[-1].path)
        channel = {"ChannelID": 0, "Name": "Brightfield", "Color": "#ffffffff"}
        layer = {"LayerID": 0, "Channels": [channel]}
        return {
            "Filename": virtual,
            "UID": hashlib.sha256(virtual.encode()).hexdigest()[:12].upper(),
            "Width": 4096,
            "Height": 4096,
            "TileSize": 512,
            "NumberOfZoomLevels": 4,
            "MaxZoomLevel": 3,
            "MicrometresPerPixelX": 0.5,
            "MicrometresPerPixelY": 0.5,
            "NumberOfLayers": 1,
            "IsFluorescent": False,
            "LastModified": json_date(files[-1]),
            "Size": sum(file.size for file in files),
            "TimeFrames": [{"TimeID": 0, "Layers": [layer]}],
        }

    def fingerprint(self, path: Parts) -> str:
        """Return a digest over the contents of all files: equal on two servers exactly if the bytes are."""
        whole = hashlib.sha256()
        for file in self.check_readable(path):
            whole.update(self._root.sha256(file))
        return whole.hexdigest()

    def _is_main(self, path: Parts) -> bool:
        """Return whether a file is a slide's main file: by its name, or by its announcement (a UID names a DICOM)."""
        return _is_slide_name(path[-1]) or self._upload_complete(path) is not None

    def _upload_complete(self, path: Parts) -> bool | None:
        """Return whether the upload that brought a main file is complete; None where no upload did."""
        upload = self._uploads.uploaded_by(self._root.name, path)
        if upload is None or self._root.match_key(upload.path(upload.main)) != self._root.match_key(path):
            return None
        return upload.complete

    def _companions(self, main: StoredFile) -> list[StoredFile]:
        found: list[StoredFile] = []
        folder = _companion_folder(main.path)
        if folder is not None:
            found += self._root.files_below(folder)
        upload = self._uploads.uploaded_by(self._root.name, main.path)
        if upload is None:
            return found + self._named_in_index(main)
        known = {self._root.match_key(file.path) for file in (*found, main)}
        announced = map(upload.path, upload.files.values())
        return found + list(
            self._root.find_all(path for path in announced if self._root.match_key(path) not in known).values()
        )

    def _has_companions(self, files: list[StoredFile]) -> bool:
        extension = _extension(files[-1].path[-1])
        return len(files) > 1 or extension not in _SEVERAL.upper().split()

    def _is_companion_folder(self, folder: Parts) -> bool:
        if len(folder) < 1:
            return False
        name, parent = folder[-1], folder[:-1]
        mains = [f"{name}.mrxs"]
        if len(name) > 2 and name.startswith("_") and name.endswith("_"):
            mains.append(f"{name[1:-1]}.vsi")
        return any(self._root.find((*parent, main)) for main in mains) or self._is_companion_folder(parent)

    def _named_in_index(self, main: StoredFile) -> list[StoredFile]:
        """Return the files that a main file names as an index (NDPIS, VMS, AFI); none if it cannot be read."""
        reader = _INDEX_READERS.get(_extension(main.path[-1]))
        if reader is None or main.size > _LARGEST_INDEX:
            return []
        try:
            names = reader(self._root.read(main).decode("utf-8-sig", "replace"))
        except (Refusal, OSError, configparser.Error, ET.ParseError):
            return []
        plain = [name for name in names if name and not set(name) & set("/\\\0") and name not in (".", "..")]
        beside = (self._root.find((*main.path[:-1], name)) for name in plain)
        return [file for file in beside if file is not None]


def json_date(file: StoredFile) -> str:
    """`/Date(ms)/`, which the official client's get_last_modified_date takes apart."""
    return f"/Date({file.mtime_ns // 1_000_000})/"


def _extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return fold(extension) if dot and stem else ""


def _is_slide_name(name: str) -> bool:
    return _extension(name) in EXTENSIONS or fold(name) in _WHOLE_NAMES


def _companion_folder(main: Parts) -> Parts | None:
    stem = main[-1].rpartition(".")[0]
    names = {"MRXS": stem, "VSI": f"_{stem}_"}
    name = names.get(_extension(main[-1]))
    return None if name is None else (*main[:-1], name)


def _ini(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return parser


def _ndpis_names(text: str) -> list[str]:
    return [v for s in _ini(text).values() for k, v in s.items() if k.startswith("image") and k[5:].isdigit()]


def _vms_names(text: str) -> list[str]:
    wanted = ("imagefile", "mapfile", "macroimage", "optimisationfile")
    return [v for s in _ini(text).values() for k, v in s.items() if k.startswith(wanted)]


def _afi_names(text: str) -> list[str]:
    if "<!" in text:  # no declarations: nothing to expand
        return []
    return [(path.text or "").strip() for path in ET.fromstring(text).iter("Path")]  # noqa: S314


_INDEX_READERS: dict[str, Callable[[str], list[str]]] = {
    "NDPIS": _ndpis_names,
    "VMS": _vms_names,
    "VMU": _vms_names,
    "AFI": _afi_names,
}
