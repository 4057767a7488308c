"""Ownership of files: the main files of one folder, what their indexes claim, and how conflicting claims are resolved.

- No file belongs to two slides. Where two indexes name the same file, the slide that is wanted and complete has it
  before the others, then the first in order; the other one is incomplete and says who has the file.
- A sub-folder that a slide has files in is that slide's: no other slide beside it takes files there.
- A file that a slide claims is no slide of its own, also if that slide is incomplete or excluded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..system.windows_names import collision_key
from ..text import printable
from .companions import CompanionFile, Companions, add_files_by_path
from .file_names import guess_kind, shorten_list, sort_names
from .folder import Folder, cause_of, os_error_text
from .formats import KNOWN_TO_PMA_START, SEARCHED, Format, extension_of, format_of
from .model import BrokenFileError, Cause, Kind, Why

# Given a folder and the names of its files that no format knows, the slides among them: main file name -> paths of all
# its files on this machine. How PMA.start is asked (pma_start.py).
SlideLookup = Callable[[Folder, Sequence[str]], Mapping[str, Sequence[str]]]


@dataclass(slots=True)
class SubfolderOwners:
    """The owners of files in a sub-folder and deeper: `files` by path from there. `slide` owns the folder ("": none).

    `twin`: another folder that is the same on Windows is that slide's, not this one.
    """

    files: dict[str, str] = field(default_factory=dict)
    slide: str = ""
    twin: bool = False


@dataclass(slots=True)
class FileOwners:
    """The slide that owns each file (or names a folder): in one folder by name, and in its sub-folders.

    Names are as on disk, slides are named by their main files; a main file that claims others is claimed by itself.
    `folders` is the sub-folders that slides of this folder have: `collision_key`, to main file and name on disk.
    `done`: those that have been handed down; nobody has anything more in them.
    """

    here: dict[str, str] = field(default_factory=dict)
    below: dict[str, SubfolderOwners] = field(default_factory=dict)
    folders: dict[str, tuple[str, str]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, paths: dict[str, str]) -> FileOwners:
        """Return the owners of what slides further up have claimed in a folder: files that they name, no folders."""
        if not any("/" in path for path in paths):
            return cls(here=paths)
        owners = cls()
        for path, main in paths.items():
            top, slash, rest = path.partition("/")
            if slash:
                owners.below.setdefault(top, SubfolderOwners()).files[rest] = main
            else:
                owners.here[top] = main
        return owners

    def claim(self, path: str, main: str, *, takes_rest: bool = False) -> str:
        """Give a file to a slide, unless another has it; return its owner. `takes_rest`: the slide can do without."""
        top, slash, rest = path.partition("/")
        if not slash:
            return self.here.setdefault(top, main)
        below = self.below.get(top)
        if below is None or not below.slide:
            below = self._claim_folder(top, main)
        if below.slide == main:
            return below.files.setdefault(rest, main)
        if below.twin and not takes_rest:  # the file stays here with a slide that is not sent
            below.files.setdefault(rest, main)
        return below.slide

    def _stays_with(self, path: str, main: str) -> bool:
        """Return whether a file in another slide's folder stays with this one, as it is in a twin of that folder."""
        top, _, rest = path.partition("/")
        below = self.below.get(top)
        return below is not None and below.twin and top not in self.done and below.files.get(rest) == main

    def _claim_folder(self, name: str, main: str) -> SubfolderOwners:
        below = self.below.setdefault(name, SubfolderOwners())
        below.slide, spelled = self.folders.setdefault(collision_key(name), (main, name))
        below.twin = spelled != name
        return below

    def slide_of(self, folder: str) -> str:
        """Return the slide of this folder that a sub-folder belongs to; "" for none."""
        below = self.below.get(folder)
        return "" if below is None or below.twin else below.slide

    def has(self, path: str) -> bool:
        """Return whether a file in a sub-folder has an owner."""
        top, _, rest = path.partition("/")
        below = self.below.get(top)
        return below is not None and rest in below.files

    def speaks_of(self, folder: str) -> bool:
        """Return whether a slide of this folder names files in a sub-folder, but a twin of that is another slide's."""
        below = self.below.get(folder)
        return below is not None and below.twin

    def pop_subfolder(self, folder: str) -> FileOwners:
        """Remove and return the owners of files in a sub-folder, for its own visit."""
        below = self.below.pop(folder, None)
        self.done.add(folder)
        return FileOwners() if below is None else FileOwners.of(below.files)

    def claim_all(self, main: str, parts: Companions, *, takes_rest: bool = False) -> None:
        """Give a slide the files that it has found; those that others own become its problem."""
        kept: list[CompanionFile] = []
        lost: dict[str, list[str]] = {}
        for part in parts.files:
            owner = self.claim(part.local, main, takes_rest=takes_rest)
            if owner == main:
                kept.append(part)
            else:
                lost.setdefault(owner, []).append(part.local)
                parts.kept_back += self._stays_with(part.local, main)
        for path in parts.reported_paths:
            self.claim(path, main)
        for path in parts.away:
            has = self.claim(path, main, takes_rest=takes_rest) == main and path.partition("/")[0] not in self.done
            parts.kept_back += has or self._stays_with(path, main)
        parts.files = kept
        if not takes_rest:
            for owner, paths in lost.items():
                parts.add_problem(self._who(owner, main, paths), Cause.SHARED)

    def _who(self, owner: str, main: str, paths: list[str]) -> str:
        """Describe that another slide owns some files already, or the folders that they are in."""
        tops = dict.fromkeys(path.partition("/")[0] for path in paths if "/" in path)
        folders = [f"{top}/" for top in tops if self.below[top].slide != main]
        if folders:
            return f"its folder {shorten_list(folders)} belongs to {printable(owner)}"
        return f"{shorten_list(paths)} {'belongs' if len(paths) == 1 else 'belong'} to {printable(owner)} already"


