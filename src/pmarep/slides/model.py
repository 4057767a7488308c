"""The data classes of discovery: slides with their files, and what is left out and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """Make a dataclass that type checkers take for frozen.

    Python itself does not: making a frozen one takes three times as long, and a walk makes one per file.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@value
class SlideFile:
    """One file of a slide.

    `path` is relative to the folder that holds the slide's main file, with "/" between its parts: what is announced
    to PMA.core. `size` is in bytes, `mtime_ns` in nanoseconds since the epoch, both as of discovery. `local_name` is
    the same path as it stands at the source, where that differs: a scanner's index says `Data0001.dat`, the disk has
    `DATA0001.DAT`, and a reader of the slide will ask for what the index says; or a map gives a slide another name.
    """

    path: str
    size: int
    mtime_ns: int
    local_name: str | None = None

    @property
    def source_name(self) -> str:
        """The same path as it is at the source."""
        return self.local_name or self.path


@value
class Slide:
    """A slide found on disk, complete as far as its format can tell.

    `path` is the main file relative to the source folder, with "/": the slide's name in reports and below each
    target. `folder` is the folder of the main file: on this disk, or at a PMA.core, written as a place
    (`SITE:/Root/folder`). `files` are all files, the main file last: nobody who browses
    the server may see half a slide, so this is also the order of sending. `number` is its place in the list of a run,
    -1 outside of one: two slides are the same whatever their numbers.

    `to`: its path below a target, where a map (`--map`) gives it another than `path`; `original` is the slide without
    that. The files of such a slide have the names that they get there.
    """

    path: str
    format: str
    folder: Path | str
    files: tuple[SlideFile, ...]
    number: int = field(default=-1, compare=False)
    to: str | None = None
    original: Slide | None = field(default=None, compare=False, repr=False)

    @property
    def target_path(self) -> str:
        """Its path below a target."""
        return self.path if self.to is None else self.to

    @property
    def main(self) -> SlideFile:
        return self.files[-1]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def local(self, file: SlideFile) -> Path:
        """Return the local path of a file of this slide, which has to lie on this disk."""
        if isinstance(self.folder, str):
            raise TypeError(f"{self.path} does not lie on this disk")
        return self.folder / file.source_name

    @property
    def folder_name(self) -> str:
        """The folder of the main file in full, as people write it."""
        return self.folder if isinstance(self.folder, str) else str(self.folder.absolute())


class Why(enum.Enum):
    """The reason for which something in a source folder is not sent."""

    INCOMPLETE = "incomplete"  # a slide with parts missing or with an index that cannot be read
    UNREADABLE = "unreadable"  # a file or folder that the operating system would not let us read
    BAD_NAME = "bad name"  # a name that no PMA.core could store
    BAD_RULES = "bad ignore file"  # a .pmarepignore with a line that is no rule: what is below its folder stays here
    LINK = "link out of the source"  # not followed, and there may be a slide behind it
    UNFINISHED = "still being written"  # its files changed, or were open in another program, as long as we looked
    EXCLUDED = "excluded"  # --include or --exclude
    NOT_A_SLIDE = "not a slide"  # some other file

    @property
    def is_problem(self) -> bool:
        """True where a person would have expected a slide to arrive: such a push ends with exit code 1."""
        return self not in (Why.EXCLUDED, Why.NOT_A_SLIDE)


class Kind(enum.Enum):
    """The kind of something that is left out and no problem. Unrecognised files count as UNKNOWN."""

    UNKNOWN = "unknown"  # may be a slide or a part of one
    OTHER = "other"  # known to be no part of a slide
    ANNOTATIONS = "annotations"  # a side file of pmarep, which `--annotations` takes along
    SYSTEM = "system"  # hidden, or left behind by an operating system or a NAS
    REPORTED = "told"  # in the folder of a slide that is reported as a problem


class Cause(enum.Enum):
    """The cause of a problem, where a better remedy can be advised than the usual one of its Why."""

    USUAL = enum.auto()
    INSIDE = enum.auto()  # SRC is the companion folder of a slide
    SHARED = enum.auto()  # two slides claim the same files
    NESTED = enum.auto()  # an index names another index
    OUTSIDE = enum.auto()  # an index names files outside its own folder
    EMPTY = enum.auto()  # a file of it has no bytes
    MISPLACED = enum.auto()  # the files are there, under another name or in another folder
    BROKEN = enum.auto()  # a file breaks off or is none of its format
    POINTER = enum.auto()  # a file that stands for one that git keeps elsewhere
    WEB_PAGE = enum.auto()  # what a failed download leaves
    OFFLINE = enum.auto()  # in a cloud, and not downloaded to this machine
    DEAD_LINK = enum.auto()
    TOO_LONG = enum.auto()  # the path, for Windows
    TWIN = enum.auto()  # differs only in case from another


@value
class LeftOut:
    """Something in a source folder that is not sent.

    `path` is relative to the source, with "/", and fit to be printed and stored: control characters and bytes that are
    no text are escaped in it (so it names the thing to a person; it does not always open it). `detail` is a reason that
    many things share, then, where there is more to say, ": " and what is special about this one. `files`: so many
    files below the source it stands for; 0 for a folder that nobody looks into, a link or a device.
    """

    path: str
    why: Why
    detail: str
    cause: Cause = Cause.USUAL
    kind: Kind = Kind.UNKNOWN
    files: int = 1


@value
class ClaimedFile:
    """A file that was a slide of its own when it was found, and belongs to another one by now.

    `owner`: the name of the main file of that.
    """

    path: str
    owner: str


class BrokenFileError(Exception):
    """A file that no reader of slides could read. The text says why, in one line."""

    def __init__(self, text: str, cause: Cause = Cause.BROKEN) -> None:
        super().__init__(text)
        self.cause = cause
