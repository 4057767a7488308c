"""Index files: the text files of multi-file formats that name a slide's other files.

Programs on Windows write them in the code page of the machine, as Hamamatsu's do for `.ndpis` and `.vms`, and nothing
says which. A folder that has come from Japan has names in Unicode, and Shift-JIS in its index. A wrong guess finds no
file, so read_index() tries all, and takes the encoding in which the files that it names are there.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .folder import Folder

INDEX_LIMIT = 16 * 1024 * 1024  # bytes; the largest Slidedat.ini are some hundred kilobytes
# Windows' code pages for file names, those of many people first; then DOS's, and what Unix and Mac had.
_CODE_PAGES = (
    *("cp932", "gb18030", "cp949", "cp950", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("cp1258", "cp874", "cp437", "cp850", "cp852", "cp866", "euc_jp", "koi8_r", "mac_roman"),
)
_LARGEST = 256 * 1024  # bytes of an index that is read twenty times; most have some hundred
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class IndexFileError(Exception):
    """An index file that cannot be used; the text says why."""


def read_text(path: str, limit: int = INDEX_LIMIT) -> str:
    """Read the text of an index file, in whichever encoding its scanner's Windows wrote it.

    With a byte order mark what that says; else UTF-8, else UTF-16 if every other byte is zero, else Windows-1252, which
    is Latin-1 for letters. Raises OSError, and IndexFileError for a file too large to be an index.
    """
    with Path(path).open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise IndexFileError(f"larger than {limit // 1024 // 1024} MiB: this cannot be an index")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if data[1:2] == b"\0":
        return data.decode("utf-16-le", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def parse_ini(text: str) -> dict[str, dict[str, str]]:
    """Parse sections, keys and values; sections and keys in lower case, the last of two equal keys counts.

    Not configparser: scanners write keys without values, keys before any section and `%` in values.
    """
    sections: dict[str, dict[str, str]] = {}
    section = sections.setdefault("", {})
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1].strip().lower(), {})
        elif not line.startswith((";", "#")):
            key, equals, value = line.partition("=")
            if equals:
                section[key.strip().lower()] = value.strip()
    return sections


def numbered(section: Mapping[str, str], count_key: str, prefix: str) -> tuple[list[str], str | None]:
    """Return the values of `prefix`0, `prefix`1, ... as many as `count_key` says, and what is wrong with that, or None.

    Whatever the count claims, the work is bounded by what the section holds.
    """
    names: list[str] = []
    key = prefix.lower()
    while (name := section.get(f"{key}{len(names)}")) is not None:
        names.append(name)
    text = section.get(count_key.lower())
    if text is None:
        return names, f"its index has no {count_key}"
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return names, f"its index has {count_key} = {text[:40]!r}, which is no number of files"
    count = int(text)
    if count == 0:
        return names, f"its index has {count_key} = 0: no picture"
    if count > len(names):
        return names, f"its index has {count_key} = {count}, but no {prefix}{len(names)}"
    return names[:count], None


def is_plain(name: str) -> bool:
    """Return whether a name can only be a file in the folder itself: an index never leads elsewhere."""
    return name not in ("", ".", "..") and not ("/" in name or "\\" in name or "\0" in name)


def read_index(folder: Folder, main: str, names: Callable[[str], Iterable[str]], limit: int = INDEX_LIMIT) -> str:
    """Read an index file as read_text() does, or in the code page in which more of what it names is here.

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
