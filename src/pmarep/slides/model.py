"""What the rest of pmarep knows about a slide: a main file and the files that belong to it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """A dataclass that nobody changes: type checkers see to that.

    Python itself does not: making a frozen one takes three times as long, and a walk makes one per file.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@value
class SlideFile:
    """One file of a slide.

    `path` is relative to the folder that holds the slide's main file, with "/" between its parts: what is announced
    to PMA.core. `size` is in bytes, `mtime_ns` in nanoseconds since the epoch, both as of discovery. `local_name` is
    the same path as it stands on this disk, where that differs: a scanner's index says `Data0001.dat`, the disk has
    `DATA0001.DAT`, and a reader of the slide will ask for what the index says.
    """

    path: str
    size: int
    mtime_ns: int
    local_name: str | None = None


@value
class Slide:
    """A slide found on disk, complete as far as its format can tell.

    `path` is the main file relative to the source folder, with "/": the slide's name in reports and below each
    target. `folder` is the local folder of the main file. `files` are all files, the main file last: nobody who browses
    the server may see half a slide, so this is also the order of sending.
    """

    path: str
    format: str
    folder: Path
    files: tuple[SlideFile, ...]

    @property
    def main(self) -> SlideFile:
        return self.files[-1]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def local(self, file: SlideFile) -> Path:
        """Where a file of this slide lies on this machine."""
        return self.folder / (file.local_name or file.path)


class Why(enum.Enum):
    """Why something in a source folder is not sent."""

    INCOMPLETE = "incomplete"  # a slide with parts missing or with an index that cannot be read
    UNREADABLE = "unreadable"  # a file or folder that the operating system would not let us read
    BAD_NAME = "bad name"  # a name that no PMA.core could store
    LINK = "link out of the source"  # not followed, and there may be a slide behind it
    UNFINISHED = "still being written"  # its files changed, or were open in another program, as long as we looked
    EXCLUDED = "excluded"  # --include or --exclude
    NOT_A_SLIDE = "not a slide"  # some other file

    @property
    def is_problem(self) -> bool:
        """True where a person would have expected a slide to arrive: such a push ends with exit code 1."""
        return self in (Why.INCOMPLETE, Why.UNREADABLE, Why.BAD_NAME, Why.LINK, Why.UNFINISHED)


@value
class LeftOut:
    """Something in a source folder that is not sent.

    `path` is relative to the source, with "/", and fit to be printed and stored: control characters and bytes that are
    no text are escaped in it (so it names the thing to a person; it does not always open it). `detail` is a reason that
    many things share, then, where there is more to say, ": " and what is special about this one.
    """

    path: str
    why: Why
    detail: str
