"""Slides that need no attempt: the journal calls them sent and the site lists them."""

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
from pmarep.engine.discovery.slide_list import SlideList
from pmarep.engine.gate.site_gate import SiteGate
from pmarep.engine.remote_listing import RemoteListing
from pmarep.engine.site.prefilter import (
    CHUNK_FILES,
    CHUNK_SLIDES,
    LISTINGS,
    NEAR_LISTINGS,
    SLOW_LISTING,
    KnownSlideFilter,
)
from pmarep.engine.site.recheck import Recheck
from pmarep.engine.site_events import KnownSlide
from pmarep.engine.slide.decide import destination
from pmarep.pmacore import PmaCore, Unreachable
from pmarep.sites import Site
from pmarep.sites.place import Place
from pmarep.sites.site_choices import SiteChoices
from pmarep.slides import Slide, SlideFile
from pmarep.state.journal import Journal
from pmarep.state.records import RemotePath

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
        self.known: dict[str, str] = {}
        self.excluded: list[str] = []
        self.asked = 0

    async def replicated(self, slides: Iterable[Slide]) -> None:
        """As an earlier run would have left it."""
        for slide in slides:
            at = destination(SITE, "", slide)
            await self.journal.record_sent(at.place, self.journal.signature(slide))
            self.core.there.add(at.path)

    def prefilter(
        self, slides: Iterable[Slide], deadline: float | None = None, site: Site = SITE, **options: Any
    ) -> KnownSlideFilter:
        slide_list = SlideList(SiteChoices([site], 0.0))
        found = list(slides)
        slide_list.write(found)
        slide_list.admit(len(found), 0)
        slide_list.finish()
        clock = self.clock
        context = SimpleNamespace(
            options=Options(**{"sources": (Path("/cases"),), **options}),
            journal=self.journal,
            clock=clock,
            deadline=deadline,
            slide_list=slide_list,
        )
        breaker = CircuitBreaker(clock, 0, None, lambda *_: None, lambda: False)
        remote = RemoteListing(cast(PmaCore, self.core), clock)
        recheck = Recheck(site, cast(PmaCore, self.core), self.journal, clock, context.options.recheck, 1000)
        return KnownSlideFilter(
            site, cast(Any, context), breaker, remote, recheck, cast(Any, self), lambda: self.far, SiteGate(site, None)
        )

    async def slides_known(self, known: Sequence[KnownSlide]) -> None:
        """As SiteEvents."""
        for slide, _, decision in known:
            self.known[slide.path] = decision.action.value

    def slide_excluded(self, slide: Slide) -> None:
        """As SiteEvents."""
        self.excluded.append(slide.path)

    async def left(self, slides: Iterable[Slide], **options: Any) -> set[str]:
        """What comes through; every slide is either known or comes through, once."""
        everything = list(slides)
        prefilter = self.prefilter(everything, **options)
        left: list[str] = []

        async def put(slide: Slide) -> None:
            left.append(slide.path)

        await prefilter.run(put)
        assert sorted([*left, *self.known]) == sorted(slide.path for slide in everything)
        return set(left)


async def nothing(slide: Slide) -> None:
    """Nothing is to come through."""
    raise AssertionError(slide.path)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal(tmp_path / "state")
    yield Bench(journal)
    journal.close()


def many(folders: int, slides: int) -> list[Slide]:
    return [make(f"case{folder}/{number}.svs") for folder in range(folders) for number in range(slides)]


async def test_known_slides_cost_one_listing_a_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert set(bench.known.values()) == {"skip"}
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
    slides = many(folders=60, slides=4)
    await bench.replicated(slides)
    bench.far, clock = far, bench.clock
    bench.core.answer = lambda _: clock.sleep(seconds)
    await clock.run(asyncio.create_task(bench.left(slides)))
    assert bench.core.most_at_once == most
    assert set(bench.known.values()) == {"skip"}


async def test_listings_that_hang_hold_up_few_others(bench: Bench) -> None:
    slides = many(folders=60, slides=20)
    await bench.replicated(slides)
    hanging = asyncio.Event()

    async def answer(folder: str) -> None:
        if folder in ("Slides/in/case0", "Slides/in/case1"):
            await hanging.wait()

    bench.core.answer = answer
    prefilter = bench.prefilter(slides)
    running = asyncio.create_task(prefilter.run(nothing))

    async def others() -> None:
        while len(bench.known) < 1100:
            await asyncio.sleep(0)

    await bench.clock.run(asyncio.create_task(others()))
    hanging.set()
    await running
    assert len(bench.known) == 1200


