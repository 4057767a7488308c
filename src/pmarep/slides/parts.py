"""What a format finds to belong to a main file, and the reading of index files that multi-file formats share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .listing import Folder, os_words
from .model import Why
from .names import few

INDEX_LIMIT = 16 * 1024 * 1024  # bytes; the largest Slidedat.ini are some hundred kilobytes


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a slide. `path` is as its index names it, `local` as it lies on disk; both from the main's folder."""

    path: str
    local: str
    entry: os.DirEntry[str]


@dataclass(slots=True)
class Parts:
    """The files of a slide besides the main file, and what is wrong with them.

    With `problems` the slide is not sent, and yet it keeps its files: three of four channels are no slides themselves.
    `why` says of what kind the problems are. `companion` is the folder that belongs to this slide, `whole` whether all
    in it does; `blocked` is the name of one that could not be looked into. `strangers` are things found inside a whole
    companion that are not taken: path from the main's folder, why, detail.
    """

    files: list[Part] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    why: Why = Why.INCOMPLETE
    companion: Folder | None = None
    whole: bool = False
    blocked: str | None = None
    strangers: list[tuple[str, Why, str]] = field(default_factory=list)

    @classmethod
    def wrong(cls, problem: str) -> Parts:
        return cls(problems=[problem])

    def unreadable(self, what: str, error: OSError) -> Parts:
        self.problems.append(f"cannot read {what}: {os_words(error)}")
        self.why = Why.UNREADABLE
        return self

    def take(self, path: str, local: str, entry: os.DirEntry[str]) -> None:
        self.files.append(Part(path, local, entry))

    def missing(self, names: list[str]) -> None:
        if names:
            self.problems.append(f"missing: {few(names)}")


class IndexFileError(Exception):
    """An index file that is no index."""


def read_text(path: str, limit: int = INDEX_LIMIT) -> str:
    """The text of an index file, in whichever encoding its scanner's Windows wrote it.

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
    """Sections, keys and values; names of sections and keys in lower case, the last of two equal keys counts.

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
    """The values of `prefix`0, `prefix`1, ... as many as `count_key` says, and what is wrong with that, or None.

    Whatever the count claims, the work is bounded by what the section holds.
    """
    names: list[str] = []
    while (value := section.get(f"{prefix}{len(names)}".lower())) is not None:
        names.append(value)
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
    """True for a name that can only be a file in the folder itself: an index never leads elsewhere."""
    return name not in ("", ".", "..") and not re.search(r"[/\\\0]", name)


def take_named(parts: Parts, folder: Folder, names: Iterable[str], prefix: str = "", local_prefix: str = "") -> None:
    """Takes the files that an index names out of one folder, each once; notes those that are not there or not plain."""
    taken = {part.local for part in parts.files}
    missing: list[str] = []
    refused: list[str] = []
    for name in dict.fromkeys(names):
        entry = folder.find(name) if is_plain(name) else None
        if entry is not None:
            if local_prefix + entry.name not in taken:
                taken.add(local_prefix + entry.name)
                parts.take(prefix + name, local_prefix + entry.name, entry)
        elif is_plain(name):
            missing.append(prefix + name)
        else:
            refused.append(repr(name[:100]))
    parts.missing(missing)
    if refused:
        parts.problems.append(f"its index names files outside its own folder: {few(refused)}")
