"""Run a comparison: list all sides at once, look at contents where that is asked for, and give the rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..aio import together
from ..daemon_thread import in_thread
from ..errors import UsageError
from ..remote.session_pool import Passwords, SessionPool
from ..retry import Retry
from ..sites.place import Place
from ..sites.site_choices import SiteChoice
from ..slides import Slide, SlideFile
from .content import ContentProgress, Contents, Fingerprints, LocalBytes, RemoteBytes, read_contents, want_contents
from .listing import Listed, LocalListing, RemoteListing, Wanted, guarded, need_two
from .rows import ContentKind, Row, judge
from .sides import Side
from .table import Gap, SlideTable, Stored


@dataclass(frozen=True)
class Options:
    """What is compared. `newer_than`: seconds since the epoch, `min_size`: bytes.

    A slide is compared if it is new and large enough at any side: a copy may be older, or cut off.
    """

    wanted: Wanted = field(default_factory=Wanted)
    content: ContentKind | None = None
    newer_than: float | None = None
    min_size: int = 0


LEVELS = {
    None: ("size", "names and sizes"),
    ContentKind.FINGERPRINT: ("fingerprint", "names, sizes and fingerprints"),
    ContentKind.BYTES: ("deep", "all bytes"),
}
"""How closely slides are compared: the word of it for programs (as of `pmarep verify --level`), and for people."""


class Comparison:
    """The slides of several sides, beside each other. Close it in the end.

    `listed` is how far each side is listed, `contents` how far it is read (empty before that begins).
    `undated`: so many of the rows that were given have a time at no side, which `newer_than` would have needed.
    """

    def __init__(self, sides: Sequence[Side], options: Options) -> None:
        """Raises UsageError for a folder of this machine that is none, and for options that do not go together."""
        local = next((side for side in sides if side.is_local), None)
        if options.content is ContentKind.FINGERPRINT and local is not None:
            raise UsageError(
                f"fingerprints are made by servers, and {local.text} is on this machine; --deep compares the bytes"
            )
        self.sides = sides
        self._options = options
        self._locals = [
            LocalListing(side, side.at, options.wanted) if isinstance(side.at, Path) else None for side in sides
        ]
        self.listed = [one.listed if one is not None else Listed() for one in self._locals]
        self.contents: list[ContentProgress] = []
        self.undated = 0
        self._table = SlideTable()
        at = {side.number: side.at.site for side in sides if isinstance(side.at, Place)}
        choices = {number: SiteChoice(site, time.time()) for number, site in at.items()}
        self._choices = {number: choice for number, choice in choices.items() if not choice.is_any}

    @property
    def level(self) -> tuple[str, str]:
        """How closely slides are compared, for programs and for people."""
        return LEVELS[self._options.content]

    def close(self) -> None:
        """Give the space of the table back."""
        self._table.close()

    async def run(self, passwords: Passwords) -> None:
        """List all sides, and look at contents. Raises NoSuchPlace, and the error of a side where fewer than two are
        left to be compared.
        """
        pool = SessionPool([side.at.site for side in self.sides if isinstance(side.at, Place)], passwords, Retry)
        try:
            pool.check_connections()
            await self._list(pool)
            if self._options.content is not None:
                await self._look_inside(pool)
        finally:
            await pool.close()

    async def _list(self, pool: SessionPool) -> None:
        remotes = {
            side.number: RemoteListing(side, side.at, pool.core(side.at.site), self._options.wanted)
            for side in self.sides
            if isinstance(side.at, Place)
        }
        for number, remote in remotes.items():
            self.listed[number] = remote.listed
        # All are found before any is listed: a mistyped one is said at once.
        await together(guarded(remote, self._table, remote.find()) for remote in remotes.values())
        need_two(self.listed)
        walks = [guarded(remote, self._table, remote.run(self._table)) for remote in remotes.values()]
        walks += [in_thread(partial(local.run, self._table)) for local in self._locals if local is not None]
        await together(walks)
        need_two(self.listed)

    async def _look_inside(self, pool: SessionPool) -> None:
        progress = await asyncio.to_thread(want_contents, self._table, len(self.sides))
        self.contents = progress
        await together(
            read_contents(self._table, side.number, self._reader(side, pool), progress[side.number])
            for side in self.sides
        )

    def _reader(self, side: Side, pool: SessionPool) -> Contents:
        if isinstance(side.at, Path):
            return LocalBytes()
        core = pool.core(side.at.site)
        return Fingerprints(core) if self._options.content is ContentKind.FINGERPRINT else RemoteBytes(core)

    def rows(self) -> Iterator[Row]:
        """Yield the slides by name, once all is there."""
        labels, self.undated = [side.label for side in self.sides], 0
        for stored in self._table.rows():
            if self._is_wanted(stored):
                yield judge(stored, len(self.sides), self._table.gap_at, labels, self._options.content, self._excluded)

    def _excluded(self, side: int, one: Stored) -> bool:
        """Return whether a side is a site that does not take a slide as another side has it."""
        if side not in self._choices:
            return False
        newest = -1 if one.modified is None else one.modified * 1_000_000
        file = SlideFile(one.path.rpartition("/")[2], one.size, newest)
        return self._choices[side].refusal(Slide(one.path, "", "", (file,))) is not None

    def gaps(self) -> Iterator[Gap]:
        """Yield what sides do not tell, other than of slides that have a row."""
        return self._table.gaps()

    def _is_wanted(self, stored: Sequence[Stored]) -> bool:
        if max(one.size for one in stored) < self._options.min_size:
            return False
        if self._options.newer_than is None:
            return True
        times = [one.modified for one in stored if one.modified is not None]
        if not times:
            self.undated += 1
            return True
        return max(times) > self._options.newer_than * 1000
