"""The encoding of an index file that does not say which: that in which the files it names are there.

Programs on Windows write index files in the code page of the machine, as Hamamatsu's do for `.ndpis` and `.vms`. A
folder that has come from Japan has names in Unicode, and Shift-JIS in its index. A wrong guess finds no file, so all
are tried.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from pathlib import Path

from .companions import INDEX_LIMIT, IndexFileError, is_plain, read_text
from .folder import Folder

# Windows' code pages for file names, those of many people first; then DOS's, and what Unix and Mac had.
_CODE_PAGES = (
    *("cp932", "gb18030", "cp949", "cp950", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("cp1258", "cp874", "cp437", "cp850", "cp852", "cp866", "euc_jp", "koi8_r", "mac_roman"),
)
_LARGEST = 256 * 1024  # bytes of an index that is read twenty times; most have some hundred
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_index(folder: Folder, main: str, names: Callable[[str], Iterable[str]], limit: int = INDEX_LIMIT) -> str:
    """Read an index file as companions.read_text() does, or in the code page in which more of what it names is here.

    `names` gives the names of files beside it that a text has; it may raise IndexFileError for a text that is no
    index. Raises OSError, and IndexFileError for a file too large to be an index.
    """
    path = folder.files[main].path
    text = read_text(path, limit)
    missing = _missing(folder, text, names)
    if text.isascii() or not missing:
        return text
    with Path(path).open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST or data.startswith(_MARKS) or data[1:2] == b"\0":
        return text
    for code_page in _CODE_PAGES:
        try:
            other = data.decode(code_page)
        except UnicodeDecodeError:
            continue
        still = _missing(folder, other, names)
        if still < missing:
            text, missing = other, still
        if not missing:
            break
    return text


def _missing(folder: Folder, text: str, names: Callable[[str], Iterable[str]]) -> float:
    """Count the files that a text names and that are not here."""
    try:
        return sum(1 for name in dict.fromkeys(names(text)) if not (is_plain(name) and folder.find(name)))
    except IndexFileError:
        return float("inf")
