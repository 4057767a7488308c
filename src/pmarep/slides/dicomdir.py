"""A `DICOMDIR` with the files that it lists: DICOM media as a scanner or an archive exports them.

Its records (PS3.3 annex F) name files by ReferencedFileID: up to eight parts, the folders and then the file, in upper
case, mostly without an extension; what a disk made of the case does not matter. The set is one slide, sent under the
directory's names, so that a reader which starts from the `DICOMDIR` finds all.

ISO 9660 has a version at the end of each name, which some systems show and some programs copy: `DICOMDIR;1` names
`IM000001`, and there is an `IM000001;1`.

A directory in which no record is a whole-slide image (a CD from radiology) is no slide. Otherwise all that it lists
belongs to it, also objects of other kinds: it would be broken without them. Its whole-slide files are looked at as in a
folder of `.dcm` files (dicom.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .companions import Companions, add_files_by_path
from .dicom import problems_of
from .dicom_file import HeaderError, NoSlideError, check_magic, of_garbage
from .dicom_header import WHOLE_SLIDE, Header, quiet, raw, read_header
from .folder import Folder
from .model import Why

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

NAME = "DICOMDIR"
_VERSION = ";1"
NAMES = (NAME.lower(), NAME.lower() + _VERSION)
_LIMIT = 4 * 1024 * 1024  # bytes: 10,000 images at some 400 a record; read in 1 s, of smaller ones than that in 5 s
_LARGEST = 64 * 1024 * 1024  # bytes that are searched for whole-slide images: the directory of an archive in radiology
_RECORDS, _IN_USE, _FILE_ID, _SOP_CLASS = 0x00041220, 0x00041410, 0x00041500, 0x00041510


def collect(folder: Folder, main: str) -> Companions:
    with quiet():
        try:
            listed = _listed(folder.files[main].path)
        except OSError as error:
            return Companions().add_unreadable("it", error)
        except (NoSlideError, HeaderError) as error:
            return Companions.with_problem(f"cannot be read as a DICOM directory: {error}")
        parts = Companions(main_as=NAME)
        if WHOLE_SLIDE in listed.values() or "" in listed.values():
            add_files_by_path(parts, folder, listed, ("", _VERSION))
            parts.files = [part for part in parts.files if part.local != main]
        if not _look_at(parts, listed) and WHOLE_SLIDE not in listed.values():
            return Companions(problems=["a DICOM directory without whole-slide images"], why=Why.NOT_A_SLIDE)
    return parts


def _listed(path: str) -> dict[str, str]:
    """List the files in a directory, with "/" between the parts, and the SOP class of each ("" where it does not say).

    Raises OSError, NoSlideError and HeaderError.
    """
    with Path(path).open("rb") as file:
        data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            check_magic(data)
            if _names_no_slide(data, file):
                return {}
            raise HeaderError(f"larger than {_LIMIT // 1024 // 1024} MiB")
    files: dict[str, str] = {}
    try:
        for record in _records(data):
            value, _ = raw(record, _FILE_ID)
            if value and raw(record, _IN_USE)[0] != b"\0\0":  # a deleted record stays in its place
                files[_path(value)] = raw(record, _SOP_CLASS)[0].rstrip(b"\0 ").decode("latin-1")
    except (NoSlideError, HeaderError):
        raise
    except Exception as error:
        raise of_garbage(error, "its records are broken") from None
    return files


def _names_no_slide(data: bytes, file: BinaryIO) -> bool:
    """Tell by the bytes whether no record is of a whole-slide image; False too if there are too many to tell."""
    wanted, left = WHOLE_SLIDE.encode(), _LARGEST
    while data and wanted not in data:
        left -= len(data)
        if left <= 0:
            return False
        data, before = file.read(_LIMIT), data
        data = data and before[-len(wanted) :] + data
    return not data


def _records(data: bytes) -> Iterator[Dataset]:
    """Read the records one by one: all at once they would take forty times the bytes of the file."""
    from pydicom.filereader import read_dataset, read_sequence_item

    start = check_magic(data)
    file = io.BytesIO(data)
    file.seek(start)
    read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    found: list[tuple[int, int]] = []

    def stop(tag: int, _vr: str | None, length: int) -> bool:
        if tag == _RECORDS:
            found.append((file.tell(), length))
        return bool(found)

    read_dataset(file, False, True, stop_when=stop)
    if not found:
        raise HeaderError("it has no records")
    begin, length = found[0]
    file.seek(begin)
    end = len(data) if length == 0xFFFFFFFF else begin + length
    if end > len(data):
        raise HeaderError("cut off")
    while file.tell() < end and (record := read_sequence_item(file, False, True, "iso8859")) is not None:
        yield record


def _path(value: bytes) -> str:
    """Decode a ReferencedFileID to a path: it is ASCII by the standard, but people name folders as they like."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("cp1252", "replace")
    return "/".join(part.strip(" \0") for part in text.split("\\"))


def _look_at(parts: Companions, listed: dict[str, str]) -> bool:
    """Add what is wrong with those of the files that are whole-slide images; return False if none is one."""
    series: dict[str, dict[str, Header]] = {}
    for part in parts.files:
        if listed[part.path] not in (WHOLE_SLIDE, ""):
            continue
        try:
            header = read_header(part.entry.path)
        except OSError as error:
            parts.add_unreadable(part.path, error)
        except (NoSlideError, HeaderError) as error:
            if listed[part.path]:
                parts.problems.append(f"{part.path}: {error}")
        else:
            series.setdefault(header.series, {})[part.path] = header
    for members in series.values():
        parts.problems += problems_of(members)
    return bool(series)
