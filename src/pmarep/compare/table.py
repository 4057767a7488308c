"""The slides of all sides by name: a temporary database, since there may be many more than memory holds."""

from __future__ import annotations

import hashlib
import marshal
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from ..system.temporary_database import TemporaryDatabase, to_bytes, to_text
from ..system.windows_names import normalized_key

_BATCH = 500
"""Rows that are written, or read, in one go."""

ELSEWHERE = "//"
"""Before the path of a gap that lies below no folder of its side, so that it covers nothing else."""

_PACKED = 200
"""Bytes of a list of files from which on it is compressed: the names of a slide's files are much alike."""


class FileEntry(NamedTuple):
    """One file of a slide at a side. `path` from the slide's folder, with "/"; `size` in bytes.

    Of a file of this machine also its time in nanoseconds, and its name on this disk where that differs.
    """

    path: str
    size: int
    mtime_ns: int = 0
    local_name: str | None = None


class Told(IntEnum):
    """What a side tells of a slide."""

    FILES = 0  # it is there, with these files
    NOTHING = 1  # it is there, and nothing is known of it
    PROBLEM = 2  # it lies in a folder of this machine and is no slide that could be sent


class GapKind(IntEnum):
    """Why nothing is known of what lies at a path, or below it, at one side."""

    UNTOLD = 0  # the server refuses, or the folder cannot be read
    PROBLEM = 1  # a problem of a folder of this machine, such as an incomplete slide
    IGNORED = 2  # a .pmarepignore leaves it out


