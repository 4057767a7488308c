"""What is still being written waits aside: real files, and a clock that needs no time."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.clocks import JumpingClock
from support.corpus import tiny_tiff, tree, write_mirax, write_ndpis, write_vsi

from pmarep.engine.discovery.producer import DiscoveryListener, SlideProducer
from pmarep.engine.discovery.slide_list import SiteSlides, SlideList
from pmarep.engine.options import Options
from pmarep.sites import Site
from pmarep.sites.site_choices import SiteChoices
from pmarep.slides import LeftOut, Why
from pmarep.slides.shard import Shard

HOUR = 3600.0


class EventfulClock(JumpingClock):
    """At each jump something happens. `slept`: how long somebody slept each time."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        super().__init__()
        self._start = datetime.now().astimezone()
        self._happens = list(happens)
        self.slept: list[float] = []

    def local(self) -> datetime:
        return self._start + timedelta(seconds=self.now)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds
        if self._happens:
            self._happens.pop(0)()


@dataclass
class Seen:
    """How a producer went. `first` and `at_start`: slides that sites could have, and totals, after the walk.

    `excluded`: what the site does not take, after the walk and in the end.
    """

    first: list[str] = field(default_factory=list)
    at_start: tuple[int, int] = (0, 0)
    slides: list[str] = field(default_factory=list)
    bytes: int = 0
    total: int = 0
    problems: list[LeftOut] = field(default_factory=list)
    waiting: list[tuple[int, float]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    error: str | None = None
    excluded: list[int] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, tuple[Why, str]]:
        return {item.path: (item.why, item.detail) for item in self.problems}


def gather(
    *sources: Path,
    clock: EventfulClock | None = None,
    busy_rounds: int = 0,
    deadline: float | None = None,
    site: Site | None = None,
    **options: Any,
) -> Seen:
    """A whole producer. For so many looks, sites have other work; then they are idle."""
    clock = clock or EventfulClock()
    seen = Seen()
    left = [busy_rounds]

    def idle() -> bool:
        left[0] -= 1
        return left[0] < 0

    async def go() -> None:
        slide_list = SlideList(SiteChoices([] if site is None else [site], 0.0))
        listener = DiscoveryListener(
            seen.problems.append, lambda slides, seconds: seen.waiting.append((slides, round(seconds, 3)))
        )
        producer = SlideProducer(Options(sources=sources, **options), slide_list, clock, listener)
        await producer.walk()
        await asyncio.sleep(0)
        assert not slide_list.complete.is_set()
        seen.first = [(await some(slide_list, index)) for index in range(slide_list.admitted)]
        seen.at_start = len(slide_list), slide_list.bytes
        if site is not None:
            seen.excluded.append(SiteSlides(slide_list, site.name).excluded)
        await producer.watch_unstable(idle, deadline)
        assert slide_list.complete.is_set()
        seen.slides = [(await some(slide_list, index)) for index in range(slide_list.admitted)]
        if site is not None:
            seen.excluded.append(SiteSlides(slide_list, site.name).excluded)
        seen.total, seen.bytes, seen.error = len(slide_list), slide_list.bytes, producer.error
        producer.close()
        slide_list.close()

    asyncio.run(go())
    seen.slept = clock.slept
    return seen


async def some(slide_list: SlideList, index: int) -> str:
    assert await slide_list.has(index)
    return slide_list.found(index).path


def age(folder: Path, seconds: float, *names: str) -> None:
    """Sets the times of some files, or of a folder and everything in it."""
    now = datetime.now().timestamp()
    for path in [folder / name for name in names] or [folder, *folder.rglob("*")]:
        os.utime(path, (now - seconds, now - seconds))


def grow(path: Path) -> Callable[[], None]:
    def more() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    return more


