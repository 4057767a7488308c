"""What is settled without a lane: slides that the journal calls sent and the site lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.clocks import FakeClock

from pmarep.engine import Options, Verify
from pmarep.engine.circuit_breaker import CircuitBreaker
from pmarep.engine.discovery.slide_list import SlideCursor, SlideList
from pmarep.engine.remote_listing import RemoteListing
from pmarep.engine.site.prefilter import (
    CHUNK_FILES,
    CHUNK_SLIDES,
    LISTINGS,
    NEAR_LISTINGS,
    READY,
    SLOW_LISTING,
    KnownSlide,
    KnownSlideFilter,
)
from pmarep.engine.site.recheck import Recheck
from pmarep.engine.slide.decide import destination
from pmarep.pmacore import PmaCore, Unreachable
from pmarep.sites import Site
from pmarep.slides import Slide, SlideFile
from pmarep.state.journal import Journal, RemotePath

SITE = Site(name="a", url="http://pma.example/", username="u", target="Slides/in")


def make(path: str, size: int = 10, files: int = 1) -> Slide:
    name = path.rpartition("/")[2]
    parts = [SlideFile(f"{name}-{number}", 1, 1) for number in range(files - 1)]
    return Slide(path, "Aperio SVS", Path("/cases"), (*parts, SlideFile(name, size, 1)))


class FakeCore:
    """A site with these virtual paths of slides."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.listed: list[str] = []
        self.away = False
        self.asked = self.most_at_once = 0
        self.answer: Callable[[str], Awaitable[None]] = lambda _: asyncio.sleep(0)

    async def directories(self, path: str) -> list[str]:
        below = {slide[len(path) + 1 :].split("/")[0] for slide in self.there if slide.startswith(path + "/")}
        return [f"{path}/{name}" for name in below] if path != "Slides" else ["Slides/in"]

    async def slides(self, path: str) -> list[str]:
        if self.away:
            raise Unreachable("http://pma.example/ cannot be reached")
        self.listed.append(path)
        self.asked += 1
        self.most_at_once = max(self.most_at_once, self.asked)
        await self.answer(path)
        self.asked -= 1
        return [slide for slide in self.there if slide.rpartition("/")[0] == path]


class Bench:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.core = FakeCore()
        self.clock = FakeClock()
        self.far = False
        self.settled: dict[str, str] = {}
        self.asked = 0

    async def replicated(self, slides: Iterable[Slide]) -> None:
        """As an earlier run would have left it."""
        for slide in slides:
            at = destination(SITE, "", slide)
            await self.journal.sent(at.place, self.journal.signature(slide))
            self.core.there.add(at.path)

    def sieve(self, slides: Iterable[Slide], deadline: float | None = None, **options: Any) -> KnownSlideFilter:
        catalogue = SlideList()
        found = list(slides)
        catalogue.write(found)
        catalogue.admit(len(found), 0)
        catalogue.finish()
        clock = self.clock
        shared = SimpleNamespace(
            options=Options(sources=(Path("/cases"),), **options), journal=self.journal, clock=clock, deadline=deadline
        )

        async def settle(settled: Sequence[KnownSlide]) -> None:
            for slide, _, decision in settled:
                self.settled[slide.path] = decision.action.value

        health = CircuitBreaker(clock, 0, None, lambda state, reason: None, lambda: False)
        remote = RemoteListing(cast(PmaCore, self.core), clock)
        recheck = Recheck(SITE, cast(PmaCore, self.core), self.journal, clock, shared.options.recheck, 1000)
        return KnownSlideFilter(
            SITE, cast(Any, shared), health, remote, SlideCursor(catalogue), settle, lambda: self.far, recheck
        )

    async def left(self, slides: Iterable[Slide], **options: Any) -> set[str]:
        """What comes through; every slide is either settled or comes through, once."""
        everything = list(slides)
        sieve = self.sieve(everything, **options)
        running = asyncio.create_task(sieve.run())
        left = []
        while (slide := await sieve.take()) is not None:
            left.append(slide.path)
        await running
        assert await sieve.take() is None  # for every other taker
        assert sorted([*left, *self.settled]) == sorted(slide.path for slide in everything)
        return set(left)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal(tmp_path / "state")
    yield Bench(journal)
    journal.close()


def many(folders: int, slides: int) -> list[Slide]:
    return [make(f"case{folder}/{number}.svs") for folder in range(folders) for number in range(slides)]


