"""Links that leave the source are not followed unasked: what they lead to may be nobody's to send."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.discovery import discover

from pmarep.slides import LeftOut, Slide, Why, find_again, find_slides, links
from pmarep.slides.links import LinkPolicy, lies_below, real_path_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make links there")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A source beside a store that it has links to."""
    tree(tmp_path / "store", "a.svs", "more/b.svs", "secret.txt", content=b"12345")
    tree(tmp_path / "cases-of-others", "c.svs")
    cases = tree(tmp_path / "cases", "own/d.svs", "own/deep/e.svs")
    (cases / "out.svs").symlink_to(tmp_path / "store" / "a.svs")
    (cases / "folder").symlink_to("../store/more", target_is_directory=True)
    (cases / "all").symlink_to("/", target_is_directory=True)
    (cases / "similar.svs").symlink_to("../cases-of-others/c.svs")
    (cases / "note.txt").symlink_to(tmp_path / "store" / "secret.txt")
    (cases / "in.svs").symlink_to("own/d.svs")
    (cases / "inside").symlink_to(cases / "own" / "deep", target_is_directory=True)
    return cases


def test_links_below_the_source_are_followed_and_others_reported(cases: Path) -> None:
    found = discover(cases)
    assert set(found.slides) == {"in.svs", "inside/e.svs", "own/d.svs", "own/deep/e.svs"}
    problems = dict.fromkeys(["out.svs", "folder", "all", "similar.svs"], Why.LINK)
    assert found.left == {**problems, "note.txt": Why.NOT_A_SLIDE}
    assert all(why.is_problem for why in problems.values())
    store = os.path.realpath(cases.parent / "store")
    assert found.detail("folder") == (
        f"a link that leads out of SRC, which is not followed (--follow-links): {store}/more"
    )


def test_all_are_followed_where_that_is_wanted(cases: Path) -> None:
    (cases / "all").unlink()
    found = [thing for thing in find_slides(cases, follow_links=True) if isinstance(thing, Slide)]
    outside = {"out.svs", "folder/b.svs", "similar.svs"}
    assert {slide.path for slide in found} == outside | {"in.svs", "inside/e.svs", "own/d.svs", "own/deep/e.svs"}


def test_what_is_excluded_is_no_problem(cases: Path) -> None:
    found = discover(cases, exclude=["folder/", "all", "*.svs"])
    assert Why.LINK not in found.left.values()
    (cases / ".pmarepignore").write_text("*.svs\nfolder/\nall/\n")
    assert Why.LINK not in discover(cases).left.values()


def test_a_source_that_is_a_link_itself_is_meant(cases: Path, tmp_path: Path) -> None:
    (tmp_path / "today").symlink_to("cases", target_is_directory=True)
    assert set(discover(tmp_path / "today").slides) == {"in.svs", "inside/e.svs", "own/d.svs", "own/deep/e.svs"}
    assert set(discover(cases / "folder").slides) == {"b.svs"}
    assert set(discover(cases / "out.svs").slides) == {"out.svs"}  # named, and so meant


def test_the_files_of_a_slide(tmp_path: Path) -> None:
    """A part that is not followed is missing, and the link says why."""
    write_mirax(tmp_path / "cases" / "n.mrxs")
    data = tmp_path / "cases" / "n" / "Data0001.dat"
    data.rename(tmp_path / "Data0001.dat")
    data.symlink_to(tmp_path / "Data0001.dat")
    found = discover(tmp_path / "cases")
    assert found.left == {"n.mrxs": Why.INCOMPLETE, "n/Data0001.dat": Why.LINK}
    assert "n/Data0001.dat" in found.detail("n.mrxs")


def test_the_second_look(cases: Path) -> None:
    again = find_again(cases, "in.svs")
    assert isinstance(again, Slide)
    (cases / "in.svs").unlink()
    (cases / "in.svs").symlink_to("../store/a.svs")
    left = find_again(cases, "in.svs")
    assert isinstance(left, LeftOut)
    assert left.why is Why.LINK
    assert isinstance(find_again(cases, "in.svs", follow_links=True), Slide)
    assert isinstance(find_again(cases / "in.svs", "in.svs"), Slide)  # named, and so meant


@pytest.mark.parametrize(
    ("real", "root", "below"),
    [
        ("/a", "/a", True),
        ("/a/b/c", "/a", True),
        ("/ab", "/a", False),
        ("/", "/a", False),
        ("/a/b", "/", True),
        ("/a/b", "/a/b/c", False),
    ],
)
def test_below(real: str, root: str, below: bool) -> None:
    assert lies_below(real, root) is below


def test_the_real_path_of_an_open_file(cases: Path) -> None:
    with (cases / "folder" / "b.svs").open("rb") as file:
        assert real_path_of(file.fileno(), file.name) == os.path.realpath(cases.parent / "store" / "more" / "b.svs")


def test_where_links_may_lead(cases: Path) -> None:
    assert LinkPolicy.for_source(cases).roots == [os.path.realpath(cases)]
    assert LinkPolicy.for_source(cases / "out.svs").roots == [
        os.path.realpath(cases),
        os.path.realpath(cases.parent / "store" / "a.svs"),
    ]


def test_a_source_in_other_letters(cases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that ignores case SRC may be typed otherwise than the kernel calls it."""
    kernel = os.path.realpath(cases).replace("cases", "CASES")
    monkeypatch.setattr(links, "real_path_of", lambda *_: kernel)
    assert LinkPolicy.for_source(cases).roots == [os.path.realpath(cases), kernel]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert lies_below("/Users/a/SLIDES/Gro\u0308ße.svs", "/users/A/slides")
    assert lies_below("/a/Gro\u0308ße/x", "/a/Größe")