async def test_uncertain_slides_pass_the_filter(bench: Bench) -> None:
    slides = [make(f"{name}.svs") for name in ("same", "changed", "gone", "broken", "sending", "foreign")]
    same, changed, gone, broken, sending, foreign = slides
    await bench.replicated([same, changed, gone, broken])
    bench.core.there.remove("Slides/in/gone.svs")
    bench.core.there |= {"Slides/in/foreign.svs", "Slides/in/sending.svs"}
    await bench.journal.record_broken(destination(SITE, "", broken).place, bench.journal.signature(broken))
    await bench.journal.record_announced(
        RemotePath(SITE.url, "Slides/in/sending.svs"), bench.journal.signature(sending), 1, "{}"
    )
    found = [same, make("changed.svs", size=11), gone, broken, sending, foreign]
    assert await bench.left(found) == {f"{name}.svs" for name in ("changed", "gone", "broken", "sending", "foreign")}


async def test_a_dry_run_is_certain_about_new_slides_too(bench: Bench) -> None:
    here, new, broken = make("x/here.svs"), make("x/new.svs"), make("x/broken.svs")
    await bench.replicated([here, broken])
    await bench.journal.record_broken(destination(SITE, "", broken).place, bench.journal.signature(broken))
    assert await bench.left([here, new, broken], dry_run=True) == {"x/broken.svs"}
    assert bench.known == {"x/here.svs": "skip", "x/new.svs": "send"}


@pytest.mark.parametrize("options", [{"verify": Verify.FINGERPRINT}, {"verify": Verify.DEEP}, {"verify_only": True}])
async def test_slides_to_be_verified_pass_the_filter(bench: Bench, options: dict[str, Any]) -> None:
    slides = many(2, 5)
    await bench.replicated(slides)
    assert len(await bench.left(slides, **options)) == 10
    assert not bench.core.listed


async def test_when_the_time_is_over_nothing_is_asked(bench: Bench) -> None:
    slides = many(2, 5)
    await bench.replicated(slides)
    assert len(await bench.left(slides, deadline=-1.0)) == 10
    assert not bench.core.listed


async def test_a_site_that_is_away_is_for_the_attempts_to_find_out(bench: Bench) -> None:
    slides = many(2, 5)
    await bench.replicated(slides)
    bench.core.away = True
    assert len(await bench.left(slides)) == 10


async def test_an_error_while_a_slide_is_reported_is_raised(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slides = many(1, 5)
    await bench.replicated(slides)
    prefilter = bench.prefilter(slides)

    async def fail(known: Sequence[KnownSlide]) -> None:
        raise Unreachable("cannot write the audit file")

    monkeypatch.setattr(bench, "slides_known", fail)
    with pytest.raises(Unreachable, match="audit"):
        await prefilter.run(nothing)


async def test_few_slides_are_read_before_the_first_is_taken(bench: Bench) -> None:
    """Slides of many files are large things to hold."""
    prefilter = bench.prefilter(make(f"{number}.svs", files=600) for number in range(100))
    put, full = asyncio.Semaphore(1), asyncio.Event()

    async def wait(slide: Slide) -> None:
        if put.locked():
            full.set()
        await put.acquire()

    running = asyncio.create_task(prefilter.run(wait))
    await full.wait()
    await bench.journal.known(SITE.url, [])  # the chunks have got their answers
    await asyncio.sleep(0)
    assert prefilter._cursor._next <= 1 + 8 * -(-CHUNK_FILES // 600)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_a_site_does_not_take_of_a_place_is_said_so_that_nothing_is_kept_for_it(bench: Bench) -> None:
    slides = [make(name) for name in ("a.tif", "b.svs", "c.tif", "d.svs", "e.tif")]
    site = SITE.model_copy(update={"exclude": ("*.tif",)})
    place = Place(site.model_copy(update={"name": "b"}), "Slides/b", "b:")
    for source, excluded in ((place, ["a.tif", "c.tif", "e.tif"]), (Path("/cases"), [])):
        bench.excluded.clear()
        left: list[str] = []

        async def put(slide: Slide, left: list[str] = left) -> None:
            left.append(slide.path)

        await bench.prefilter(slides, site=site, sources=(source,)).run(put)
        assert (left, bench.excluded) == (["b.svs", "d.svs"], excluded)
