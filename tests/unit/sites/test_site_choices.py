"""Which slides each site of a run takes, and how many that are while they are being found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pmarep.compare.rows import State, Verdict, judge
from pmarep.compare.table import Entry, FileEntry, SlideTable
from pmarep.engine.discovery.slide_list import SiteSlides, SlideCursor, SlideList
from pmarep.engine.idle_tracker import IdleTracker
from pmarep.events import SlideFinished, SlideStatus
from pmarep.sites import Site
from pmarep.sites.site_choices import SiteChoices
from pmarep.slides import Slide, SlideFile

NOW = 1_000_000_000.0


def site(name: str, **keys: Any) -> Site:
    return Site(name=name, url="http://pma.example/", username="u", target=f"Slides/{name}", **keys)


def slide(path: str, size: int = 5, age: float = 0.0) -> Slide:
    mtime_ns = -1 if age < 0 else int((NOW - age) * 1e9)
    return Slide(path, "", Path("/cases"), (SlideFile(path.rpartition("/")[2], size, mtime_ns),))


def test_a_site_without_keys_takes_all_and_costs_nothing() -> None:
    choices = SiteChoices([site("a"), site("b", min_size="0", include=[], newer_than="off")], NOW)
    assert not choices
    assert choices.mask(slide("a.svs")) == choices.bit("a") == 0


def test_what_is_without_a_date_is_new() -> None:
    choice = SiteChoices([site("a", newer_than="7d")], NOW).of("a")
    assert choice is not None
    assert choice.refusal(slide("a.svs", age=8 * 86400)) == "older than newer_than of the site"
    assert choice.refusal(slide("a.svs", age=6 * 86400)) is None
    assert choice.refusal(slide("a.svs", age=-1)) is None


def test_sites_with_the_same_keys_share_a_look_and_each_is_named() -> None:
    sites = [site("a", exclude=["*.tif"]), site("b"), site("c", exclude=["*.tif"]), site("d", min_size="10")]
    choices = SiteChoices(sites, NOW)
    assert choices.of("a") is choices.of("c")
    assert choices.bit("a") == choices.bit("c")
    slides = [slide("x.svs", 20), slide("y.tif", 20), slide("z.tif", 5)]
    masks = [choices.mask(one) for one in slides]
    assert choices.excluded(slides, masks) == {
        ("a", "matches an exclude of the site"): [1, 2],
        ("c", "matches an exclude of the site"): [1, 2],
        ("d", "smaller than min_size of the site"): [2],
    }


async def test_each_site_sees_its_own_slides_and_totals() -> None:
    choices = SiteChoices([site("all"), site("svs", include=["*.svs"]), site("big", min_size="10")], NOW)
    slides = SlideList(choices)
    found = [slide("a.svs", 5), slide("b.tif", 20), slide("c.tif", 7), slide("d.svs", 30)]
    views = [SiteSlides(slides, name) for name in ("all", "svs", "big")]
    waiting = slide("e.tif", 100)
    slides.expect(1, 100, {choices.mask(waiting): [1, 100]})
    slides.write(found)
    assert [(len(view), view.bytes, view.excluded) for view in views] == [(1, 100, 0), (0, 0, 1), (1, 100, 0)]
    slides.admit(2, 25)
    assert [(len(view), view.bytes, view.admitted) for view in views] == [(3, 125, 2), (1, 5, 1), (2, 120, 1)]
    slides.admit(2, 37)
    slides.expect_no_more()
    slides.finish()
    assert [(len(view), view.bytes, view.excluded) for view in views] == [(4, 62, 0), (2, 35, 2), (2, 50, 2)]
    passed: list[str] = []
    taken = []
    for view in views:
        cursor, names = SlideCursor(view, lambda one: passed.append(one.path)), []
        first = await cursor.take()
        names += [] if first is None else [first.path]
        names += [one.path for one in cursor.take_ready(10, 100)]
        assert await cursor.take() is None
        taken.append(names)
    assert taken == [["a.svs", "b.tif", "c.tif", "d.svs"], ["a.svs", "d.svs"], ["b.tif", "d.svs"]]
    assert passed == ["b.tif", "c.tif", "a.svs", "c.tif"]
    slides.close()


def test_a_site_is_idle_when_it_has_what_it_takes() -> None:
    tracker = IdleTracker(["a", "b"])
    tracker.hear(SlideFinished(site="a", slide="x", status=SlideStatus.SENT))
    assert not tracker.idle(lambda _: 1)
    assert tracker.idle({"a": 1, "b": 0}.__getitem__)


def test_a_side_that_does_not_take_a_slide_misses_nothing() -> None:
    table = SlideTable()
    for side, size in ((0, 7), (1, 7), (3, 8)):
        table.add(side, Entry("a.svs", "", (FileEntry("a.svs", size),)))
    [stored] = list(table.rows())
    row = judge(stored, 4, table.gap_at, ["a", "b", "c", "d"], excluded=lambda side, _: side in (2, 3))
    assert [cell.state for cell in row.cells] == [State.SAME, State.SAME, State.EXCLUDED, State.DIFFERS]
    row = judge(stored[:2], 3, table.gap_at, ["a", "b", "c"], excluded=lambda side, _: side == 2)
    assert row.verdict is Verdict.EXCLUDED
    assert row.verdict.is_fine
    row = judge(stored[:1], 3, table.gap_at, ["a", "b", "c"], excluded=lambda side, _: side == 2)
    assert row.verdict is Verdict.MISSING
    table.close()
