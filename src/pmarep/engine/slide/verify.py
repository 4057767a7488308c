"""Verify what lies at a site: by names and sizes, by fingerprints that agree, or by reading every byte back."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Container, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, cast

from ...clock import Clock
from ...errors import PmarepError
from ...pmacore import (
    NotArrived,
    NotFound,
    PermissionDenied,
    PmaCore,
    PmaCoreError,
    Refused,
    RemoteFile,
    StorageFull,
)
from ...retry import Retry
from ...slides import Slide, SlideFile
from ...source import SiteReader
from ...source.prepared import PreparedSlide
from ...system.windows_names import normalized_key
from ...uploaders import Digests
from ..options import Verify
from ..remote_listing import differences_in, harmful, shortened
from ..site_events import SiteEvents
from .arrival import check_arrived
from .stamp import stamp_of

log = logging.getLogger(__name__)


class Fingerprints:
    """The fingerprint of each slide at each site of this run. In a temporary file if there are many.

    How a server computes fingerprints is its own, so two that differ prove nothing yet: both slides are read back then,
    and the bytes decide.
    """

    def __init__(self) -> None:
        self.verifiers: dict[str, SlideVerifier] = {}  # by the names of sites
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(
            "CREATE TABLE print (slide TEXT, site TEXT, value TEXT, PRIMARY KEY (slide, site)) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._db.close()

    def others(self, slide: str, site: str, value: str) -> list[SlideVerifier]:
        """Remember a fingerprint; return the verifiers of sites that have another one of this slide."""
        self._db.execute("INSERT OR REPLACE INTO print VALUES (?, ?, ?)", (slide, site, value))
        rows = self._db.execute("SELECT site FROM print WHERE slide = ? AND value <> ?", (slide, value))
        return [self.verifiers[name] for (name,) in rows.fetchall()]

    def forget(self, slide: str, site: str) -> bool:
        """Forget a fingerprint before the slide itself is read; False if somebody else is at it."""
        return self._db.execute("DELETE FROM print WHERE slide = ? AND site = ?", (slide, site)).rowcount == 1


class ContentMatch(IntEnum):
    """What lies at a site in place of a slide or of a file of it, by its bytes. The worst is last."""

    SAME = 0
    TRUNCATED = 1  # nothing but a beginning of it, perhaps with zeros behind: nothing that is not in ours
    OTHER = 2


@dataclass(frozen=True, slots=True)
class Found:
    """`whole`: files that are there as they are here. `beginning`: bytes of the others, as far as they are as ours."""

    what: ContentMatch
    whole: frozenset[str] = frozenset()
    beginning: int = 0


class _Listener:
    """A PmaCore, of which it keeps what it last said of a slide's files: no need to ask again."""

    def __init__(self, core: PmaCore) -> None:
        self._core = core
        self.files: list[RemoteFile] = []

    async def slide_files(self, path: str) -> list[RemoteFile]:
        self.files = await self._core.slide_files(path)
        return self.files

    async def image_info(self, path: str) -> dict[str, Any]:
        return await self._core.image_info(path)


