"""How sure a run is of what lies at a site: names and sizes, fingerprints that agree, or every byte read back."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence

from ..pmacore import NotArrived, PmaCore, PmaCoreError, ProtocolError, TransferBroken
from ..slides import Slide, SlideFile
from ..uploaders import Clock, Digests
from .options import Verify
from .verify import check_arrived

log = logging.getLogger(__name__)


class Fingerprints:
    """The fingerprint of each slide at each site of this run. In a temporary file if there are many.

    How a server computes fingerprints is its own (protocol.md), so two that differ prove nothing yet: both slides are
    read back then, and the bytes decide.
    """

    def __init__(self) -> None:
        self.inspectors: dict[str, Inspector] = {}  # by the names of sites
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(
            "CREATE TABLE print (slide TEXT, site TEXT, value TEXT, PRIMARY KEY (slide, site)) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._db.close()

    def others(self, slide: str, site: str, value: str) -> list[Inspector]:
        """Of sites that have another fingerprint of this slide. This one is remembered."""
        self._db.execute("INSERT OR REPLACE INTO print VALUES (?, ?, ?)", (slide, site, value))
        rows = self._db.execute("SELECT site FROM print WHERE slide = ? AND value <> ?", (slide, value))
        return [self.inspectors[name] for (name,) in rows.fetchall()]

    def forget(self, slide: str, site: str) -> bool:
        """Whoever looks at the slide itself forgets its fingerprint first; False if somebody else is looking at it."""
        return self._db.execute("DELETE FROM print WHERE slide = ? AND site = ?", (slide, site)).rowcount == 1


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
        self._comparing: set[str] = set()  # slides
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
        others = self._fingerprints.others(slide.path, self._site, value)
        if not others:
            return
        names = ", ".join(other._site for other in others)
        log.info("%s: %s has another fingerprint than at %s; reading all back", self._site, slide.path, names)
        self._comparing.add(slide.path)
        try:
            await self._settle(slide, others)
        finally:
            self._comparing.discard(slide.path)

    async def _settle(self, slide: Slide, others: Sequence[Inspector]) -> None:
        try:
            await self.read_back(slide)
        except NotArrived:
            self._fingerprints.forget(slide.path, self._site)
            raise
        for other in others:
            if slide.path in other._comparing:  # it reads its own back, and has not said yet that the slide arrived
                continue
            if not self._fingerprints.forget(slide.path, other._site):
                continue
            try:
                await other.read_back(slide)
            except NotArrived as error:
                await other._retract(slide, str(error))
            except PmaCoreError as error:  # that site's trouble is not ours
                log.info("%s: could not read %s back: %s", other._site, slide.path, error)

    async def read_back(self, slide: Slide) -> None:
        """Download every file, streamed, and compare SHA-256 with the source. Raises NotArrived, SourceError."""
        for file in slide.files:
            there = await self._sha256(slide, file)
            if there != await self._digests.sha256(slide, file):
                raise NotArrived(f"{file.path} is not the same there (read back, SHA-256 differs)")

    async def _sha256(self, slide: Slide, file: SlideFile) -> bytes:
        digest, left = hashlib.sha256(), file.size
        async with self._core.download(self._where(slide), file.path, file.size) as chunks:
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    raise ProtocolError(f"reading {file.path} back gave more bytes than the server says it has")
                digest.update(chunk)
        if left:
            raise TransferBroken(f"reading {file.path} back ended {left} bytes too early")
        return digest.digest()
