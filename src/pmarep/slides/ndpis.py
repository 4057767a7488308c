"""Hamamatsu image set: `n.ndpis`, an INI file that names one `.ndpi` per channel, beside it.

`[NanoZoomer Digital Pathology Image Set]` with `NoImages` and `Image0`, `Image1`, ... (PMA.UI's uploader; Bio-Formats'
NDPISReader resolves the names against the folder of the `.ndpis`).
"""

from __future__ import annotations

from .codepages import read_index
from .companions import Companions, IndexFileError, numbered, parse_ini, take_named
from .folder import Folder

_SECTION = "nanozoomer digital pathology image set"
_KEYS = "NoImages", "Image"


def collect(folder: Folder, main: str) -> Companions:
    parts = Companions()
    try:
        sections = parse_ini(read_index(folder, main, _names))
    except OSError as error:
        return parts.unreadable("it", error)
    except IndexFileError as error:
        return Companions.wrong(str(error))
    if _SECTION not in sections:
        return Companions.wrong("not an index: it has no section [NanoZoomer Digital Pathology Image Set]")
    names, problem = numbered(sections[_SECTION], *_KEYS)
    if problem is not None:
        parts.problems.append(problem)
    take_named(parts, folder, names)
    return parts


def _names(text: str) -> list[str]:
    return numbered(parse_ini(text).get(_SECTION, {}), *_KEYS)[0]
