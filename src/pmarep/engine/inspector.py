"""How sure a run is of what lies at a site: names and sizes, fingerprints that agree, or every byte read back."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from enum import Enum, auto
from functools import partial

from ..errors import PmarepError
from ..names import windows_key
from ..pmacore import NotArrived, PmaCore, PmaCoreError, ProtocolError, Refused, TransferBroken
from ..retry import Retry
from ..slides import Slide, SlideFile
from ..source import Source
from ..uploaders import Clock, Digests
from .options import Verify
from .verify import check_arrived

log = logging.getLogger(__name__)


class Fingerprints:
    """The fingerprint of each slide at each site of this run. In a temporary file if there are many.

    How a server computes fingerprints is its own, so two that differ prove nothing yet: both slides are read back then,
    and the bytes decide.
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


class There(Enum):
    """What lies at a site in a slide's place, by its bytes."""

    SAME = auto()
    TORN = auto()  # nothing but a beginning of it: an upload that broke off where files are written in place
    OTHER = auto()


class Inspector:
    """Looks at the slides of one site.

    `where`: a slide's virtual path there. `retract` takes back that a slide arrived, `accuse` says that it may not be
    as it should be.
    """

    def __init__(
        self,
        site: str,
        core: PmaCore,
        source: Source,
        digests: Digests,
        clock: Clock,
        fingerprints: Fingerprints,
        where: Callable[[Slide], str],
        retract: Callable[[Slide, str], Awaitable[None]],
        accuse: Callable[[Slide, str], Awaitable[None]],
    ) -> None:
        self._site = site
        self._core = core
        self._source = source
        self._retry = Retry(sleep=clock.sleep)
        self._digests = digests
        self._clock = clock
        self._fingerprints = fingerprints
        self._where = where
        self._retract = retract
        self._accuse = accuse
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
            except PmaCoreError as error:
                log.info("%s: could not read %s back: %s", other._site, slide.path, error)
                text = f"its fingerprint is not that of {self._site}, whose bytes are right, and it cannot be read back"
                await other._accuse(slide, f"{text} ({error}); the next push --verify fingerprint looks again")

    async def look_again(self, slide: Slide) -> None:
        """Read back a slide that has been said to be here; take that back where it is not. Raises nothing."""
        try:
            await self.read_back(slide)
        except NotArrived as error:
            await self._retract(slide, str(error))
        except PmarepError as error:
            text = "the server has restarted, another slide may have come to its place, and it cannot be read back"
            await self._accuse(slide, f"{text} ({error}); pmarep verify --verify deep looks again")

    async def read_back(self, slide: Slide) -> None:
        """Download every file, streamed, and compare SHA-256 with the source. Raises NotArrived, SourceError."""
        for file in slide.files:
            there = await self._retry(partial(self._sha256, slide, file))
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

    async def what_is_there(self, slide: Slide) -> There:
        """Compare byte for byte, as far as there is anything. Raises PmaCoreError, SourceError."""
        folder, found = self._where(slide).removesuffix(slide.main.path), set()
        sizes: dict[str, int | None] = {windows_key(slide.main.path): None}
        try:
            listed = await self._core.slide_files(self._where(slide))
            sizes = {windows_key(file.path.strip("/")[len(folder) :]): file.size for file in listed}
        except Refused:  # it does not understand what is torn, but may give it back
            if len(slide.files) > 1:
                raise
        for file in slide.files:
            size = sizes.pop(windows_key(file.path), 0)
            found.add(await self._retry(partial(self._compare_file, slide, file, size)))
            if There.OTHER in found:
                return There.OTHER
        if sizes:  # files that are none of ours
            return There.OTHER
        return There.TORN if There.TORN in found else There.SAME

    async def _compare_file(self, slide: Slide, file: SlideFile, size: int | None) -> There:
        """With the bytes that are there, so many if that is known.

        Zeros behind a beginning are none: a server may make room first.
        """
        if size == 0:
            return There.TORN if file.size else There.SAME
        if size is not None and size > file.size:
            return There.OTHER
        equal, next_ones, count = True, b"", 0
        async with (
            aclosing(self._source.read(slide, file)) as ours,
            self._core.download(self._where(slide), file.path, size) as theirs,
        ):
            async for chunk in theirs:
                count += len(chunk)
                while equal and len(next_ones) < len(chunk):
                    if not (more := await anext(ours, b"")):
                        return There.OTHER
                    next_ones += more
                own, next_ones = next_ones[: len(chunk)], next_ones[len(chunk) :]
                if equal and chunk == own:
                    continue
                if equal:
                    chunk = chunk[next(at for at, (a, b) in enumerate(zip(chunk, own, strict=True)) if a != b) :]
                    equal = False
                if chunk.strip(b"\0"):
                    return There.OTHER
        if size is not None and count != size:
            raise TransferBroken(f"reading {file.path} back ended after {count} of {size} bytes")
        return There.SAME if equal and count == file.size else There.TORN
