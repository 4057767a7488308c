"""One folder on the walk, and what is sent from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..names import windows_key
from .claims import Owners
from .ignore import Ignore
from .listing import Folder
from .model import SlideFile
from .tiles import TileTree


@dataclass(slots=True)
class Place:
    """A folder on the walk. `prefix` is its path from the source, "" or with a "/" at its end.

    `slide`: the slide whose folder this is. `reported`: the folder as a whole has been reported already. `seen`: what
    is sent from here, by Windows key; `shared` with other folders whose names differ only in case, since on Windows
    they become one. `key` is the Windows key of the prefix, `twins` those of sub-folders that differ only in case.
    `entered`: the sub-folders that the walk is done with. `tiles`: the tree of tiles that the folder is in. `inherits`:
    slides further up have files here.
    """

    folder: Folder
    prefix: str = ""
    owners: Owners = field(default_factory=Owners)
    slide: str = ""
    reported: bool = False
    seen: dict[str, str] = field(default_factory=dict)
    shared: bool = False
    ignore: Ignore | None = None
    key: str = ""
    entered: set[str] = field(default_factory=set)
    twins: frozenset[str] = frozenset()
    tiles: TileTree | None = None
    inherits: bool = field(init=False)

    def __post_init__(self) -> None:
        self.inherits = bool(self.owners.here)

    def keys_of(self, files: Sequence[SlideFile]) -> list[str]:
        """The Windows keys of the paths of a slide's files, none of which has a control character in it."""
        if len(files) == 1:
            return [self.key + windows_key(files[0].path)]
        paths = "\n".join([file.path for file in files])
        return [self.key + key for key in windows_key(paths).split("\n")]

    def twin(self, files: Sequence[SlideFile], keys: Sequence[str]) -> str | None:
        """What on a Windows server would be the same file as one of this slide, or None."""
        if not self.seen.keys().isdisjoint(keys):
            file, key = next(pair for pair in zip(reversed(files), reversed(keys), strict=True) if pair[1] in self.seen)
            own = "" if file is files[-1] else f"{self.prefix}{file.path} "
            return f"{own}differs only in case from {self.seen[key]}, and is the same name on PMA.core's Windows"
        if len(files) > 1 and len(set(keys)) < len(keys):
            return "two of its files have names that differ only in case, and are the same on PMA.core's Windows"
        return None

    def remember(self, files: Sequence[SlideFile], keys: Sequence[str], below: dict[str, str]) -> None:
        """Notes what a slide sends from this folder, and in `below` what from its sub-folders."""
        for file, key in zip(files, keys, strict=True):
            path = self.prefix + file.path
            if "/" not in file.path:
                self.seen[key] = path
                continue
            below[key] = path
            if self.shared or (self.twins and windows_key(file.path.partition("/")[0]) in self.twins):
                self.seen[key] = path
