"""The state of one folder on the walk: its listing, its owners, and what is sent from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..system.windows_names import collision_key, normalized_key, windows_key
from .folder import Folder
from .ignore_file import IgnoreFile
from .model import SlideFile
from .ownership import FileOwners
from .tiles import TileTree


@dataclass(slots=True)
class WalkFolder:
    """A folder on the walk. `prefix` is its path from the source, "" or with a "/" at its end.

    `slide`: the slide whose folder this is. `reported`: the folder as a whole has been reported already. `seen`: what
    is sent from here, by `collision_key`; `shared` with other folders that Windows cannot tell apart, since they become
    one there. `key` is that of the prefix, `twins` are those of sub-folders that several have.
    `entered`: the sub-folders that the walk is done with. `tiles`: the tree of tiles that the folder is in. `inherits`:
    slides further up have files here.
    """

    folder: Folder
    prefix: str = ""
    owners: FileOwners = field(default_factory=FileOwners)
    slide: str = ""
    reported: bool = False
    seen: dict[str, str] = field(default_factory=dict)
    shared: bool = False
    ignore: IgnoreFile | None = None
    key: str = ""
    entered: set[str] = field(default_factory=set)
    twins: frozenset[str] = frozenset()
    tiles: TileTree | None = None
    inherits: bool = field(init=False)

    def __post_init__(self) -> None:
        self.inherits = bool(self.owners.here)

    def keys_of(self, files: Sequence[SlideFile]) -> list[str]:
        """Return the collision keys of a slide's file paths, none of which has a control character in it."""
        if len(files) == 1:
            return [self.key + collision_key(files[0].path)]
        paths = "\n".join([file.path for file in files])
        return [self.key + key for key in collision_key(paths).split("\n")]

    def twin(self, files: Sequence[SlideFile], keys: Sequence[str]) -> str | None:
        """Describe which file sent before would be the same on a Windows server as one of this slide; None for none."""
        if not self.seen.keys().isdisjoint(keys):
            file, key = next(pair for pair in zip(reversed(files), reversed(keys), strict=True) if pair[1] in self.seen)
            own, other = self.prefix + file.path, self.seen[key]
            who = "" if file is files[-1] else f"{own} "
            return f"{who}{_difference(own, other)}"
        if len(files) > 1 and len(set(keys)) < len(keys):
            return "two of its files have what may be the same name on PMA.core's Windows, such as in another case"
        return None

    def remember(self, files: Sequence[SlideFile], keys: Sequence[str], below: dict[str, str]) -> None:
        """Record what a slide sends from this folder, and in `below` what from its sub-folders."""
        for file, key in zip(files, keys, strict=True):
            path = self.prefix + file.path
            if "/" not in file.path:
                self.seen[key] = path
                continue
            below[key] = path
            if self.shared or (self.twins and collision_key(file.path.partition("/")[0]) in self.twins):
                self.seen[key] = path


def _difference(own: str, other: str) -> str:
    if windows_key(own) == windows_key(other):
        return f"differs only in case from {other}, and is the same name on PMA.core's Windows"
    if normalized_key(own) == normalized_key(other):
        return f"is the same name as {other} for people and some servers, with its letters composed otherwise"
    ends = _without_ends(own) == _without_ends(other)
    reason = "drops dots and blanks at the end" if ends else "does not allow all of its characters"
    return f"may be the same name as {other} on PMA.core's Windows, which {reason}"


def _without_ends(path: str) -> str:
    return "/".join(part.rstrip(". ") for part in normalized_key(path).split("/"))
