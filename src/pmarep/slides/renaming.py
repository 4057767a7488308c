"""Give a slide another name at a site: all its files together, where its format allows that.

A slide of one file is renamed as any file, also an `.ome.tif`: what its text names is the file itself (Bio-Formats'
OMETiffReader takes it so). Of several files, those are renamed that readers find by the main file's name; where an
index names them, a renamed slide could not be opened, and nobody changes what is in a slide. Any slide can go into
another folder under the names that its files have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from ..text import printable
from .continuation_files import is_named_as_continuation
from .file_names import is_system_name, name_problem
from .formats import Format, extension_of, format_of
from .model import Slide, SlideFile


class RenameError(Exception):
    """A slide cannot have a name. The text says why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How slides of a format are renamed that have several files.

    `prefix`: what the paths of companions begin with, for a main file's name without its extension. None: they are not
    renamed, and `reason` says why.
    """

    prefix: Callable[[str], str] | None
    reason: str = ""


_BY_INDEX = "its index names its files"
RULES: dict[str, Rule] = {
    "3DHISTECH MIRAX": Rule("{}/".format),
    "cellSens VSI": Rule("_{}_/".format),
    "Zeiss CZI": Rule(str),
    "Olympus OIR": Rule(str),
    "Hamamatsu NDPIS": Rule(None, _BY_INDEX),
    "Hamamatsu VMS": Rule(None, _BY_INDEX),
    "Hamamatsu VMU": Rule(None, _BY_INDEX),
    "Aperio AFI": Rule(None, _BY_INDEX),
    "Menarini D-Sight": Rule(None, _BY_INDEX),
    "OME companion": Rule(None, _BY_INDEX),
    "OME-TIFF": Rule(None, "the text in its files names them all"),
    "DICOM": Rule(None, "its other files have names of their own, which would stay"),
    "Aperio CWS": Rule(None, "readers look for SlideScan.ini, and its name is that of its folder"),
    "DICOMDIR": Rule(None, "DICOMDIR lists its files by name"),
    "Zarr": Rule(None, "its metadata have fixed names, and its name is that of its folder"),
}
"""By the names of formats. Others have one file, or are known by PMA.start alone, which says nothing of their names."""

_OTHERS = Rule(None, "it has several files, and it is not known how readers find them")
_NAMED_BY_FOLDER = frozenset(("Aperio CWS", "DICOMDIR", "Zarr"))
_LONGEST = 255
"""Characters of one name: what NTFS and most others hold."""
_FORBIDDEN = re.compile(r'[<>:"|?*]')


AnySlide = TypeVar("AnySlide", bound=Slide)


def own_name(slide: AnySlide) -> AnySlide:
    """Return a slide under its own name."""
    return slide if slide.original is None else cast(AnySlide, slide.original)


def rule_of(slide_format: str) -> Rule:
    """Return the rule for slides of several files."""
    return RULES.get(slide_format, _OTHERS)


def rename(slide: AnySlide, to: str) -> AnySlide:
    """Return a slide under another path below a target (`folder/name.svs`). Raises RenameError.

    `to` has been checked by `check_path`.
    """
    source = own_name(slide)
    old, new = source.main.path, to.rpartition("/")[2]
    if new == old:
        _check_folder(source, to)
        return replace(source, to=to, original=source)
    rule = rule_of(source.format)
    if (len(source.files) > 1 and rule.prefix is None) or source.format in _NAMED_BY_FOLDER:
        where = "rename its folder" if source.format in _NAMED_BY_FOLDER else "give it another folder"
        words = f"a slide of {source.format} keeps its name, since {rule.reason}"
        raise RenameError(f'{words}; {where}, with a to that ends with "/"')
    ending = _common_ending(source, old, new)
    main = _renamed(source.main, new)
    if rule.prefix is None or len(source.files) == 1:
        return replace(source, files=(main,), to=to, original=source)
    stem, new_stem = old[: len(old) - ending], new[: len(new) - ending]
    before, after = rule.prefix(stem), rule.prefix(new_stem)
    companions = []
    for file in source.files[:-1]:
        rest = file.path.removeprefix(before)
        if rest == file.path or _is_called_so(rest, stem):
            words = f"its file {printable(file.path)} would keep its name"
            raise RenameError(f'{words}; give the slide another folder only, with a to that ends with "/"')
        companions.append(_renamed(file, after + rest))
    return replace(source, files=(*companions, main), to=to, original=source)


def _renamed(file: SlideFile, path: str) -> SlideFile:
    return SlideFile(path, file.size, file.mtime_ns, file.source_name)


def check_path(to: str) -> None:
    """Check a path below a target that a slide is to have, which may end with "/". Raises RenameError."""
    if "\\" in to:
        raise RenameError('it holds a "\\"; write it with /')
    if to.startswith("/") or re.match(r"[A-Za-z]:", to):
        raise RenameError("it begins outside of the target; write it as folder/name.svs, from the site's target")
    parts = to.removesuffix("/").split("/")
    for part in parts:
        if part in ("", ".", ".."):
            raise RenameError(f'it holds the part "{part}"; write it as folder/name.svs')
        if part != part.strip() or part.endswith("."):
            raise RenameError("it holds a part with a blank or dot at its end, which Windows drops; leave that out")
        if (found := _FORBIDDEN.search(part)) is not None:
            raise RenameError(f"it holds {found[0]}, which no name on Windows has; leave it out")
        if len(part) > _LONGEST:
            raise RenameError(f"it holds a part of {len(part)} characters; {_LONGEST} are possible")
        if is_system_name(part):
            raise RenameError(f'"{part}" is a name of hidden or system files, which are not shown; choose another')
    if (problem := name_problem(to.removesuffix("/"))) is not None:
        raise RenameError(f"{problem}; choose another")


def _ending(name: str, entry: Format | None) -> str:
    """Return the end of a name that says its format, in lower case: `svs` or `ome.tif`; "" where nothing does.

    `entry`: the format that has such names. The last number of a DICOM UID is none.
    """
    last = extension_of(name)
    if entry is not None:
        lower = name.lower()
        return max((one for one in entry.extensions if lower.endswith(f".{one}")), key=len, default=last)
    return "" if last.isdigit() else last


def _common_ending(source: Slide, old: str, new: str) -> int:
    """Return the length of the end, with its dot, that says the format in both names. Raises RenameError."""
    entry = format_of(old)
    before = _ending(old, entry)
    if before != _ending(new, entry) or format_of(new) is not entry:
        wanted = f"has to end with .{before}" if before else "can have no extension"
        raise RenameError(f"the name {wanted} as that of the slide: it tells what the file is")
    if source.format == "Zeiss CZI" and is_named_as_continuation(new):
        raise RenameError("a name like n (1).czi is that of a file that continues n.czi; choose another")
    length = len(before) + 1 if before else 0
    if not new[: len(new) - length].strip(". "):
        raise RenameError("it is nothing but an extension; write a name before it")
    return length


def _check_folder(source: Slide, to: str) -> None:
    """Check the folder that a slide is moved to, where that is what it is known by."""
    if source.format != "Zarr":
        return
    above, target = source.path.rpartition("/")[0], to.rpartition("/")[0]
    if above.lower().endswith(".zarr") and not target.lower().endswith(".zarr"):
        raise RenameError("the folder of a Zarr has to end with .zarr, as it does here")


def _is_called_so(path: str, stem: str) -> bool:
    """Return whether a part of a path is called as the slide was, with any extension: that may be a patient's name."""
    wanted = stem.lower()
    return any(part.lower() == wanted or part.lower().rpartition(".")[0] == wanted for part in path.split("/"))