@dataclass(slots=True)
class FolderSlides:
    """The main files of a folder with their formats, what has been collected for them, and what is no slide and why.

    A format with a companion folder is collected when its turn comes, so that the first slide need not wait for the
    indexes of all.
    """

    mains: dict[str, Format]
    parts: dict[str, Companions] = field(default_factory=dict)
    not_slides: dict[str, tuple[Why, str]] = field(default_factory=dict)
    causes: dict[str, Cause] = field(default_factory=dict)

    def may_lack(self, name: str) -> bool:
        """Return whether an unreadable file might belong to a slide here that is known by its content."""
        return guess_kind(name) is Kind.UNKNOWN and any(kind.search for kind in self.mains.values())


def resolve_claims(
    folder: Folder,
    owners: FileOwners,
    refused: Callable[[str], bool],
    *,
    asked_for: str = "",
    lookup: SlideLookup | None = None,
    only_deep: bool = False,
) -> FolderSlides:
    """Find the main files of a folder and give each what it claims. `refused`: whether a main file is not wanted.

    In this order: what indexes name; what formats find by looking into many files; what PMA.start says of unknown
    ones; and those formats that take the rest. So nothing has to be taken back. `only_deep`: look at no other formats
    than those, for what they claim in sub-folders.
    """
    claims = FolderSlides(
        {
            name: kind
            for name in sort_names(folder.files)
            if name not in owners.here and (kind := format_of(name)) and (kind.deep or not only_deep)
        }
    )
    several = [name for name, kind in claims.mains.items() if kind.has_companions and kind.companion is None]
    if several:
        _recognise(claims, folder, several)

    def rank(name: str) -> tuple[bool, bool, bool]:
        return name != asked_for, refused(name), bool(claims.parts[name].problems)

    def claim(names: Sequence[str]) -> None:
        own = [name for name in names if owners.here.setdefault(name, name) == name]
        rest_taken: set[Format] = set()
        for name in sorted(own, key=rank):  # stable: the first in order among equals
            kind = claims.mains[name]
            _refuse_sets(claims.parts[name])
            owners.claim_all(name, claims.parts[name], takes_rest=kind.takes_rest and kind not in rest_taken)
            rest_taken.add(kind)  # a second one of them lacks what the first has

    late: list[str] = []
    early: list[str] = []
    for name in several:
        kind = claims.mains.get(name)
        if kind is not None and kind.collect is not None:
            (late if kind.takes_rest else early).append(name)
    for name in early:
        _collect(claims, folder, name)
    claim(early)
    if not only_deep:
        _search(claims, folder, owners)
    for kind in dict.fromkeys(kind for kind in claims.mains.values() if kind.group):
        claim(_group(claims, folder, owners, kind))
    if lookup is not None:
        claim(_look_up(claims, folder, owners, lookup))
    for name in late:
        _collect(claims, folder, name)
    claim(late)
    return claims


