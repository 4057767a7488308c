"""A map of names held against the slides that are there: one walk, all problems, work in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from support.slides import make_slide

from pmarep.engine.discovery import collisions, name_check
from pmarep.engine.discovery.name_check import NameCheck
from pmarep.engine.mirror.source_names import Had, SourceNames
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.name_map import NameMap, NameMapError
from pmarep.slides import LeftOut, Slide, Why

BOOK = "".join(f'[sites.{name}]\nurl = "https://x/"\nusername = "u"\ntarget = "T/{name}"\n' for name in "abc")


def read(folder: Path, *rows: str) -> NameMap:
    file = folder / "names.csv"
    file.write_text("\n".join(("slide,site,to", *rows)), "utf-8")
    return NameMap.read(file, SiteBook.parse(BookText(folder / "sites.toml", BOOK)))


def problems(found: NameMap, things: Sequence[Slide | LeftOut], only: bool = False, sites: str = "ab") -> list[str]:
    with closing(NameCheck(found, tuple(sites), only=only)) as check:
        for thing in things:
            assert check.add(thing) is thing
        try:
            check.finish(complete=True)
        except NameMapError as error:
            return [problem.removeprefix(f"{found.file}, ") for problem in error.problems]
    return []


def excluded(path: str, why: Why = Why.EXCLUDED) -> LeftOut:
    return LeftOut(path, why, "matches an --exclude")


@pytest.mark.parametrize("left_out", [False, True])
def test_a_row_that_could_mean_either_of_two_slides(tmp_path: Path, left_out: bool) -> None:
    """Whichever is found first: the one that it means may be another patient's."""
    found = read(tmp_path, "A.svs,,1.svs")
    twin = excluded("A.svs", Why.BAD_NAME) if left_out else make_slide("A.svs")
    words = (
        "line 2, column 1 (slide): a.svs and A.svs are both there, one name to a server; give one of them another here"
    )
    assert problems(found, [make_slide("a.svs"), twin]) == [words]
    assert problems(read(tmp_path, "A.svs,,1.svs"), [make_slide("A.svs"), excluded("A.svs", Why.BAD_NAME)]) == []


def test_a_slide_that_is_not_there_and_one_that_is_left_out(tmp_path: Path) -> None:
    rows = (
        "x.svs,,1.svs",
        "old/y.svs,a,2.svs",
        "z.svs,a,3.svs",
        "bad/z.svs,,4.svs",
        "n.txt,,5.txt",
        "gone.svs,c,6.svs",
    )
    found = read(tmp_path, *rows)
    left = [excluded("old/"), excluded("bad", Why.UNREADABLE), excluded("n.txt", Why.NOT_A_SLIDE)]
    assert problems(found, [make_slide("z.svs"), *left]) == [
        "line 2, column 1 (slide): there is no slide x.svs in SRC; write it as pmarep slides prints it",
        "line 6, column 1 (slide): n.txt is no slide that is sent: matches an --exclude",
    ]  # and of the last row nothing: its site is not in the run


def test_files_of_two_slides_in_one_place(tmp_path: Path) -> None:
    slides = [make_slide("a.svs"), make_slide("b.svs"), make_slide("own/c.svs"), make_slide("d.vsi", 1, "_d_/x.ets")]
    found = read(tmp_path, "a.svs,,p/q.svs", "b.svs,a,P/Q.svs")
    assert problems(found, slides) == [
        "line 3, column 3 (to): line 2 gives a.svs this place too, at a; choose another",
    ]
    assert problems(read(tmp_path, "b.svs,a,OWN/c.svs"), slides) == [
        "line 2, column 3 (to): own/c.svs is not in the map for a, and has this place under its own name; choose "
        "another, or add it to the map"
    ]
    assert problems(read(tmp_path, "b.svs,a,OWN/c.svs"), slides, only=True) == []
    blank = make_slide(" a.svs")  # another slide, and not the one that the row names
    assert problems(read(tmp_path, "a.svs,,x.svs", "./ a.svs,,y.svs"), [make_slide("a.svs"), blank]) == []
    assert read(tmp_path, "a.svs,,x.svs").of("a").row(" a.svs") is None
    swapped = read(tmp_path, "a.svs,,b.svs", "b.svs,,a.svs")
    assert problems(swapped, slides) == []


def test_a_slide_that_is_found_late_is_said_and_not_sent(tmp_path: Path) -> None:
    found = read(tmp_path, "a.svs,a,late.svs", "b.svs,,c.svs")
    with closing(NameCheck(found, ("a", "b"), only=False)) as check:
        check.add(make_slide("a.svs"))
        check.add(make_slide("b.svs"))
        check.finish(complete=True)
        assert check.add(make_slide("b.svs")) == make_slide("b.svs")
        late = check.add(make_slide("LATE.svs"))
    assert isinstance(late, LeftOut)
    assert (late.why, late.detail) == (Why.BAD_NAME, f"line 2 of {found.file} gives its name to another slide")