class SlideVerifier:
    """Verifies the slides of one site. `where`: a slide's virtual path there; `named`: it as it is called there."""

    def __init__(
        self,
        site: str,
        core: PmaCore,
        source: SiteReader,
        digests: Digests,
        clock: Clock,
        fingerprints: Fingerprints,
        where: Callable[[Slide], str],
        events: SiteEvents,
        named: Callable[[Slide], Slide] = lambda slide: slide,
    ) -> None:
        self._site = site
        self._named = named
        self._core = core
        self._source = source
        self._retry = Retry(sleep=clock.sleep)
        self._digests = digests
        self._clock = clock
        self._fingerprints = fingerprints
        self._where = where
        self._events = events
        self._comparing: set[str] = set()  # slides
        fingerprints.verifiers[site] = self

    async def inspect(self, slide: Slide, level: Verify, *, just_sent: bool = True) -> str | None:
        """Look at a slide as closely as `level` says; its stamp. Raises NotArrived if it is not there as it should be.

        `just_sent`: the server may need some time.
        """
        if level is Verify.NONE:
            return None
        where = self._where(slide)
        if just_sent:
            said = _Listener(self._core)
            await check_arrived(cast("PmaCore", said), where, slide, self._clock)
            stamp = stamp_of(where, said.files)
        else:
            stamp = await self._check_there(slide)
        if level is Verify.DEEP:
            await self.read_back(slide)
        elif level is Verify.FINGERPRINT:
            await self.compare(slide)
        return stamp

    async def _check_there(self, slide: Slide) -> str | None:
        """Check sizes, then whether the server can open the slide: sizes say more. Raises NotArrived."""
        where = self._where(slide)
        try:
            files = await self._core.slide_files(where)
        except Refused as error:
            if not _is_about_the_slide(error):
                raise
            raise NotArrived(f"the server cannot tell its files ({error})") from None
        if wrong := harmful(differences_in(files, where, slide)):
            raise NotArrived(shortened(wrong))
        if (refusal := await self.refusal_to_open(slide)) is not None:
            raise NotArrived(f"the server cannot read the slide ({refusal})")
        return stamp_of(where, files)

    async def source_now(self, slide: Slide) -> str:
        """Say what the slide's files at the source are: their inodes and ctimes. Raises SourceError."""
        return await self._source.check(slide)

    async def refusal_to_open(self, slide: Slide) -> Refused | None:
        """Ask the server to open the slide; return its refusal. Raises what says nothing about the slide."""
        try:
            await self._core.image_info(self._where(slide))
        except Refused as error:
            if not _is_about_the_slide(error):
                raise
            return error
        return None

    async def has_sizes(self, slide: Slide) -> bool:
        """Return whether the site has exactly these files, as far as names and sizes tell. Raises PmaCoreError."""
        where = self._where(slide)
        return not differences_in(await self._core.slide_files(where), where, slide)

    async def stamp(self, slide: Slide) -> str | None:
        """Return the stamp of what is there now; None where the site does not say, or says nothing just now."""
        where = self._where(slide)
        try:
            return stamp_of(where, await self._core.slide_files(where))
        except PmaCoreError:
            return None

    async def compare(self, slide: Slide) -> None:
        """Compare the fingerprint with those of the other sites of this run that have the slide."""
        try:
            value = await self._core.fingerprint(self._where(slide))
        except Refused as error:
            if not _is_about_the_slide(error):
                raise
            raise NotArrived(f"the server gives no fingerprint of it ({error})") from None
        others = self._fingerprints.others(_name(slide), self._site, value)
        if not others:
            return
        names = ", ".join(other._site for other in others)
        log.info("%s: %s has another fingerprint than at %s; reading all back", self._site, slide.path, names)
        self._comparing.add(slide.path)
        try:
            await self._settle(slide, others)
        finally:
            self._comparing.discard(slide.path)

    async def _settle(self, slide: Slide, others: Sequence[SlideVerifier]) -> None:
        try:
            await self.read_back(slide)
        except NotArrived:
            self._fingerprints.forget(_name(slide), self._site)
            raise
        for other in others:
            if slide.path in other._comparing:  # it reads its own back, and has not said yet that the slide arrived
                continue
            if not self._fingerprints.forget(_name(slide), other._site):
                continue
            theirs = other._named(slide)
            try:
                try:
                    await other.read_back(theirs)
                except NotArrived as error:
                    await other._events.slide_wrong(theirs, str(error))
            except PmaCoreError as error:
                log.info("%s: could not read %s back: %s", other._site, slide.path, error)
                text = f"its fingerprint is not that of {self._site}, whose bytes are right, and it cannot be read back"
                await other._events.slide_suspect(
                    theirs, f"{text} ({error}); the next push --verify fingerprint looks again"
                )

    async def look_again(self, slide: Slide) -> bool:
        """Read back a slide that has been said to be here; take that back where it is not. Whether it is.

        Raises only what ends the run.
        """
        try:
            try:
                await self.read_back(slide)
                return True
            except NotArrived as error:
                await self._events.slide_wrong(slide, str(error))
        except PmarepError as error:
            text = "the server has restarted, another slide may have come to its place, and it cannot be read back"
            await self._events.slide_suspect(slide, f"{text} ({error}); the next push looks again")
        return False

    async def read_back(self, slide: Slide, some: Container[str] | None = None) -> None:
        """Download files, `some` or all, and compare SHA-256 with the source. Raises NotArrived, SourceError."""
        for file in slide.files:
            if some is not None and file.path not in some:
                continue
            there = await self._retry(partial(self._sha256, slide, file))
            if there != await self._digests.sha256(slide, file):
                raise NotArrived(f"{file.path} is not the same there (read back, SHA-256 differs)")

    async def _sha256(self, slide: Slide, file: SlideFile) -> bytes:
        digest = hashlib.sha256()
        async with self._core.download(self._where(slide), file.path, file.size) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
        return digest.digest()

    async def what_is_there(self, slide: Slide, *, begun: bool = False) -> Found:
        """Compare byte for byte, as far as there is anything. Raises PmaCoreError, SourceError.

        `begun`: an upload of ours is unfinished. Where its main file is torn, no whole slide is there, and nothing else
        is looked at: companions may be many gigabytes.
        """
        folder = self._where(slide).removesuffix(slide.main.path)
        sizes: dict[str, int | None] = {normalized_key(folder + file.path): None for file in slide.files}
        try:
            listed = await self._core.slide_files(self._where(slide))
            sizes = {normalized_key(file.path.strip("/")): file.size for file in listed}
        except Refused:  # it does not understand what is torn, but may give it back
            pass
        if normalized_key(folder + slide.main.path) not in sizes:  # the site answers with another slide than asked for
            return Found(ContentMatch.OTHER)
        worst, beginning = ContentMatch.SAME, 0
        whole: set[str] = set()
        for file in reversed(slide.files):  # the main file first: slides of one scanner differ there
            size = sizes.pop(normalized_key(folder + file.path), 0)
            what, count = await self._retry(partial(self._compare_file, slide, file, size))
            worst = max(worst, what)
            if worst is ContentMatch.OTHER or (begun and what is ContentMatch.TRUNCATED):
                return Found(worst, frozenset(whole), count)
            if what is ContentMatch.SAME:
                whole.add(file.path)
            else:
                beginning += count
        if sizes and worst is not ContentMatch.SAME:  # files that are none of ours
            return Found(ContentMatch.OTHER)
        return Found(worst, frozenset(whole), beginning)

    async def _compare_file(self, slide: Slide, file: SlideFile, size: int | None) -> tuple[ContentMatch, int]:
        """Compare a file with the `size` bytes that are there (None: unknown); count the first ones that are ours.

        Zeros behind a beginning are none: a server may make room first.
        """
        if size == 0:
            return (ContentMatch.TRUNCATED if file.size else ContentMatch.SAME), 0
        if size is not None and size > file.size:
            return ContentMatch.OTHER, 0
        try:
            return await self._compare_bytes(slide, file, size)
        except NotFound:
            if size is not None or file is slide.main:
                raise
            return ContentMatch.TRUNCATED, 0  # it was not listed, and is not there

    async def _compare_bytes(self, slide: Slide, file: SlideFile, size: int | None) -> tuple[ContentMatch, int]:
        equal, same, next_ones, count = True, 0, b"", 0
        async with (
            aclosing(self._source.read(slide, file)) as ours,
            self._core.download(self._where(slide), file.path, size) as theirs,
        ):
            async for chunk in theirs:
                count += len(chunk)
                while equal and len(next_ones) < len(chunk):
                    if not (more := await anext(ours, b"")):
                        return ContentMatch.OTHER, same
                    next_ones += more
                own, next_ones = next_ones[: len(chunk)], next_ones[len(chunk) :]
                if equal and chunk == own:
                    same += len(chunk)
                    continue
                if equal:
                    at = next(at for at, (a, b) in enumerate(zip(chunk, own, strict=True)) if a != b)
                    chunk, same, equal = chunk[at:], same + at, False
                if chunk.strip(b"\0"):
                    return ContentMatch.OTHER, same
        return (ContentMatch.SAME if equal and count == file.size else ContentMatch.TRUNCATED), same


def _name(slide: Slide) -> str:
    """Return what the same slide is called at all sites: what different commands have made of one is not the same."""
    return f"{slide.path}\0{slide.command}" if isinstance(slide, PreparedSlide) else slide.path


def _is_about_the_slide(error: Refused) -> bool:
    """Return whether a refusal is about the slide, and not this user, the room left, or a method that is missing."""
    return not isinstance(error, PermissionDenied | StorageFull | NotFound)
