"""Continuation files: pictures that a microscope continues in more files beside the main one, named after it.

Olympus OIR: `scan.oir`, then `scan_00001`, `scan_00002`, ... without an extension. Zeiss CZI: `brain.czi`, then
`brain (1).czi` or `brain(1).czi`, ... So Bio-Formats finds them (OIRReader, ZeissCZIReader); nothing in the main file
lists them. A gap in the numbers tells that one is missing, a missing last one nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .companions import Companions, SlideGroups
from .file_names import normalized_key, sort_names
from .folder import Folder

_OIR = re.compile(r"(.+)_([0-9]{5,9})", re.DOTALL)
_CZI = re.compile(r"(.+?) ?\(([0-9]{1,6})\)\.czi", re.DOTALL | re.IGNORECASE)
# ZISRAW's file header segment: 32 bytes about the segment, 16 of versions, then these (ZISRAW file format, Zeiss).
_MAGIC = b"ZISRAWFILE"
_PRIMARY, _OWN, _PART = slice(48, 64), slice(64, 80), slice(80, 84)


def oir_group(folder: Folder, names: Sequence[str]) -> SlideGroups:
    """Find the slides among the .oir files of a folder, each with the files that continue it."""
    mains = {normalized_key(name.rpartition(".")[0]): name for name in reversed(names)}
    more: dict[str, dict[int, str]] = {}
    for name in sort_names(folder.files):
        match = _OIR.fullmatch(name) if name[-1].isdigit() else None
        main = mains.get(normalized_key(match[1])) if match else None
        if match and main:
            more.setdefault(main, {}).setdefault(int(match[2]), name)
    groups = SlideGroups({name: Companions() for name in names})
    for main, found in more.items():
        _take(groups.slides[main], folder, main.rpartition(".")[0], found)
    return groups


def czi_group(folder: Folder, names: Sequence[str]) -> SlideGroups:
    """Find the slides among the .czi files of a folder: each alone, or with the files that continue it."""
    groups = SlideGroups()
    mains = {normalized_key(name.rpartition(".")[0]): name for name in reversed(names)}
    more: dict[str, dict[int, str]] = {}
    for name in names:
        match = _CZI.fullmatch(name) if name[-5:].lower() == ").czi" else None
        main = mains.get(normalized_key(match[1])) if match else None
        if match and main and _continues(folder.files[name].path):
            more.setdefault(main, {}).setdefault(int(match[2]), name)
    continued = {name for found in more.values() for name in found.values()}
    for name in names:
        if name not in continued:
            groups.slides[name] = Companions()
    for main, found in more.items():
        if main in groups.slides:
            _take(groups.slides[main], folder, main.rpartition(".")[0], found)
        else:  # the part of a part
            groups.slides.update({name: Companions() for name in found.values()})
    return groups


def is_named_as_continuation(name: str) -> bool:
    """Return whether a .czi is called as a file that continues another one."""
    return _CZI.fullmatch(name) is not None


def _continues(path: str) -> bool:
    """Return whether a .czi is a part of another; one that a browser has numbered says that it is whole by itself."""
    try:
        with Path(path).open("rb", buffering=0) as file:
            head = file.read(_PART.stop)
    except OSError:
        return True  # reading it for the slide will tell
    whole = head.startswith(_MAGIC) and head[_PRIMARY] == head[_OWN] and head[_PART] == bytes(4)
    return not whole


def _take(parts: Companions, folder: Folder, stem: str, found: dict[int, str]) -> None:
    for _, name in sorted(found.items()):
        parts.take(name, name, folder.files[name])
    missing = [number for number in range(1, max(found, default=0)) if number not in found]
    if missing:
        shown = ", ".join(map(str, missing[:4])) + (" and more" if len(missing) > 4 else "")
        parts.problems.append(f"missing: number {shown} of the files that continue {stem}")