def test_a_named_slide_that_is_complete_late_does_not_get_the_place_of_another(tmp_path: Path) -> None:
    found = read(tmp_path, "m.svs,a,x/y.svs", "n.svs,b,z.svs", "q.svs,,p.svs")
    with closing(NameCheck(found, ("a", "b"), only=False)) as check:
        check.add(LeftOut("m.svs", Why.INCOMPLETE, "empty"))
        check.add(LeftOut("q.svs", Why.INCOMPLETE, "empty"))
        check.add(make_slide("n.svs"))
        check.add(make_slide("X/y.svs"))
        check.finish(complete=True)
        late = check.add(make_slide("m.svs"))
        assert check.add(make_slide("p.svs")) == make_slide("p.svs")
        assert isinstance(check.add(make_slide("q.svs")), LeftOut)
    assert isinstance(late, LeftOut)
    assert late.detail == "X/y.svs has its place at a under its own name"


def test_where_a_name_is_that_of_some_sites_only(tmp_path: Path) -> None:
    slides = [make_slide("a.svs"), make_slide("b.svs")]
    assert problems(read(tmp_path, "a.svs,a,1.svs", "b.svs,b,a.svs"), slides) == [
        "line 3, column 3 (to): a.svs is not in the map for b, and has this place under its own name; choose another, "
        "or add it to the map"
    ]
    assert problems(read(tmp_path, "a.svs,,1.svs", "a.svs,a,2.svs", "b.svs,a,1.svs"), slides) == []
    with closing(NameCheck(read(tmp_path, "a.svs,a,b.svs", "b.svs,a,a.svs"), ("a", "b"), only=False)) as check:
        for finished in (False, True):  # and once more, as what is looked at again
            for slide in slides:
                assert check.add(slide) is slide
            if not finished:
                check.finish(complete=True)
        check.count(slides, {("b", "exclude"): [1]})
        assert (check.unmapped("a"), check.unmapped("b")) == (0, 1)


def test_places_of_other_files_and_of_slides_that_are_not_there(tmp_path: Path) -> None:
    vsi = make_slide("d.vsi", 1, "_d_/x.ets")
    vsi = Slide(vsi.path, "cellSens VSI", vsi.folder, vsi.files)
    assert problems(read(tmp_path, "d.vsi,,p/e.vsi", "x.ets,,p/_E_/x.ets"), [vsi, make_slide("x.ets")]) == [
        "line 3, column 3 (to): line 2 gives d.vsi this place too, at a, b; choose another"
    ]
    found = problems(read(tmp_path, "a.svs,,1.svs", "b.svs,,1.SVS"), [])
    assert "line 3, column 3 (to): line 2 gives a.svs this place too, at a, b; choose another" in found


def test_an_incomplete_walk_proves_nothing_missing(tmp_path: Path) -> None:
    with closing(NameCheck(read(tmp_path, "a.svs,,b.svs"), ("a",), only=False)) as check:
        check.finish(complete=False)


def test_work_grows_with_the_rows_and_not_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    keys = collisions.collision_keys

    def counted(slide: Slide) -> list[str]:
        nonlocal made
        made += 1
        return list(keys(slide))

    monkeypatch.setattr(name_check, "collision_keys", counted)
    work = []
    for count in (200, 800):
        made = 0
        rows = [f"{n}.svs,{'' if n % 2 else 'abc'[n % 3]},x/{n}.svs" for n in range(count)]
        assert problems(read(tmp_path, *rows), [make_slide(f"{n}.svs") for n in range(count)], sites="abc") == []
        work.append(made / count)
    assert work[0] == pytest.approx(work[1], rel=0.01)
    assert work[1] <= 2


def test_a_mirror_has_slides_under_their_names_at_the_site(tmp_path: Path) -> None:
    names = read(tmp_path, "a.svs,a,1.svs", "gone.svs,a,2.svs", "c.svs,a,3.svs")
    with closing(SourceNames(names, ("a", "b"))) as had:
        had.add_slides([make_slide("a.svs"), make_slide("c.svs")], {("a", "exclude"): [1]})
        assert [had.has(name, "a") for name in ("1.svs", "a.svs", "2.svs", "3.svs")] == [
            Had.SENT, Had.NOT, Had.LEFT_OUT, Had.LEFT_OUT,
        ]  # fmt: skip
        assert [had.has(name, "b") for name in ("1.svs", "a.svs")] == [Had.NOT, Had.SENT]
