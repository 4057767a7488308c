"""Which slides that the journal knows to be there are looked at again, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from support.clocks import FakeClock
from support.slides import make_slide

from pmarep.engine.site.recheck import AT_ONCE, Recheck
from pmarep.pmacore import PmaCore, RemoteFile, Unreachable
from pmarep.sites import Site
from pmarep.state.journal import Journal
from pmarep.state.records import RemotePath

SITE = Site(name="a", url="http://pma.example/", username="u", target="Slides/in")
DAY = 86400.0
PERIOD = 7 * DAY
SLIDES = 70


class Calendar(FakeClock):
    """`day` is what it says, in days since the slides were sent."""

    def __init__(self, began: float) -> None:
        super().__init__()
        self.began, self.day = began, 0.0

    def local(self) -> datetime:
        return datetime.fromtimestamp(self.began + self.day * DAY, UTC)


class FakeCore:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sizes: dict[str, int] = {}
        self.away = False

    async def slide_files(self, path: str) -> list[RemoteFile]:
        self.asked.append(path)
        if self.away:
            raise Unreachable("http://pma.example/ cannot be reached")
        return [RemoteFile.read({"Path": path, "Size": self.sizes.get(path, 1)}, "GetFilenames")]


class Nights:
    """One run after the other, over the same slides."""

    def __init__(self, journal: Journal, began: float) -> None:
        self.journal = journal
        self.clock = Calendar(began)
        self.core = FakeCore()
        self.budget = 1000
        self.slides = [make_slide(f"{n:03}.svs", 1) for n in range(SLIDES)]
        self.paths = [f"Slides/in/{slide.path}" for slide in self.slides]

    async def run(self, day: float, period: float | None = PERIOD) -> tuple[list[str], set[str], int]:
        """What was looked at, what was wrong, and what was overdue."""
        self.clock.day = day
        self.core.asked = []
        recheck = Recheck(SITE, cast(PmaCore, self.core), self.journal, self.clock, period, self.budget)
        wrong: set[str] = set()
        for start in range(0, SLIDES, 20):
            chunk = list(zip(self.slides, self.paths, strict=True))[start : start + 20]
            due = await recheck.due([path for _, path in chunk])
            wrong |= await recheck.differing([one for one in chunk if one[1] in due])
        return self.core.asked, wrong, recheck.overdue


@pytest.fixture
async def nights(tmp_path: Path) -> AsyncIterator[Nights]:
    journal = Journal(tmp_path / "state")
    made = Nights(journal, 0.0)
    for path in made.paths:
        await journal.record_sent(RemotePath(SITE.url, path), "sig")
    looks = await journal.check_summary(SITE.url, SITE.target)
    assert looks.slides == SLIDES
    assert looks.first is not None
    made.clock.began = looks.first
    yield made
    journal.close()


async def test_each_is_seen_once_in_the_period_a_share_in_each_night(nights: Nights) -> None:
    last = dict.fromkeys(nights.paths, 0)
    for night in range(1, 30):
        asked, wrong, overdue = await nights.run(night)
        assert not wrong
        assert not overdue
        assert len(asked) <= 2 * SLIDES / 7
        last |= dict.fromkeys(asked, night)
        assert night - min(last.values()) <= 7


async def test_hourly_runs_recheck_each_slide_once_a_week(nights: Nights) -> None:
    asked = [path for hour in range(1, 7 * 24) for path in (await nights.run(hour / 24))[0]]
    assert 0.8 * SLIDES <= len(asked) <= SLIDES
    assert len(set(asked)) == len(asked)


async def test_a_run_after_a_long_pause_rechecks_every_slide(nights: Nights) -> None:
    assert len((await nights.run(5))[0]) == SLIDES
    assert len((await nights.run(40))[0]) == SLIDES


async def test_there_is_a_limit_and_what_it_leaves_is_reported(nights: Nights) -> None:
    nights.budget = 25
    seen: list[str] = []
    for night, late in ((30, 45), (31, 20), (32, 0)):
        asked, _, overdue = await nights.run(night)
        assert overdue == late
        seen += asked
    assert set(seen) == set(nights.paths)


async def test_slides_that_are_no_longer_at_the_source_take_no_turns(nights: Nights) -> None:
    """They are never looked at, and so the oldest for ever."""
    gone, nights.slides, nights.paths = nights.paths[:40], nights.slides[40:], nights.paths[40:]
    last = dict.fromkeys(nights.paths, 0)
    count = len(nights.paths)
    for night in range(1, 30):
        nights.clock.day = night
        nights.core.asked = []
        recheck = Recheck(SITE, cast(PmaCore, nights.core), nights.journal, nights.clock, PERIOD, nights.budget)
        chunk = list(zip(nights.slides, nights.paths, strict=True))
        due = await recheck.due(nights.paths)
        await recheck.differing([one for one in chunk if one[1] in due])
        assert not set(nights.core.asked) & set(gone)
        last |= dict.fromkeys(nights.core.asked, night)
        assert night - min(last.values()) <= 7
    assert len(last) == count


async def test_differing_slides_are_rechecked_in_the_next_run_too(nights: Nights) -> None:
    nights.core.sizes[nights.paths[3]] = 100
    for day in (7, 7.01):
        assert (await nights.run(day))[1] == {nights.paths[3]}


async def test_nothing_is_rechecked_without_the_option(nights: Nights) -> None:
    assert await nights.run(100, None) == ([], set(), 0)


async def test_trouble_at_the_site_ends_it(nights: Nights) -> None:
    nights.core.away = True
    asked, wrong, _ = await nights.run(100)
    assert not wrong
    assert len(asked) <= AT_ONCE
    nights.core.away = False
    assert len((await nights.run(100.1))[0]) == SLIDES


async def test_slides_that_were_just_sent_are_not_rechecked(nights: Nights) -> None:
    await nights.run(100)
    await nights.journal.record_broken(RemotePath(SITE.url, nights.paths[0]), "sig")
    assert (await nights.journal.check_summary(SITE.url, SITE.target)).slides == SLIDES - 1
    await nights.journal.record_sent(RemotePath(SITE.url, nights.paths[0]), "sig")
    found: Any = await nights.journal.not_checked_since(SITE.url, nights.paths, nights.clock.began + DAY)
    assert set(found) == {nights.paths[0]}
