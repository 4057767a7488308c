"""Find the slides below a folder of a site that the source has not.

Not extra is a slide

- whose main file the source has, be it sent or left out;
- which the patterns of this run or of the site leave out by its name, as rsync does: what is not looked at is not
  deleted;
- any file of which belongs to a slide of the source, or to another slide at the site that stays. Servers may list a
  file of a slide as one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ...pmacore import NotFound, Refused, RemoteFile
from ...remote.removal import Candidate
from ...remote.tree import Ambiguous, RemoteFolder, RemoteSlide, RemoteTree, Unlisted
from ...sites import Site
from ...sites.site_choices import SiteChoice
from ...slides.selection import Selection
from ...system.windows_names import normalized_key
from ...text import printable
from .source_names import Had, SourceNames


@dataclass(slots=True)
class ExtraSlides:
    """What was found below a folder. `folder`: as the server spells it, "" where there is none.

    `total`: all slides there; `extra`: those that the source has not; `unsure`: others of which that is not known for
    sure, and why. They stay.
    """

    folder: str = ""
    total: int = 0
    extra: list[Candidate] = field(default_factory=list)
    unsure: list[tuple[Candidate, str]] = field(default_factory=list)

    def name(self, path: str) -> str:
        """Return the path of a slide from the folder."""
        return "/".join(path.split("/")[self.folder.count("/") + 1 :])


async def find_extra_slides(
    tree: RemoteTree, folder: str, names: SourceNames, selection: Selection, site: Site, choice: SiteChoice | None
) -> ExtraSlides:
    """Find the extra slides below a folder. Raises Refused where the server does not tell all that lies there.

    `choice`: of the site. Nobody knows which files belong to a slide there that it does not take from the source, or
    that `require` refused or `prepare` made.
    """
    gated = bool(site.require or site.prepare)
    found = ExtraSlides()
    try:
        at = await tree.find(folder, files=False)
    except Ambiguous:
        raise
    except NotFound:
        return found
    if not isinstance(at, RemoteFolder):
        raise Refused(f"{printable(at.path)} is a slide and no folder")
    found.folder = at.path
    candidates: list[str] = []
    staying: dict[str, list[str]] = {}  # slides whose files are not known, by their folders
    async with aclosing(tree.walk(at, files=False)) as walk:
        async for one in walk:
            if isinstance(one, Unlisted):
                raise Refused(f"the server does not tell what is in {printable(one.path)} ({one.error})")
            if not isinstance(one, RemoteSlide):
                continue
            found.total += 1
            name = found.name(one.path)
            if (had := names.has(name, site.name)) is Had.SENT and not gated:
                continue
            chosen_away = selection.refusal(name) is not None or (choice is not None and choice.refuses_name(name))
            if had is not Had.NOT or chosen_away:
                staying.setdefault(one.path.rpartition("/")[0], []).append(one.path)
            else:
                candidates.append(one.path)
    owners = _Owners(tree, staying)
    async with aclosing(tree.all_told(candidates)) as slides:
        async for told in slides:
            await _sort(told, names, owners, found, site.name)
    return found


async def _sort(
    slide: RemoteSlide | Unlisted, names: SourceNames, owners: _Owners, found: ExtraSlides, site: str
) -> None:
    """Find out whether a slide whose name the source has not is extra."""
    if isinstance(slide, Unlisted):
        found.unsure.append((Candidate(slide.path), f"the server does not tell its files: {slide.error}"))
        return
    if any(names.has(found.name(file.path.strip("/")), site) is not Had.NOT for file in slide.files):
        return
    await owners.ask_about(slide.path.rpartition("/")[0])
    if owners.own(slide.files):
        return
    if (silent := owners.silent_above(slide.path)) is not None:
        why = f"it may belong to {printable(silent)}, of which the server does not tell the files"
        found.unsure.append((Candidate.of(slide), why))
        return
    found.extra.append(Candidate.of(slide))


class _Owners:
    """The files of slides that stay, asked for where a slide is to be deleted: its folder, and those above.

    A slide's files lie in its folder and below.
    """

    def __init__(self, tree: RemoteTree, staying: dict[str, list[str]]) -> None:
        self._tree = tree
        self._staying = staying
        self._files: set[str] = set()
        self._silent: dict[str, str] = {}  # by folder: a slide of which the server does not tell the files

    async def ask_about(self, folder: str) -> None:
        """Ask for the files of slides that may have files in a folder."""
        for above in _levels(folder):
            async with aclosing(self._tree.all_told(self._staying.pop(above, ()))) as slides:
                async for told in slides:
                    if isinstance(told, Unlisted):
                        self._silent[above] = told.path
                    else:
                        self._files |= _keys(told.files)

    def own(self, files: Sequence[RemoteFile]) -> bool:
        """Return whether one of these files belongs to a slide that stays."""
        return not self._files.isdisjoint(_keys(files))

    def silent_above(self, path: str) -> str | None:
        """Return a slide that may own a file, and of which that is not known."""
        return next((self._silent[above] for above in _levels(path) if above in self._silent), None)


def _keys(files: Iterable[RemoteFile]) -> set[str]:
    return {normalized_key(file.path.strip("/")) for file in files}


def _levels(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