def test_old_slides_go_at_once_and_young_ones_after_ten_seconds(tmp_path: Path) -> None:
    tree(tmp_path, "a-recent.svs", "old.svs", "other.txt", content=b"12345")
    write_mirax(tmp_path / "b-old.mrxs")
    age(tmp_path, HOUR)
    (tmp_path / "a-recent.svs").write_bytes(b"1234567")
    (tmp_path / "recent-other.txt").write_bytes(b"x")
    seen = gather(tmp_path)
    assert seen.first == ["b-old.mrxs", "old.svs"]
    assert seen.slides == ["b-old.mrxs", "old.svs", "a-recent.svs"]
    assert seen.at_start == (seen.total, seen.bytes)
    assert seen.total == 3
    assert (seen.waiting, seen.slept) == ([(1, 10.0)], [10.0])
    assert seen.problems == []


def test_where_nothing_is_young_nothing_is_waited_for(tmp_path: Path) -> None:
    write_mirax(tmp_path / "m.mrxs")
    write_mirax(tmp_path / "broken.mrxs")
    (tmp_path / "broken" / "Index.dat").unlink()
    age(tmp_path, 61)
    (tmp_path / "recent-other.txt").write_bytes(b"x")
    age(tmp_path, 61, ".")
    seen = gather(tmp_path)
    assert (seen.slides, seen.slept, seen.waiting) == (["m.mrxs"], [], [])
    assert seen.reasons == {"broken.mrxs": (Why.INCOMPLETE, "missing: broken/Index.dat")}


@pytest.mark.parametrize("how", [{"settle": 0}, {"dry_run": True}, {"verify_only": True}])
def test_where_it_is_not_wanted_nothing_is_waited_for(tmp_path: Path, how: dict[str, Any]) -> None:
    tree(tmp_path, "recent.svs")
    write_mirax(tmp_path / "broken.mrxs")
    (tmp_path / "broken" / "Index.dat").unlink()
    seen = gather(tmp_path, **how)
    assert (seen.first, seen.slept, seen.waiting) == (["recent.svs"], [], [])
    assert set(seen.reasons) == {"broken.mrxs"}


@pytest.mark.parametrize(("settle", "waits"), [(None, []), (30.0, []), (90.0, []), (91.0, [91.0]), (600.0, [600.0])])
def test_files_younger_than_the_time_that_was_asked_for_are_watched(
    tmp_path: Path, settle: float | None, waits: list[float]
) -> None:
    tree(tmp_path, "a.svs")
    age(tmp_path, 90.5)
    seen = gather(tmp_path, settle=settle)
    assert (seen.slides, seen.slept) == (["a.svs"], waits)


