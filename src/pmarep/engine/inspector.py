"""How sure a run is of what lies at a site: names and sizes, fingerprints that agree, or every byte read back."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable

from ..pmacore import NotArrived, PmaCore
from ..slides import Slide, SlideFile
from ..uploaders import Clock, Digests
from .options import Verify
from .verify import check_arrived

log = logging.getLogger(__name__)


class Fingerprints:
    """The first fingerprint that each slide got in this run, and at which site. In a temporary file if there are many.

    How a server computes fingerprints is its own (protocol.md), so two that differ prove nothing yet: both slides are
    read back then, and the bytes decide.
    """

    def __init__(self) -> None:
        self.inspectors: dict[str, Inspector] = {}  # by the names of sites
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE print (slide TEXT PRIMARY KEY, site TEXT, value TEXT) WITHOUT ROWID")

    def close(self) -> None:
        self._db.close()

    def other(self, slide: str, site: str, value: str) -> Inspector | None:
        """Of a site that has another fingerprint of this slide. The first one is remembered."""
        self._db.execute("INSERT OR IGNORE INTO print VALUES (?, ?, ?)", (slide, site, value))
        found = self._db.execute("SELECT site, value FROM print WHERE slide = ?", (slide,)).fetchone()
        return None if found[1] == value else self.inspectors[found[0]]

    def replace(self, slide: str, site: str, value: str) -> None:
        """The one remembered so far was that of a damaged slide."""
        self._db.execute("UPDATE print SET site = ?, value = ? WHERE slide = ?", (site, value, slide))


class Inspector:
    """Looks at the slides of one site.

    `where`: a slide's virtual path there. `retract` takes back that a slide arrived.
    """

    def __init__(
        self,
        site: str,
        core: PmaCore,
        digests: Digests,
        clock: Clock,
        fingerprints: Fingerprints,
        where: Callable[[Slide], str],
        retract: Callable[[Slide, str], Awaitable[None]],
    ) -> None:
        self._site = site
        self._core = core
        self._digests = digests
        self._clock = clock
        self._fingerprints = fingerprints
        self._where = where
        self._retract = retract
        fingerprints.inspectors[site] = self

    async def inspect(self, slide: Slide, level: Verify, *, just_sent: bool = True) -> None:
        """Raises NotArrived if the slide is not there as it should be. `just_sent`: the server may need some time."""
        if level is Verify.NONE:
            return
        await check_arrived(self._core, self._where(slide), slide, self._clock, wait=just_sent)
        if level is Verify.DEEP:
            await self.read_back(slide)
        elif level is Verify.FINGERPRINT:
            await self.compare(slide)

    async def compare(self, slide: Slide) -> None:
        """The fingerprint with those of the other sites of this run that have the slide."""
        value = await self._core.fingerprint(self._where(slide))
        other = self._fingerprints.other(slide.path, self._site, value)
        if other is None:
            return
        log.info("%s and %s have different fingerprints of %s; reading both back", self._site, other._site, slide.path)
        await self.read_back(slide)
        try:
            await other.read_back(slide)
        except NotArrived as error:
            self._fingerprints.replace(slide.path, self._site, value)
            await other._retract(slide, str(error))

    async def read_back(self, slide: Slide) -> None:
        """Download every file, streamed, and compare SHA-256 with the source. Raises NotArrived, SourceError."""
        for file in slide.files:
            there = await self._sha256(slide, file)
            if there != await self._digests.sha256(slide, file):
                raise NotArrived(f"{file.path} is not the same there (read back, SHA-256 differs)")

    async def _sha256(self, slide: Slide, file: SlideFile) -> bytes:
        digest, left = hashlib.sha256(), file.size
        async with self._core.download(self._where(slide), file.path) as chunks:
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:  # longer than the file, perhaps endless
                    return b""
                digest.update(chunk)
        return digest.digest()