@dataclass(frozen=True, slots=True)
class Entry:
    """One slide at one side. `path` is from the side's folder, as it is spelled there.

    `where`: the local folder of the slide, or its virtual path. `modified`: when the newest file was written, in
    milliseconds since the epoch; None: nobody tells. `why`: the reason where not all is told.
    """

    path: str
    where: str
    files: tuple[FileEntry, ...] = ()
    modified: int | None = None
    told: Told = Told.FILES
    why: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of which one side does not tell what it is, or what is in it. `path` is from the side's folder."""

    side: int
    path: str
    kind: GapKind
    why: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A slide at a side, as it is in the table. `digest` is equal for the same names and sizes of all files."""

    key: bytes
    side: int
    path: str
    digest: bytes
    count: int
    size: int
    modified: int | None
    told: Told
    why: str
    packed: bytes
    content: bytes | None = None

    @property
    def where(self) -> str:
        return str(self._unpacked()[0])

    @property
    def files(self) -> list[FileEntry]:
        return [FileEntry(*file) for file in self._unpacked()[1]]

    def _unpacked(self) -> Any:
        packed = self.packed[1:] if self.packed[:1] == b"-" else zlib.decompress(self.packed[1:])
        return marshal.loads(packed)  # noqa: S302  (nobody else can open this file)


def slide_key(path: str) -> str:
    """Return a key that is equal for names that Windows takes for one: case, and dots and blanks at the end of a part.

    Letters count the same composed and decomposed, as people cannot tell them apart.
    """
    key = normalized_key(path)
    if ". " not in key and "./" not in key and " /" not in key and not key.endswith((".", " ")):
        return key
    return "/".join(part.rstrip(". ") or part for part in key.split("/"))


class SlideTable(TemporaryDatabase):
    """All that was listed. May be used from several threads. Raises TemporaryFileError."""

    def __init__(self) -> None:
        self._new: list[tuple[Any, ...]] = []
        self._gapped: set[int] = set()  # sides that do not tell everything
        super().__init__(
            (
                "CREATE TABLE slide (key BLOB, side INT, path BLOB, digest BLOB, count INT, size INT, modified INT,"
                " told INT, why TEXT, packed BLOB, PRIMARY KEY (key, side)) WITHOUT ROWID",
                "CREATE TABLE content (side INT, key BLOB, content BLOB, PRIMARY KEY (side, key)) WITHOUT ROWID",
                "CREATE TABLE gap (side INT, key BLOB, path BLOB, kind INT, why TEXT, PRIMARY KEY (side, key))"
                " WITHOUT ROWID",
            )
        )

    def add(self, side: int, entry: Entry) -> None:
        """Add a slide of a side. Of a second one with the same name nothing is known, nor of the first."""
        key = slide_key(entry.path)
        packed = marshal.dumps((entry.where, [tuple(file) for file in entry.files]))
        packed = b"z" + zlib.compress(packed, 1) if len(packed) > _PACKED else b"-" + packed
        size = sum(file.size for file in entry.files)
        row = (
            *(to_bytes(key), side, to_bytes(entry.path), _digest(entry.files), len(entry.files), size, entry.modified),
            *(entry.told, _text(entry.why), packed),
        )
        with self._lock:
            self._new.append(row)
            if len(self._new) >= _BATCH:
                self._flush()

    def add_gap(self, gap: Gap) -> None:
        """Add what one side does not tell of, or ignores; an empty path is all of the side."""
        row = (gap.side, to_bytes(slide_key(gap.path)), to_bytes(gap.path), gap.kind, _text(gap.why))
        with self._lock:
            self._gapped.add(gap.side)
            self._execute("INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, ?)", row)

    def gap_at(self, side: int, key: bytes) -> Gap | None:
        """Return the reason for which a slide may be at a side although it was not listed there."""
        if side not in self._gapped:
            return None
        while True:
            for found in self._gaps("side = ? AND key = ?", side, key):
                return found
            if not key:
                return None
            key = key.rpartition(b"/")[0]

    def gaps(self, *, of_slides: bool = False) -> Iterator[Gap]:
        """Yield what is not told, without what is ignored; `of_slides`: also where the slide itself is in the table."""
        other = "NOT EXISTS (SELECT 1 FROM slide WHERE slide.key = gap.key AND slide.side = gap.side)"
        where = "kind <> ?" if of_slides else f"kind <> ? AND {other}"
        yield from self._gaps(f"{where} ORDER BY side, key", GapKind.IGNORED)

    def _gaps(self, where: str, *values: Any) -> Iterator[Gap]:
        with self._lock:
            rows = self._execute(f"SELECT side, path, kind, why FROM gap WHERE {where}", values).fetchall()  # noqa: S608
        return (Gap(side, to_text(path), GapKind(kind), why) for side, path, kind, why in rows)

    def rows(self) -> Iterator[list[Stored]]:
        """Yield the slides by name: each with all sides that have something of it, in their order."""
        for _, group in groupby(self._stored(), attrgetter("key")):
            yield list(group)

    def _stored(self) -> Iterator[Stored]:
        last: tuple[bytes, int] = b"", -1
        while True:
            with self._lock:
                self._flush()
                rows = self._execute(
                    "SELECT slide.*, content FROM slide LEFT JOIN content USING (key, side)"
                    " WHERE (slide.key, slide.side) > (?, ?) ORDER BY slide.key, slide.side LIMIT ?",
                    (*last, _BATCH),
                ).fetchall()
            if not rows:
                return
            yield from map(_stored, rows)
            last = rows[-1][0], rows[-1][1]

    def has(self, side: int, key: bytes) -> bool:
        """Return whether a slide was listed at a side."""
        with self._lock:
            self._flush()
            return self._execute("SELECT 1 FROM slide WHERE key = ? AND side = ?", (key, side)).fetchone() is not None

    def of_side(self, side: int) -> Iterator[Stored]:
        """Yield the slides of one side by name."""
        return (stored for stored in self._stored() if stored.side == side)

    def want_content(self, slides: Iterable[Stored]) -> None:
        """Note that the contents of these slides are to be compared."""
        with self._lock:
            self._many("INSERT INTO content VALUES (?, ?, NULL)", [(slide.side, slide.key) for slide in slides])

    def wanted_content(self, side: int) -> tuple[int, int]:
        """Return the number of slides of a side whose contents are wanted, and their bytes."""
        with self._lock:
            count, size = self._execute(
                "SELECT COUNT(*), TOTAL(size) FROM content JOIN slide USING (key, side) WHERE content.side = ?", (side,)
            ).fetchone()
        return int(count), int(size)

    def without_content(self, side: int) -> Iterator[Stored]:
        """Yield the slides of a side whose contents are wanted, in the order of their names."""
        last = b""
        while True:
            with self._lock:
                rows = self._execute(
                    "SELECT slide.*, NULL FROM content JOIN slide USING (key, side)"
                    " WHERE content.side = ? AND content.key > ? ORDER BY content.key LIMIT ?",
                    (side, last, _BATCH),
                ).fetchall()
            if not rows:
                return
            yield from map(_stored, rows)
            last = rows[-1][0]

    def put_content(self, slide: Stored, content: bytes) -> None:
        """Keep what was found out about the content of a slide."""
        with self._lock:
            self._execute("UPDATE content SET content = ? WHERE side = ? AND key = ?", (content, slide.side, slide.key))

    def _flush(self) -> None:
        rows, self._new = self._new, []
        self._many(
            "INSERT INTO slide VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET told = 1,"
            " why = 'two slides of this name are there, which Windows takes for one'",
            rows,
        )


def _digest(files: Sequence[FileEntry]) -> bytes:
    listed = sorted((slide_key(file.path), file.size) for file in files)
    return hashlib.blake2b(repr(listed).encode(), digest_size=16).digest()


def _stored(row: tuple[Any, ...]) -> Stored:
    key, side, path, digest, count, size, modified, told, *rest = row
    return Stored(key, side, to_text(path), digest, count, size, modified, Told(told), *rest)


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
