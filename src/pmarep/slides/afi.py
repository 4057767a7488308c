"""Aperio fused image: `n.afi`, an XML file that names one `.svs` per channel, beside it: `ImageList/Image/Path`.

Bio-Formats' AFIReader and PMA.UI's uploader take `Path` for the name of a file in the `.afi`'s own folder, in any case
of letters. A `Path` with folders in it is what a scanner's Windows wrote before the files were moved
(`D:\\Scans\\n_DAPI.svs`): what lay there cannot be reached, so its last part counts, and only beside the `.afi`.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from .companions import Companions, add_named_files
from .folder import Folder
from .index_file import IndexFileError, read_index

_LIMIT = 1024 * 1024  # bytes; a real one has some hundred, and a parsed one takes many times its size


def collect(folder: Folder, main: str) -> Companions:
    try:
        paths = _paths(read_index(folder, main, lambda text: map(_name, _paths(text)), _LIMIT))
    except OSError as error:
        return Companions().add_unreadable("it", error)
    except IndexFileError as error:
        return Companions.with_problem(str(error))
    parts = Companions()
    names = [_name(path) for path in dict.fromkeys(paths)]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        parts.problems.append(
            f"its index names {count} files {name[:100]!r} in different folders; only one can lie here"
        )
    add_named_files(parts, folder, names)
    return parts


def _name(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]


def _paths(text: str) -> list[str]:
    """Return the values of `Path` in an index. Raises IndexFileError.

    A document type is refused before parsing: entities are how XML eats memory and files.
    """
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise IndexFileError("not an index: it declares a document type, which no scanner writes")
    try:
        # Given as text, so that no declared encoding makes the parser see something else than the line above did.
        root = ElementTree.fromstring(text)  # noqa: S314  (no entities, bounded size)
    except (ElementTree.ParseError, ValueError) as error:
        raise IndexFileError(f"not an index: its XML cannot be read ({error})") from None
    paths = [
        (path.text or "").strip() for image in root if _tag(image) == "Image" for path in image if _tag(path) == "Path"
    ]
    if not paths:
        raise IndexFileError("its index names no files: no ImageList/Image/Path in it")
    return paths


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
