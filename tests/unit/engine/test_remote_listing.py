"""Listings of a site: which are kept, and what is found in them."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import cast

import pytest
from support.clocks import FakeClock

from pmarep.clock import Clock
from pmarep.engine.remote_listing import (
    KEPT_FOLDERS,
    KEPT_LISTINGS,
    KEPT_NAMES,
    LAG_SECONDS,
    LISTING_SECONDS,
    Listing,
    RemoteListing,
)
from pmarep.pmacore import PmaCore, Refused


class FakeCore:
    """A root-directory `R` with so many folders of so many slides each."""

    def __init__(self, folders: int, slides: int) -> None:
        self.names = [f"R/f{number}" for number in range(folders)]
        self._slides = slides
        self.asked: Counter[str] = Counter()

    async def directories(self, path: str) -> list[str]:
        self.asked["in " + path] += 1
        await asyncio.sleep(0)
        return list(self.names) if path == "R" else []

    async def slides(self, path: str) -> list[str]:
        self.asked[path] += 1
        await asyncio.sleep(0)
        return [f"{path}/{number}.svs" for number in range(self._slides)]

    async def create_directory(self, path: str) -> None:
        self.asked["make " + path] += 1
        if path in self.names:
            raise Refused("it exists")
        self.names.append(path)


def remote_of(core: FakeCore, clock: Clock | None = None) -> RemoteListing:
    return RemoteListing(cast(PmaCore, core), clock or Clock())


class Bucket(FakeCore):
    """Its folder goes with the last slide in it, and comes with the next: `shown` says whether, at each question."""

    def __init__(self, *shown: bool) -> None:
        super().__init__(folders=1, slides=1)
        self._shown = list(shown)

    async def directories(self, path: str) -> list[str]:
        return await super().directories(path) if self._shown[0] else []

    async def slides(self, path: str) -> list[str]:
        self._shown.pop(0)
        if not self._shown[0]:
            self._shown[0:1] = self._shown[1:2] or [False]
            raise Refused("The folder R/f0 does not exist")
        return await super().slides(path)


@pytest.mark.parametrize(
    ("shown", "found"), [((True, False), False), ((True, False, True, True), True), ((True, True), True)]
)
async def test_a_folder_of_a_bucket_may_be_gone_for_a_moment(shown: tuple[bool, ...], found: bool) -> None:
    remote = remote_of(Bucket(*shown))
    assert (await remote.slide_in("R/f0", "R/f0/0.svs") is not None) is found


async def test_few_listings_are_kept() -> None:
    core = FakeCore(folders=60, slides=999)
    remote = remote_of(core)
    for _ in range(2):
        for folder in core.names:
            for _ in range(2):
                assert await remote.slide_in(folder, f"{folder}/7.SVS") == f"{folder}/7.svs"
            assert remote._slides._names <= KEPT_NAMES
    assert {core.asked[folder] for folder in core.names} == {2}
    assert core.asked["in R"] == 1
    gc.collect()
    assert not remote._locks  # they are no list of all folders either


async def test_large_listings_do_not_drive_each_other_out() -> None:
    core = FakeCore(folders=KEPT_LISTINGS, slides=KEPT_NAMES)
    remote = remote_of(core)
    for _ in range(3):
        for folder in core.names:
            await remote.listing(folder)
    assert {core.asked[folder] for folder in core.names} == {1}


async def test_a_folder_of_very_many_folders_is_listed_once() -> None:
    core = FakeCore(folders=3 * KEPT_FOLDERS, slides=0)
    remote = remote_of(core)
    for folder in list(core.names):
        await remote.listing(folder)
        await remote.make(folder + "/new")
    assert core.asked["in R"] == 1
    assert len(remote._folders._found) == KEPT_FOLDERS


async def test_a_folder_that_is_wanted_at_once_is_asked_for_once() -> None:
    core = FakeCore(folders=1, slides=3)
    remote = remote_of(core)
    await asyncio.gather(*(remote.slide_in("R/f0", "R/f0/1.svs") for _ in range(20)))
    await asyncio.gather(*(remote.make("R/g/h") for _ in range(20)))
    assert core.asked == {"in R": 1, "R/f0": 1, "make R/g": 1, "make R/g/h": 1}


async def test_a_folder_that_others_make_meanwhile_is_never_taken_for_empty() -> None:
    """Whatever was asked before, and however long ago."""
    core, clock = FakeCore(folders=1, slides=3), FakeClock()
    remote = remote_of(core, clock)
    assert not await remote.exists("R/f1")
    core.names.append("R/f1")  # with its slides
    for now in (0.0, LISTING_SECONDS - 1, 2 * LISTING_SECONDS - 2):
        clock.now = now
        await remote.slide_in("R/f1", "R/f1/1.svs")
        await remote.make("R/f1")
        assert await remote.slide_in("R/f1", "R/f1/1.svs") == "R/f1/1.svs"


async def test_a_folder_that_we_made_is_not_listed_at_once() -> None:
    core, clock = FakeCore(folders=1, slides=3), FakeClock()
    remote = remote_of(core, clock)
    await remote.make("R/new")
    assert await remote.slide_in("R/new", "R/new/1.svs") is None
    assert core.asked["R/new"] == 0
    clock.now = LISTING_SECONDS + 1
    assert await remote.slide_in("R/new", "R/new/1.svs") == "R/new/1.svs"
    assert core.asked["R/new"] == 1


def test_windows_takes_names_for_the_same() -> None:
    listing = Listing(["R/Größe.svs", "R/x.svs", "R/X.svs", "R/y.svs"])
    assert listing.find("R/GRÖSSE.svs") is None  # as on NTFS
    assert listing.find("r/gröẞE.SVS".replace("ẞ", "ß")) == "R/Größe.svs"
    assert listing.find("R/x.svs") == "R/x.svs"  # a bucket can have both
    assert listing.find("R/X.svs") == "R/X.svs"
    assert listing.find("R/X.SVS") in ("R/x.svs", "R/X.svs")
    assert listing.find("R/Y.svs") == "R/y.svs"
    assert listing.find("R/z.svs") is None


async def test_a_folder_that_cannot_be_made_is_waited_for_once() -> None:
    """Not by each of the thousand slides that are to come there, one after the other."""

    class Refusing(FakeCore):
        async def create_directory(self, path: str) -> None:
            raise Refused("the path is too long")

    clock = FakeClock()
    core = Refusing(folders=1, slides=0)
    remote = remote_of(core, clock)

    async def make() -> None:
        for _ in range(100):
            with pytest.raises(Refused, match="too long"):
                await remote.make("R/new")
        core.names.append("R/new")  # somebody else can
        await remote.make("R/new")

    assert await clock.run(asyncio.ensure_future(make())) <= LAG_SECONDS
