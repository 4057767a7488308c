"""3DHistech MIRAX: `n.mrxs` (a thumbnail) and the folder `n/` with the picture.

`n/Slidedat.ini` names the rest: `[HIERARCHICAL] INDEXFILE` and `[DATAFILE] FILE_0` to `FILE_<FILE_COUNT - 1>`, all in
`n/`; one of them missing, and the slide cannot be opened (OpenSlide's openslide-vendor-mirax.c; PMA.UI's uploader asks
for the same). Other files in `n/` are no part of the slide.
"""

from __future__ import annotations

from .companions import Companions, add_named_files
from .folder import Folder, LoopError
from .index_file import IndexFileError, numbered, parse_ini, read_text

INI = "Slidedat.ini"
EXTENSION = ".mrxs"


def collect(folder: Folder, main: str) -> Companions:
    stem = main[: -len(EXTENSION)]
    found = folder.find_folder(stem)
    if found is None:
        return Companions.with_problem(f"its folder {stem}/ is missing")
    parts = Companions()
    try:
        companion = folder.look_into(found.name)
    except OSError as error:
        parts.reported_paths.append(found.name)
        return parts.add_unreadable(f"its folder {stem}/", error)
    except LoopError as error:
        return Companions.with_problem(f"its folder {stem}/ is {error}")
    take(parts, companion, stem, f"{found.name}/")
    return parts


def take(parts: Companions, companion: Folder, stem: str, local_prefix: str) -> None:
    """Take what belongs to a slide out of the folder that has it, which should be called `stem`."""
    ini = companion.find(INI)
    if ini is None:
        parts.add_missing([f"{stem}/{INI}"])
        return
    parts.take(f"{stem}/{INI}", f"{local_prefix}{ini.name}", ini)
    try:
        sections = parse_ini(read_text(ini.path))
    except OSError as error:
        parts.add_unreadable(f"{stem}/{INI}", error)
        return
    except IndexFileError as error:
        parts.problems.append(f"{stem}/{INI} is {error}")
        return
    names, problem = numbered(sections.get("datafile", {}), "FILE_COUNT", "FILE_")
    index = sections.get("hierarchical", {}).get("indexfile", "")
    if problem is not None:
        parts.problems.append(problem)
    if not index:
        parts.problems.append("its index has no INDEXFILE")
    add_named_files(parts, companion, [index, *names] if index else names, f"{stem}/", local_prefix)


def main_of(folder_name: str) -> str | None:
    """Return the name of the main file that a companion folder of this name would belong to."""
    return folder_name + EXTENSION


def is_companion(folder: Folder) -> bool:
    # not find(): this is asked of every folder on the walk
    return any(len(name) == len(INI) and name.lower() == INI.lower() for name in folder.files)
