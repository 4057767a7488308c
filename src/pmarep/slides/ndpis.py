"""Hamamatsu image set: `n.ndpis`, an INI file that names one `.ndpi` per channel, beside it.

`[NanoZoomer Digital Pathology Image Set]` with `NoImages` and `Image0`, `Image1`, ... (PMA.UI's uploader; Bio-Formats'
NDPISReader resolves the names against the folder of the `.ndpis`).
"""

from __future__ import annotations

from .companions import Companions, add_named_files
from .folder import Folder
from .index_file import IndexFileError, numbered, parse_ini, read_index

_SECTION = "nanozoomer digital pathology image set"
_KEYS = "NoImages", "Image"


def collect(folder: Folder, main: str) -> Companions:
    parts = Companions()
    try:
        sections = parse_ini(read_index(folder, main, _names))
    except OSError as error:
        return parts.add_unreadable("it", error)
    except IndexFileError as error:
        return Companions.with_problem(str(error))
    if _SECTION not in sections:
        return Companions.with_problem("not an index: it has no section [NanoZoomer Digital Pathology Image Set]")
    names, problem = numbered(sections[_SECTION], *_KEYS)
    if problem is not None:
        parts.problems.append(problem)
    add_named_files(parts, folder, names)
    return parts


def _names(text: str) -> list[str]:
    return numbered(parse_ini(text).get(_SECTION, {}), *_KEYS)[0]
