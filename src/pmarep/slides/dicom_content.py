"""DICOM files whose names do not tell: UIDs, `IM000001`, `l1`, `scan.dicom`, `IM000001;1`.

PS3.10 gives files on a medium names of eight characters without an ending, archives name them by their UIDs, and
programs as they like. `DICM` at byte 128 tells all of them. Only what no format explains is looked at, and not all of
it where a folder has thousands of such files and none of a sample is DICOM: a walk is not to open every file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from .folder import Folder

MAGIC_AT, MAGIC = 128, b"DICM"  # before that is a preamble that may be anything
_SAMPLE = 16  # files of a folder that are looked at where nothing else in it is DICOM


def find(folder: Folder, names: Sequence[str], beside: Sequence[str]) -> list[str]:
    """Choose the DICOM files among those that no format knows. `beside`: what is DICOM there by its name.

    Beside other DICOM files also such are chosen that may be damaged ones: what cannot be opened or begins with zeros,
    and what is empty and has the name of a file of the series but for the digits. So no slide goes without a level.
    """
    if not names:
        return []
    sample = names if beside else _sample(names)
    heads = {name: _head(folder, name) for name in sample}
    if len(heads) < len(names) and any(map(_is_dicom, heads.values())):
        heads |= {name: _head(folder, name) for name in names if name not in heads}
    found = [name for name in names if _is_dicom(heads.get(name))]
    if not found and not beside:
        return []
    shapes = {_shape(name) for name in (*found, *beside)}
    return [name for name in names if _may_be_dicom(heads[name], _shape(name) in shapes)]


def _sample(names: Sequence[str]) -> Sequence[str]:
    """Take all of a few names; of many the first of each shape, then some from everywhere."""
    if len(names) <= _SAMPLE:
        return names
    firsts: dict[str, str] = {}
    for name in names:
        firsts.setdefault(_shape(name), name)
    chosen = dict.fromkeys([*firsts.values(), *names[:: -(-len(names) // _SAMPLE)]])
    return list(chosen)[:_SAMPLE]


def _head(folder: Folder, name: str) -> bytes | None:
    try:
        with io.FileIO(folder.files[name].path) as file:
            return file.read(MAGIC_AT + len(MAGIC))
    except OSError:
        return None


def _is_dicom(head: bytes | None) -> bool:
    return head is not None and head[MAGIC_AT:] == MAGIC


def _may_be_dicom(head: bytes | None, is_named_so: bool) -> bool:
    if head == b"":
        return is_named_so
    return head is None or _is_dicom(head) or not any(head)


def _shape(name: str) -> str:
    """`im0` of `IM000001`: equal for names that differ in numbers only."""
    return re.sub(r"\d+", "0", name.lower())