def test_a_time_from_the_future_is_sent_if_it_stands_still(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs")
    age(tmp_path, -400 * 24 * HOUR)
    assert gather(tmp_path).slides == ["a.svs"]


def test_changing_slides_are_looked_at_again_while_sites_have_work(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", "b.svs")
    clock = EventfulClock(grow(tmp_path / "a.svs"), grow(tmp_path / "a.svs"), lambda: None)
    seen = gather(tmp_path, clock=clock, busy_rounds=100)
    assert (seen.slides, seen.slept, seen.problems) == (["b.svs", "a.svs"], [10.0] * 3, [])
    assert seen.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert seen.total == 2
    assert seen.waiting == [(2, 10.0), (1, 10.0)]  # said once as long as nothing is new


def test_slides_that_keep_changing_are_left_for_the_next_run(tmp_path: Path) -> None:
    """One period passes in which no site has anything else to do, and no more."""
    tree(tmp_path, "a.svs", "b.svs", "c.svs")
    clock = EventfulClock(*[grow(tmp_path / "b.svs") for _ in range(50)])
    # "idle" is asked once before each period; b.svs stays, once a.svs and c.svs have been sent.
    seen = gather(tmp_path, clock=clock, busy_rounds=5)
    assert seen.slides == ["a.svs", "c.svs"]
    assert seen.slept == [10.0] * 6
    assert (seen.total, seen.bytes) == (2, 2)
    (reason,) = seen.problems
    assert (reason.path, reason.why) == ("b.svs", Why.UNFINISHED)
    assert reason.why.is_problem
    assert reason.detail == "its files changed while they were watched; push again when it is finished"


def write_late(folder: Path) -> Callable[[], object]:
    """A MIRAX slide without its index, and what brings the index."""
    write_mirax(folder / "m.mrxs")
    index = folder / "m" / "Slidedat.ini"
    content = index.read_bytes()
    index.unlink()
    return lambda: index.write_bytes(content)


def test_an_index_that_comes_last_makes_the_slide_complete(tmp_path: Path) -> None:
    clock = EventfulClock(grow(tmp_path / "m" / "Data0000.dat"), write_late(tmp_path))
    seen = gather(tmp_path, clock=clock, busy_rounds=100)
    assert (seen.slides, seen.problems) == (["m.mrxs"], [])
    assert seen.at_start == (0, 0)
    assert (seen.total, seen.bytes) == (1, sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()))
    assert seen.slept == [10.0] * 3  # growing, complete, the same again


def test_an_old_slide_to_which_something_is_added_is_young(tmp_path: Path) -> None:
    """Its main file was written an hour ago, and the scanner is still at its data."""
    finish = write_late(tmp_path)
    age(tmp_path, HOUR)
    grow(tmp_path / "m" / "Data0000.dat")()
    assert gather(tmp_path, clock=EventfulClock(finish), busy_rounds=9).slides == ["m.mrxs"]


def test_an_incomplete_slide_that_stands_still_is_incomplete(tmp_path: Path) -> None:
    write_late(tmp_path)
    seen = gather(tmp_path)
    assert seen.reasons == {"m.mrxs": (Why.INCOMPLETE, "missing: m/Slidedat.ini")}
    assert seen.slept == [10.0]


def test_an_incomplete_slide_that_changes_says_both(tmp_path: Path) -> None:
    write_late(tmp_path)
    seen = gather(tmp_path, clock=EventfulClock(grow(tmp_path / "m" / "Data0000.dat")))
    ((why, detail),) = seen.reasons.values()
    assert why is Why.UNFINISHED
    assert detail == (
        "missing: m/Slidedat.ini, and its files changed while they were watched; push again when it is finished"
    )


def test_a_main_file_that_comes_last(tmp_path: Path) -> None:
    write_mirax(tmp_path / "deep" / "m.mrxs")
    main = tmp_path / "deep" / "m.mrxs"
    content = main.read_bytes()
    main.unlink()
    seen = gather(tmp_path, clock=EventfulClock(lambda: main.write_bytes(content)), busy_rounds=9)
    assert (seen.slides, seen.problems) == (["deep/m.mrxs"], [])
    main.unlink()
    assert gather(tmp_path).reasons == {"deep/m": (Why.INCOMPLETE, "the main file m.mrxs is missing")}


def test_files_that_come_while_it_waits_belong_to_it(tmp_path: Path) -> None:
    write_vsi(tmp_path / "v.vsi")
    late = tmp_path / "_v_" / "stack10002" / "frame_t.ets"

    def more() -> None:
        late.parent.mkdir()
        late.write_bytes(b"SIS\0more")

    seen = gather(tmp_path, clock=EventfulClock(more), busy_rounds=9)
    assert seen.slides == ["v.vsi"]
    assert seen.bytes == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert seen.slept == [10.0, 10.0]


def test_a_set_to_whose_folder_files_are_still_coming(tmp_path: Path) -> None:
    """Its index is old, and so are the pictures that are there: only the folder says that something is going on."""
    write_ndpis(tmp_path / "n.ndpis")
    age(tmp_path, HOUR)
    missing = tmp_path / "n-FITC.ndpi"
    content = missing.read_bytes()
    missing.unlink()
    seen = gather(tmp_path, clock=EventfulClock(lambda: missing.write_bytes(content)), busy_rounds=9)
    assert (seen.slides, seen.problems) == (["n.ndpis"], [])


def test_slides_that_vanish_while_they_wait_are_reported(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", "b.svs")
    seen = gather(tmp_path, clock=EventfulClock((tmp_path / "a.svs").unlink), busy_rounds=9)
    assert seen.slides == ["b.svs"]
    ((path, (why, detail)),) = seen.reasons.items()
    assert (path, why) == ("a.svs", Why.INCOMPLETE)
    assert "gone" in detail


def half_written(folder: Path, name: str = "8") -> Callable[[], None]:
    """Write an image set whose index does not name the third file yet; return what completes it."""
    index = write_ndpis(folder / f"{name}.ndpis")
    whole = index.read_bytes()
    index.write_bytes(whole[: whole.index(b"Image2")])

    def complete() -> None:
        index.write_bytes(whole)

    return complete


def test_a_file_that_the_rest_of_an_index_claims_is_no_slide_of_its_own(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", "z.svs")
    seen = gather(tmp_path, clock=EventfulClock(half_written(tmp_path)), busy_rounds=100)
    assert (sorted(seen.slides), seen.total, seen.problems) == (["8.ndpis", "a.svs", "z.svs"], 3, [])


def test_a_file_that_the_index_of_another_shard_claims_is_no_slide_of_its_own(tmp_path: Path) -> None:
    name = next(n for n in map(str, range(100)) if Shard(1, 2).has(f"{n}-TRITC.ndpi") and Shard(2, 2).has(f"{n}.ndpis"))
    seen = gather(tmp_path, clock=EventfulClock(half_written(tmp_path, name)), busy_rounds=100, shard=Shard(1, 2))
    assert (seen.slides, seen.total, seen.problems) == ([], 0, [])


def test_a_file_that_belongs_to_a_slide_which_nobody_has_found_is_told(tmp_path: Path) -> None:
    tree(tmp_path, "changing.svs")

    def comes() -> None:
        grow(tmp_path / "b" / "m.mrxs")()
        write_ndpis(tmp_path / "b" / "new.ndpis", names=["a.ndpi"])

    write_mirax(tmp_path / "b" / "m.mrxs")
    (tmp_path / "b" / "a.ndpi").write_bytes(tiny_tiff(3000))
    seen = gather(tmp_path, clock=EventfulClock(comes), busy_rounds=100)
    assert sorted(seen.slides) == ["b/m.mrxs", "changing.svs"]
    words = "belongs to new.ndpis by now, which came while its folder was read; push again"
    assert seen.reasons == {"b/a.ndpi": (Why.UNFINISHED, words)}


def test_a_picture_that_turns_out_to_be_part_of_a_set_is_not_sent_alone(tmp_path: Path) -> None:
    tree(tmp_path, "n-DAPI.ndpi", "n-FITC.ndpi")
    seen = gather(tmp_path, clock=EventfulClock(lambda: write_ndpis(tmp_path / "n.ndpis")), busy_rounds=9)
    assert seen.slides == []
    assert {path: why for path, (why, _) in seen.reasons.items()} == {
        "n-DAPI.ndpi": Why.UNFINISHED,
        "n-FITC.ndpi": Why.UNFINISHED,
    }
    assert all("n.ndpis" in detail for _, detail in seen.reasons.values())


@contextmanager
def held(path: Path) -> Iterator[None]:
    with path.open("ab"):
        yield


@pytest.mark.skipif(sys.platform not in ("linux", "win32"), reason="cannot be asked on this platform")
def test_slides_that_another_program_has_open_are_unstable(tmp_path: Path) -> None:
    write_mirax(tmp_path / "m.mrxs")
    tree(tmp_path, "a.svs")
    with held(tmp_path / "m" / "Data0001.dat"):
        seen = gather(tmp_path)
    assert seen.slides == ["a.svs"]
    ((path, (why, detail)),) = seen.reasons.items()
    assert (path, why) == ("m.mrxs", Why.UNFINISHED)
    assert detail == "Data0001.dat is open for writing in another program; push again when it is finished"
    assert gather(tmp_path).slides == ["a.svs", "m.mrxs"]


def test_the_end_of_the_time_ends_the_waiting(tmp_path: Path) -> None:
    """--max-duration: nothing could be begun by the time it is known to stand still."""
    tree(tmp_path, "a.svs", "old.svs")
    age(tmp_path, HOUR, "old.svs")
    seen = gather(tmp_path, deadline=9.5)
    assert (seen.slides, seen.slept, seen.total) == (["old.svs"], [], 1)
    assert {path: why for path, (why, _) in seen.reasons.items()} == {"a.svs": Why.UNFINISHED}
    assert gather(tmp_path, deadline=10.5).slides == ["old.svs", "a.svs"]


def test_of_two_sources_the_first_has_the_name_even_if_it_waits(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "1", "a.svs", "b.svs"), tree(tmp_path / "2", "A.svs", "c.svs")
    age(second, HOUR)
    seen = gather(first, second)
    assert seen.slides == ["c.svs", "a.svs", "b.svs"]
    assert seen.reasons == {"A.svs": (Why.BAD_NAME, f"{first} has a file of this name too; push them apart")}


def test_names_that_clash_only_after_the_wait(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tree(tmp_path / "2", "m/Index.svs")
    finish = write_late(first)
    index = first / "m" / "Slidedat.ini"

    def come() -> None:
        finish()
        (first / "m" / "Index.svs").write_bytes(b"x")
        index.write_text(index.read_text("utf-8-sig").replace("Index.dat", "Index.svs"))

    age(second, HOUR)
    seen = gather(first, second, clock=EventfulClock(come), busy_rounds=9)
    assert seen.slides == ["m/Index.svs"]
    assert seen.reasons["m.mrxs"] == (Why.BAD_NAME, f"{second} has a file of this name too; push them apart")


def test_more_than_one_batch(tmp_path: Path) -> None:
    names = [f"{number:04}.svs" for number in range(1000)]
    tree(tmp_path, *names, "x.svs")
    old = [name for name in names if name[3] in "05"]
    age(tmp_path, HOUR, *old)
    seen = gather(tmp_path, clock=EventfulClock(grow(tmp_path / "0501.svs")))
    assert seen.first == old
    assert seen.at_start == (1001, 1001)
    still = [name for name in [*names, "x.svs"] if name not in old and name != "0501.svs"]
    assert seen.slides == [*old, *still, "0501.svs"]
    assert (seen.total, seen.bytes, seen.waiting) == (1001, 1005, [(801, 10.0), (1, 10.0)])


def test_each_slide_and_each_problem_is_of_one_shard(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{number}.svs" for number in range(20)), *(f"torn {number}.vsi" for number in range(10)))
    age(tmp_path, HOUR)
    for name in ("3.svs", "4.svs", "5.svs"):
        (tmp_path / name).write_bytes(b"recent")
    whole = gather(tmp_path)
    shards = [gather(tmp_path, shard=Shard(number, 3)) for number in (1, 2, 3)]
    assert sorted(path for shard in shards for path in shard.slides) == sorted(whole.slides)
    assert sorted(path for shard in shards for path in shard.reasons) == sorted(whole.reasons)
    assert len(whole.slides) == 20
    assert len(whole.reasons) == 10
    for number, shard in enumerate(shards, 1):
        assert all(map(Shard(number, 3).has, [*shard.slides, *shard.reasons]))
        assert sum(slides for slides, _ in shard.waiting) == sum(f"{name}.svs" in shard.slides for name in "345")


def test_a_slide_that_comes_into_another_shard_meanwhile_is_told(tmp_path: Path) -> None:
    """Its folder alone was of this shard; whether the other one has seen its main file, nobody knows here."""
    name = next(name for name in map(str, range(100)) if Shard(1, 2).has(name) and Shard(2, 2).has(f"{name}.mrxs"))
    write_mirax(tmp_path / f"{name}.mrxs")
    main = (tmp_path / f"{name}.mrxs").read_bytes()
    (tmp_path / f"{name}.mrxs").unlink()

    def comes() -> None:
        (tmp_path / f"{name}.mrxs").write_bytes(main)

    seen = gather(tmp_path, clock=EventfulClock(comes), shard=Shard(1, 2))
    assert seen.slides == []
    (reason,) = seen.reasons.values()
    assert reason[0] is Why.UNFINISHED
    assert "belongs to another shard" in reason[1]


def test_what_a_site_does_not_take_is_counted_once_while_it_waits_and_after(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", "b.svs", "old/c.svs", "old/d.svs")
    age(tmp_path, HOUR, "a.svs", "old/c.svs")
    site = Site(name="t", url="https://tokyo.example/", username="u", target="T", exclude=("old",))
    assert gather(tmp_path, site=site).excluded == [2, 2]