async def test_what_is_there_costs_one_listing_a_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slides = many(folders=15, slides=30)
    await bench.replicated(slides)
    questions = []
    ask = Journal.known

    async def known(journal: Journal, server: str, paths: list[str]) -> Any:
        questions.append(len(paths))
        return await ask(journal, server, paths)

    monkeypatch.setattr(Journal, "known", known)
    assert await bench.left([*slides, make("case3/new.svs"), make("other/new.svs")]) == {
        "case3/new.svs",
        "other/new.svs",
    }
    assert set(bench.settled.values()) == {"skip"}
    assert sorted(bench.core.listed) == sorted(f"Slides/in/case{number}" for number in range(15))
    assert sum(questions) == 452
    assert len(questions) == -(-452 // CHUNK_SLIDES)


@pytest.mark.parametrize(
    ("far", "seconds", "most"),
    [(False, 0.0, NEAR_LISTINGS), (False, 10 * SLOW_LISTING, LISTINGS), (True, 0.0, LISTINGS)],
)
async def test_more_is_asked_at_once_where_answers_take_long(
    bench: Bench, far: bool, seconds: float, most: int
) -> None:
    slides = many(folders=60, slides=20)
    await bench.replicated(slides)
    bench.far, clock = far, bench.clock
    bench.core.answer = lambda _: clock.sleep(seconds)
    await clock.run(asyncio.create_task(bench.left(slides)))
    assert bench.core.most_at_once == most
    assert set(bench.settled.values()) == {"skip"}


async def test_listings_that_hang_hold_up_few_others(bench: Bench) -> None:
    slides = many(folders=60, slides=20)
    await bench.replicated(slides)
    hanging = asyncio.Event()

    async def answer(folder: str) -> None:
        if folder in ("Slides/in/case0", "Slides/in/case1"):
            await hanging.wait()

    bench.core.answer = answer
    sieve = bench.sieve(slides)
    running = asyncio.create_task(sieve.run())

    async def others() -> None:
        while len(bench.settled) < 1100:
            await asyncio.sleep(0)

    await bench.clock.run(asyncio.create_task(others()))
    hanging.set()
    await running
    assert len(bench.settled) == 1200


async def test_what_is_not_certain_comes_through(bench: Bench) -> None:
    slides = [make(f"{name}.svs") for name in ("same", "changed", "gone", "broken", "sending", "foreign")]
    same, changed, gone, broken, sending, foreign = slides
    await bench.replicated([same, changed, gone, broken])
    bench.core.there.remove("Slides/in/gone.svs")
    bench.core.there |= {"Slides/in/foreign.svs", "Slides/in/sending.svs"}
    await bench.journal.broken(destination(SITE, "", broken).place, bench.journal.signature(broken))
    await bench.journal.sending(
        RemotePath(SITE.url, "Slides/in/sending.svs"), bench.journal.signature(sending), 1, "{}"
    )
    found = [same, make("changed.svs", size=11), gone, broken, sending, foreign]
    assert await bench.left(found) == {f"{name}.svs" for name in ("changed", "gone", "broken", "sending", "foreign")}


async def test_a_dry_run_is_certain_about_new_slides_too(bench: Bench) -> None:
    here, new, broken = make("x/here.svs"), make("x/new.svs"), make("x/broken.svs")
    await bench.replicated([here, broken])
    await bench.journal.broken(destination(SITE, "", broken).place, bench.journal.signature(broken))
    assert await bench.left([here, new, broken], dry_run=True) == {"x/broken.svs"}
    assert bench.settled == {"x/here.svs": "skip", "x/new.svs": "send"}


@pytest.mark.parametrize("options", [{"verify": Verify.FINGERPRINT}, {"verify": Verify.DEEP}, {"verify_only": True}])
async def test_what_is_looked_at_all_the_same_comes_through(bench: Bench, options: dict[str, Any]) -> None:
    slides = many(2, 5)
    await bench.replicated(slides)
    assert len(await bench.left(slides, **options)) == 10
    assert not bench.core.listed


async def test_when_the_time_is_over_nothing_is_asked(bench: Bench) -> None:
    slides = many(2, 5)
    await bench.replicated(slides)
    assert len(await bench.left(slides, deadline=-1.0)) == 10
    assert not bench.core.listed


async def test_a_site_that_is_away_is_for_the_lanes_to_find_out(bench: Bench) -> None:
    slides = many(2, 5)
    await bench.replicated(slides)
    bench.core.away = True
    assert len(await bench.left(slides)) == 10


async def test_what_fails_when_a_slide_is_settled_ends_the_takers(bench: Bench) -> None:
    slides = many(1, 5)
    await bench.replicated(slides)
    sieve = bench.sieve(slides)

    async def fail(settled: Sequence[KnownSlide]) -> None:
        raise Unreachable("cannot write the audit file")

    sieve._settle = fail
    await sieve.run()
    for _ in range(2):
        with pytest.raises(Unreachable, match="audit"):
            await sieve.take()


async def test_few_slides_wait_for_lanes(bench: Bench) -> None:
    """Slides of many files are large things to hold."""
    sieve = bench.sieve(make(f"{number}.svs", files=600) for number in range(100))
    running = asyncio.create_task(sieve.run())
    first = await sieve.take()
    assert first is not None
    assert first.path == "0.svs"
    await asyncio.sleep(0)
    await bench.journal.known(SITE.url, [])  # the chunks have got their answers
    await asyncio.sleep(0)
    taken = sieve._cursor._next
    assert taken <= READY + 1 + 8 * -(-CHUNK_FILES // 600)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
