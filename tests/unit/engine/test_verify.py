"""Who says what of a slide whose fingerprints differ."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from support.clocks import FakeClock
from support.slides import make_slide

from pmarep.engine.site_events import SiteEvents
from pmarep.engine.slide.verify import Fingerprints, SlideVerifier
from pmarep.pmacore import NotArrived, PmaCore, TransferBroken
from pmarep.slides import Slide, SlideFile
from pmarep.source import SiteReader
from pmarep.uploaders import Digests

CONTENT = b"tissue" * 100
SLIDE = make_slide("x.svs", len(CONTENT))


class Core:
    """A server with one slide, whose downloads wait for `go`."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()

    async def fingerprint(self, path: str) -> str:
        return hashlib.md5(self.content).hexdigest()

    @asynccontextmanager
    async def download(self, path: str, file: str, size: int) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.set()
        await self.go.wait()

        async def chunks() -> AsyncIterator[bytes]:
            yield self.content

        yield chunks()


class Here:
    async def sha256(self, slide: Slide, file: SlideFile) -> bytes:
        return hashlib.sha256(CONTENT).digest()


class Case:
    def __init__(self) -> None:
        self.prints = Fingerprints()
        self.retracted: list[str] = []
        self.good, self.bad, self.late = Core(CONTENT), Core(CONTENT[::-1]), Core(CONTENT)
        cores = {"good": self.good, "bad": self.bad, "late": self.late}
        self.at = {name: self._verifier(name, core) for name, core in cores.items()}

    def _verifier(self, name: str, core: Core) -> SlideVerifier:
        async def retract(slide: Slide, error: str) -> None:
            self.retracted.append(name)

        events = cast("SiteEvents", SimpleNamespace(slide_wrong=retract, slide_suspect=retract))
        real, source, digests = cast("PmaCore", core), cast("SiteReader", None), cast("Digests", Here())
        where = lambda slide: slide.path  # noqa: E731
        return SlideVerifier(name, real, source, digests, FakeClock(), self.prints, where, events)


async def test_a_site_that_reads_its_slide_back_says_itself_what_it_found() -> None:
    """No other site retracts what it has not said: the slide would count as failed twice."""
    case = Case()
    await case.at["good"].compare(SLIDE)
    case.bad.go.clear()
    own = asyncio.create_task(case.at["bad"].compare(SLIDE))
    await case.bad.asked.wait()
    late = asyncio.create_task(case.at["late"].compare(SLIDE))
    await asyncio.wait({late}, timeout=0.1)
    case.bad.go.set()
    await late
    with pytest.raises(NotArrived):
        await own
    assert case.retracted == []


async def test_an_arrival_that_was_reported_is_retracted() -> None:
    case = Case()
    await case.at["bad"].compare(SLIDE)
    await case.at["good"].compare(SLIDE)
    await case.at["late"].compare(SLIDE)
    assert case.retracted == ["bad"]


async def test_slides_that_cannot_be_judged_are_reported_at_least() -> None:
    """A slide that another one may lie in place of, at a server that goes away while that is found out."""
    accused: list[str] = []

    async def retract(slide: Slide, error: str) -> None:
        raise TransferBroken("the connection ended")

    async def accuse(slide: Slide, error: str) -> None:
        accused.append(error)

    events = cast("SiteEvents", SimpleNamespace(slide_wrong=retract, slide_suspect=accuse))
    core, source, digests = cast("PmaCore", Core(CONTENT[::-1])), cast("SiteReader", None), cast("Digests", Here())
    case = Case()
    site = SlideVerifier("a", core, source, digests, FakeClock(), case.prints, str, events)
    assert not await site.look_again(SLIDE)
    (error,) = accused
    assert "the connection ended" in error
    await site.compare(SLIDE)
    await case.at["good"].compare(SLIDE)  # which has no trouble of its own
    _, error = accused
    assert "the connection ended" in error
