"""A `DICOMDIR` with the files that it lists: DICOM media as a scanner or an archive exports them.

Its records (PS3.3 annex F) name files by ReferencedFileID: up to eight parts, the folders and then the file, in upper
case, mostly without an extension; what a disk made of the case does not matter. The set is one slide, sent under the
directory's names, so that a reader which starts from the `DICOMDIR` finds all.

A directory in which no record is a whole-slide image (a CD from radiology) is no slide. Otherwise all that it lists
belongs to it, also objects of other kinds: it would be broken without them. Its whole-slide files are looked at as in a
folder of `.dcm` files (dicom.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .dicom import problems_of
from .dicom_header import WHOLE_SLIDE, Header, HeaderError, NoSlideError, check_magic, quiet, raw, read_header
from .listing import Folder
from .model import Why
from .parts import Parts, take_below

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

NAME = "DICOMDIR"
_LIMIT = 32 * 1024 * 1024  # bytes; a record has some hundred
_RECORDS, _IN_USE, _FILE_ID, _SOP_CLASS = 0x00041220, 0x00041410, 0x00041500, 0x00041510


class _NoDirectoryError(Exception):
    pass


def collect(folder: Folder, main: str) -> Parts:
    with quiet():
        try:
            listed = _listed(folder.files[main].path)
        except OSError as error:
            return Parts().unreadable("it", error)
        except _NoDirectoryError as error:
            return Parts.wrong(str(error))
        parts = Parts(main_as=NAME)
        if WHOLE_SLIDE in listed.values() or "" in listed.values():
            take_below(parts, folder, listed)
            parts.files = [part for part in parts.files if part.local != main]
        if not _look_at(parts, listed) and WHOLE_SLIDE not in listed.values():
            return Parts(problems=["a DICOM directory without whole-slide images"], why=Why.NOT_A_SLIDE)
    return parts


def _listed(path: str) -> dict[str, str]:
    """The files in a directory, with "/" between the parts, and the SOP class of each ("" where it does not say)."""
    with Path(path).open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise _NoDirectoryError(f"larger than {_LIMIT // 1024 // 1024} MiB: this cannot be a DICOM directory")
    try:
        records = _records(data)
    except (NoSlideError, HeaderError) as error:
        raise _NoDirectoryError(f"not a DICOM directory: {error}") from None
    except Exception as error:  # whatever garbage does to pydicom: see dicom_header.py
        raise _NoDirectoryError(f"its records cannot be read: {type(error).__name__}") from None
    files: dict[str, str] = {}
    for record in records:
        value, _ = raw(record, _FILE_ID)
        if value and raw(record, _IN_USE)[0] != b"\0\0":  # a deleted record stays in its place
            files[_path(value)] = raw(record, _SOP_CLASS)[0].rstrip(b"\0 ").decode("latin-1")
    return files


def _records(data: bytes) -> Iterable[Dataset]:
    from pydicom.filereader import read_dataset

    start = check_magic(data)
    file = io.BytesIO(data)
    file.seek(start)
    read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    directory = read_dataset(file, False, True, specific_tags=[_RECORDS])
    return directory[_RECORDS].value or []


def _path(value: bytes) -> str:
    """ASCII by the standard, but then people name folders."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("cp1252", "replace")
    return "/".join(part.strip(" \0") for part in text.split("\\"))


def _look_at(parts: Parts, listed: dict[str, str]) -> bool:
    """Notes what is wrong with those of the files that are whole-slide images; False if none is."""
    series: dict[str, dict[str, Header]] = {}
    for part in parts.files:
        if listed[part.path] not in (WHOLE_SLIDE, ""):
            continue
        try:
            header = read_header(part.entry.path)
        except OSError as error:
            parts.unreadable(part.path, error)
        except (NoSlideError, HeaderError) as error:
            if listed[part.path]:
                parts.problems.append(f"{part.path}: {error}")
        else:
            series.setdefault(header.series, {})[part.path] = header
    for members in series.values():
        parts.problems += problems_of(members)
    return bool(series)
