"""Menarini D-Sight: an `.ini` file with the pictures beside it or in a folder of its name.

Not sure at all. PMA.core's lists have `.ini` as a main file of A. Menarini's scanner, and neither OpenSlide nor
Bio-Formats read it; no description and no sample was to be had. What is relied upon:
- Many programs write `.ini` files, so one is a slide only if the scanner or its makers are named in it (D-Sight,
  Menarini, Visia Imaging), and only if there are pictures for it.
- A slide's files are those that a value names (by its last part, as in any index from another PC, else by its path from
  the index), if they are there or are named as pictures; and all that lies in a folder with the name of the index.
PMA.start, where it runs, is not asked about `.ini` files.
"""

from __future__ import annotations

import re
from pathlib import Path

from .companions import Companions, add_files_by_path, add_folder
from .file_names import normalized_key
from .folder import Folder, LoopError
from .index_file import IndexFileError, is_plain, parse_ini, read_index, read_text

_LIMIT = 1024 * 1024  # bytes
_MAKERS = re.compile(r"menarini|d[-_ ]?sight|visia[-_ ]?imaging", re.IGNORECASE)
_PICTURE = re.compile(r"\.(jpe?g|jp2|jxr|png|bmp|tiff?|dat|bin|raw)$", re.IGNORECASE)
_NO_SLIDE = "no slide's main file: .ini"


def recognise(path: str) -> str | None:
    if Path(path).stat().st_size > _LIMIT:
        return _NO_SLIDE
    try:
        return None if _MAKERS.search(read_text(path, _LIMIT)) else _NO_SLIDE
    except IndexFileError:
        return _NO_SLIDE


def collect(folder: Folder, main: str) -> Companions:
    try:
        sections = parse_ini(read_index(folder, main, _pictures, _LIMIT))
    except OSError as error:
        return Companions().add_unreadable("it", error)
    except IndexFileError as error:
        return Companions.with_problem(str(error))
    parts = Companions()
    found = folder.find_folder(main.rpartition(".")[0])
    if found is not None:
        try:
            add_folder(parts, folder.look_into(found.name), f"{found.name}/", f"{found.name}/")
        except OSError as error:
            parts.reported_paths.append(found.name)
            return parts.add_unreadable(f"its folder {found.name}/", error)
        except LoopError as error:
            return Companions.with_problem(f"its folder {found.name}/ is {error}")
    values = {value for section in sections.values() for value in section.values()}
    own = normalized_key(main)
    names = {name for value in values if (name := _named(folder, value)) and normalized_key(name) != own}
    add_files_by_path(parts, folder, sorted(names))
    if not parts.files and not parts.problems:
        parts.problems.append("no pictures beside it or in a folder of its name")
    return parts


def _pictures(text: str) -> list[str]:
    """Return the names of pictures in an index, in whichever section they are."""
    values = (value for section in parse_ini(text).values() for value in section.values())
    return [re.split(r"[/\\]", value.strip('"'))[-1] for value in values if _PICTURE.search(value)]


def _named(folder: Folder, value: str) -> str | None:
    """Return the path of the file that a value names, as far as one can tell; None if it seems to name none."""
    path = value.strip('"').replace("\\", "/")
    last = path.rpartition("/")[2]
    if not is_plain(last):
        return None
    if folder.find(last) is not None or (_PICTURE.search(path) and re.match(r"/|[A-Za-z]:", path)):
        return last
    return path if _PICTURE.search(path) and all(map(is_plain, path.split("/"))) else None