def _recognise(claims: FolderSlides, folder: Folder, names: list[str]) -> None:
    for name in names:
        recognise = claims.mains[name].recognise
        if recognise is None:
            continue
        try:
            reason = recognise(folder.files[name].path)
        except OSError as error:
            claims.not_slides[name], claims.causes[name] = (Why.UNREADABLE, os_error_text(error)), cause_of(error)
            del claims.mains[name]
            continue
        except BrokenFileError as error:
            claims.not_slides[name], claims.causes[name] = (Why.INCOMPLETE, str(error)), error.cause
            del claims.mains[name]
            continue
        if reason is not None:
            claims.not_slides[name] = Why.NOT_A_SLIDE, reason
            del claims.mains[name]


def _collect(claims: FolderSlides, folder: Folder, name: str) -> None:
    collect = claims.mains[name].collect
    assert collect is not None  # noqa: S101  (for mypy)
    claims.parts[name] = collect(folder, name)


def _group(claims: FolderSlides, folder: Folder, owners: FileOwners, kind: Format) -> list[str]:
    names = [name for name, other in claims.mains.items() if other is kind and name not in owners.here]
    if not names or kind.group is None:
        return []
    groups = kind.group(folder, names)
    claims.parts |= groups.slides
    claims.not_slides |= groups.not_slides
    for name in names:
        if name not in groups.slides:
            del claims.mains[name]
    return list(groups.slides)


def _search(claims: FolderSlides, folder: Folder, owners: FileOwners) -> None:
    """Find main files by their content, where no format knows their names."""
    unknown = _unknown(claims, folder, owners)
    for kind in SEARCHED if unknown else ():
        beside = [name for name, other in claims.mains.items() if other is kind]
        assert kind.search is not None  # noqa: S101  (for mypy)
        claims.mains |= dict.fromkeys(kind.search(folder, unknown, beside), kind)


def _unknown(claims: FolderSlides, folder: Folder, owners: FileOwners) -> list[str]:
    """List the files of a folder that nobody has and no format knows, and that may be slides; in order."""
    names = folder.files.keys() - claims.mains.keys() - owners.here.keys()
    return sort_names(name for name in names if guess_kind(name) is Kind.UNKNOWN)


def _look_up(claims: FolderSlides, folder: Folder, owners: FileOwners, lookup: SlideLookup) -> list[str]:
    """Claim what PMA.start takes for slides among the files that no format knows; only files below here count."""
    unknown = [name for name in _unknown(claims, folder, owners) if extension_of(name)]
    answer = lookup(folder, unknown) if unknown else {}
    mains = [name for name in unknown if name in answer]
    for name in mains:
        claims.mains[name] = KNOWN_TO_PMA_START
        parts = claims.parts[name] = Companions()
        paths = [_from(folder, path) for path in answer[name]]
        if None in paths:
            parts.add_problem("PMA.start names files of it that are outside its own folder", Cause.OUTSIDE)
        add_files_by_path(parts, folder, [path for path in paths if path is not None and path != name])
    return mains


def _from(folder: Folder, path: str) -> str | None:
    """Return a local path relative to the folder, with "/"; None if it leads out of it."""
    try:
        path = os.path.relpath(path, folder.path)
    except ValueError:  # another drive
        return None
    path = path.replace(os.sep, "/")
    return None if path == ".." or path.startswith("../") else path


def _refuse_sets(parts: Companions) -> None:
    """Drop files that have files of their own: an index cannot name another one."""
    sets = [part for part in parts.files if (kind := format_of(part.local)) and kind.collect and not kind.recognise]
    if sets:
        parts.files = [part for part in parts.files if part not in sets]
        for part in sets:
            parts.add_problem(f"its index names {printable(part.path)}, which has files of its own", Cause.NESTED)
