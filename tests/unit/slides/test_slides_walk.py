"""The walk: order, links, what cannot be read, names, globs, a single file as source."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import pytest
from support.corpus import tree, wild_names, write_mirax, write_ndpis, write_svs, write_vsi
from support.discovery import discover, refusing, shuffled

from pmarep.errors import UsageError
from pmarep.slides import LeftOut, Slide, Why, find_slides


def test_an_empty_folder(tmp_path: Path) -> None:
    assert discover(tmp_path).things == []


def test_order_is_the_names_own(tmp_path: Path) -> None:
    tree(tmp_path, "b.svs", "A.svs", "a2.svs", "B2/x.svs", "b1/x.svs", "ä.svs", "zz.txt")
    write_mirax(tmp_path / "aa.mrxs")
    tree(tmp_path / "aa", "stranger.txt")
    expected = ["A.svs", "a2.svs", "aa.mrxs", "aa/stranger.txt", "b.svs", "zz.txt", "ä.svs", "b1/x.svs", "B2/x.svs"]
    for seed in range(20):
        assert [thing.path for thing in discover(tmp_path, scandir=shuffled(seed)).things] == expected


def test_the_walk_yields_while_it_walks(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.svs", "b/2.svs")
    found = find_slides(tmp_path)
    assert next(found).path == "a/1.svs"
    tree(tmp_path, "b/3.svs")
    assert [thing.path for thing in found] == ["b/2.svs", "b/3.svs"]


def test_very_deep_folders(tmp_path: Path) -> None:
    """Deeper than Python lets calls be nested: here 200 from where we are, in place of 1000."""
    tree(tmp_path, deep := "d/" * 250 + "x.svs", content=b"")
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 200)
    try:
        found = discover(tmp_path)
    finally:
        sys.setrecursionlimit(before)
    assert found.left == {deep: Why.INCOMPLETE}


class TestLinks:
    def test_to_files_and_folders_are_followed(self, tmp_path: Path) -> None:
        tree(tmp_path / "store", "a.svs", "more/b.svs", content=b"12345")
        cases = tree(tmp_path / "cases")
        (cases / "linked.svs").symlink_to(tmp_path / "store" / "a.svs")
        (cases / "folder").symlink_to(tmp_path / "store" / "more", target_is_directory=True)
        found = discover(tmp_path)
        assert set(found.slides) == {"cases/linked.svs", "cases/folder/b.svs", "store/a.svs", "store/more/b.svs"}
        assert found.slide("cases/linked.svs").size == 5

    def test_loops_are_left_out(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/b/x.svs", "c/y.svs")
        (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a", target_is_directory=True)
        (tmp_path / "a" / "self").symlink_to(".", target_is_directory=True)
        (tmp_path / "a" / "top").symlink_to(tmp_path, target_is_directory=True)
        found = discover(tmp_path)
        assert set(found.slides) == {"a/b/x.svs", "c/y.svs"}
        assert found.left == dict.fromkeys(["a/b/up", "a/self", "a/top"], Why.NOT_A_SLIDE)
        assert "link back" in found.detail("a/self")

    def test_two_folders_that_link_to_each_other_end(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/x.svs", "b/y.svs")
        (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b", target_is_directory=True)
        (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a", target_is_directory=True)
        found = discover(tmp_path)
        assert set(found.slides) == {"a/x.svs", "a/to_b/y.svs", "b/y.svs", "b/to_a/x.svs"}

    def test_broken(self, tmp_path: Path) -> None:
        (tmp_path / "a.svs").symlink_to("gone.svs")
        (tmp_path / "round").symlink_to("round")
        found = discover(tmp_path)
        assert found.left == {"a.svs": Why.UNREADABLE, "round": Why.UNREADABLE}


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.svs", "locked/y.svs", "z.svs")
    found = discover(tmp_path, scandir=refusing("locked"))
    assert set(found.slides) == {"a/x.svs", "z.svs"}
    assert found.left == {"locked": Why.UNREADABLE}
    assert found.detail("locked") == "Permission denied"
    assert discover(tmp_path, scandir=refusing("locked"), exclude=["locked/"]).left == {"locked": Why.EXCLUDED}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_really_cannot_be_read(tmp_path: Path) -> None:
    tree(tmp_path, "locked/y.svs")
    (tmp_path / "locked").chmod(0)
    try:
        assert discover(tmp_path).left == {"locked": Why.UNREADABLE}
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    assert discover(tmp_path, scandir=refusing(tmp_path.name)).left == {".": Why.UNREADABLE}


def test_hidden_and_system_things_are_one_line_each(tmp_path: Path) -> None:
    tree(tmp_path, ".git/a.svs", "$RECYCLE.BIN/b.svs", "System Volume Information/c.svs", "@eaDir/d.svs")
    tree(tmp_path, ".snapshot/daily/e.svs", "Thumbs.db", "desktop.ini", "._f.svs", "g.svs")
    found = discover(tmp_path)
    assert set(found.slides) == {"g.svs"}
    names = [".git", "$RECYCLE.BIN", "System Volume Information", "@eaDir", ".snapshot", "Thumbs.db", "desktop.ini"]
    assert found.left == dict.fromkeys([*names, "._f.svs"], Why.NOT_A_SLIDE)


def test_a_hidden_source_is_meant(tmp_path: Path) -> None:
    assert set(discover(tree(tmp_path / ".cases", "a.svs")).slides) == {"a.svs"}


def test_things_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.svs")
    assert discover(tmp_path).left == {"pipe.svs": Why.UNREADABLE}


class TestNames:
    def test_wild_ones_arrive_as_they_are(self, tmp_path: Path) -> None:
        for name in wild_names():
            tree(tmp_path, f"{name}.svs")
        found = discover(tmp_path)
        assert set(found.slides) == {f"{name}.svs" for name in wild_names()}
        assert found.left == {}

    def test_wild_ones_as_folders_and_sets(self, tmp_path: Path) -> None:
        for number, name in enumerate(wild_names()):
            folder = tmp_path / name
            write_mirax(folder / f"{name}.mrxs", data_files=1, data_size=1, seed=number)
            write_ndpis(folder / "i.ndpis", names=[f"{name}.ndpi"], size=1)
        found = discover(tmp_path)
        for name in wild_names():
            assert found.slides[f"{name}/{name}.mrxs"][0] == f"{name}/Slidedat.ini"
            if name == name.strip():  # an INI file cannot hold blanks around a value
                assert found.slides[f"{name}/i.ndpis"] == [f"{name}.ndpi", "i.ndpis"]
        assert set(found.left) == {f"{name}/i.ndpis" for name in wild_names() if name != name.strip()}

    def test_those_no_server_could_store(self, tmp_path: Path) -> None:
        raw = os.fsencode(tmp_path)
        for name in [b"back\\slash.svs", b"new\nline.svs", b"esc\x1b[31m.svs", b"latin-\xe4.svs", b"bad-\xff.txt"]:
            Path(os.fsdecode(raw + b"/" + name)).write_bytes(b"x")
        found = discover(tmp_path)
        assert found.slides == {}
        assert found.left == {
            "back\\slash.svs": Why.BAD_NAME,
            "new\\x0aline.svs": Why.BAD_NAME,
            "esc\\x1b[31m.svs": Why.BAD_NAME,
            "latin-\\xe4.svs": Why.BAD_NAME,
            "bad-\\xff.txt": Why.NOT_A_SLIDE,
        }
        for path in found.left:
            path.encode()
        assert "no text" in found.detail("latin-\\xe4.svs")

    def test_a_bad_folder_matters_where_there_is_a_slide(self, tmp_path: Path) -> None:
        tree(tmp_path, "a\tb/x.svs", "c\td/readme.txt")
        assert discover(tmp_path).left == {"a\\x09b/x.svs": Why.BAD_NAME, "c\\x09d/readme.txt": Why.NOT_A_SLIDE}

    def test_two_that_are_one_on_windows(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.svs", "A.svs", "ä.svs", "Ä.svs")
        found = discover(tmp_path)
        assert set(found.slides) == {"A.svs", "Ä.svs"}
        assert found.left == {"a.svs": Why.BAD_NAME, "ä.svs": Why.BAD_NAME}
        assert "A.svs" in found.detail("a.svs")
        assert set(discover(tmp_path, exclude=["[!x].svs"]).slides) == set()

    def test_names_that_are_two_on_windows(self, tmp_path: Path) -> None:
        names = ["straße.svs", "STRASSE.svs", "sıra.svs", "sira.svs", "5µm.svs", "5μm.svs"]
        assert set(discover(tree(tmp_path, *names)).slides) == set(names)

    def test_folders_that_are_one_on_windows(self, tmp_path: Path) -> None:
        tree(tmp_path, "Case/x.svs", "case/X.svs", "case/y.svs", "case/sub/z.svs", "CASE/SUB/z.svs", "other/x.svs")
        found = discover(tmp_path)
        assert set(found.slides) == {"CASE/SUB/z.svs", "Case/x.svs", "case/y.svs", "other/x.svs"}
        assert found.left == {"case/X.svs": Why.BAD_NAME, "case/sub/z.svs": Why.BAD_NAME}

    def test_companion_folders_that_are_one_on_windows(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "x.vsi")
        write_mirax(tmp_path / "_X_.mrxs")
        tree(tmp_path / "_X_", "extra.svs")
        found = discover(tmp_path)
        assert len(found.slides) == 2
        assert set(found.left.values()) == {Why.INCOMPLETE}


class TestPatterns:
    def test_include_and_exclude(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.svs", "b.ndpi", "old/c.svs", "old/deep/d.SVS", "x.txt")
        found = discover(tmp_path, include=["*.svs"], exclude=["old/*"])
        assert set(found.slides) == {"a.svs"}
        left = dict.fromkeys(["b.ndpi", "old/c.svs", "old/deep/d.SVS"], Why.EXCLUDED)
        assert found.left == {**left, "x.txt": Why.NOT_A_SLIDE}

    @pytest.mark.parametrize("pattern", ["old", "old/", "OLD", "/x/old", "**/old", "x/*", "x/**", "!a.svs\nold"])
    def test_an_option_excludes_what_the_same_line_in_a_file_does(self, tmp_path: Path, pattern: str) -> None:
        tree(tmp_path, "old/a.svs", "x/old/b.svs", "x/old/deep/c.svs", "d.svs", "old.svs", "e/old")
        by_option = set(discover(tmp_path, exclude=pattern.split("\n")).slides)
        (tmp_path / ".pmarepignore").write_text(pattern)
        assert by_option == set(discover(tmp_path).slides)
        assert by_option < {"old/a.svs", "x/old/b.svs", "x/old/deep/c.svs", "d.svs", "old.svs"}

    def test_a_slide_is_excluded_once_with_all_its_files(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        write_vsi(tmp_path / "v.vsi")
        write_ndpis(tmp_path / "h.ndpis")
        found = discover(tmp_path, include=["*.svs", "*.ndpi"])
        assert found.slides == {}
        assert found.left == dict.fromkeys(["n.mrxs", "v.vsi", "h.ndpis"], Why.EXCLUDED)

    def test_what_is_excluded_is_no_problem(self, tmp_path: Path) -> None:
        tree(tmp_path, "n.mrxs", "a.svs", "A.svs", "b\n.svs")
        (tmp_path / "dead.svs").symlink_to("gone")
        write_vsi(tmp_path / "v.vsi").unlink()
        found = discover(tmp_path, exclude=["*.*", "**/b?.svs"])
        assert set(found.left.values()) == {Why.EXCLUDED}

    def test_an_excluded_slide_does_not_keep_a_folder_from_a_wanted_one(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        tree(tmp_path, "n.MRXS")
        found = discover(tmp_path, exclude=["nothing"])
        assert found.left == {"n.mrxs": Why.BAD_NAME}
        write_mirax(tmp_path / "_v_.mrxs")
        tree(tmp_path, "v.vsi", "_v_/a.ets")
        assert "v.vsi" in discover(tmp_path, exclude=["_v_.mrxs"]).slides


class TestOneFile:
    @pytest.mark.parametrize(
        ("write", "name", "files"), [(write_mirax, "n.mrxs", 6), (write_vsi, "n.vsi", 4), (write_svs, "n.svs", 1)]
    )
    def test_the_slide_alone(self, tmp_path: Path, write, name: str, files: int) -> None:  # type: ignore[no-untyped-def]
        tree(tmp_path, "other.svs", "sub/more.svs", "n/stranger.svs")
        write(tmp_path / name)
        [slide] = discover(tmp_path / name).things
        assert isinstance(slide, Slide)
        assert (slide.path, slide.folder, len(slide.files)) == (name, tmp_path, files)

    def test_relative_to_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_mirax(tmp_path / "n.mrxs")
        monkeypatch.chdir(tmp_path)
        for source in [Path("n.mrxs"), Path(), Path("./n.mrxs")]:
            [slide] = discover(source).things
            assert isinstance(slide, Slide)
            assert slide.path == "n.mrxs"

    def test_incomplete(self, tmp_path: Path) -> None:
        tree(tmp_path, "n.mrxs")
        [left] = discover(tmp_path / "n.mrxs").things
        assert isinstance(left, LeftOut)
        assert left.why is Why.INCOMPLETE

    def test_the_one_that_is_named_has_the_shared_file(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "a.ndpis", names=["x.ndpi"])
        write_ndpis(tmp_path / "b.ndpis", names=["x.ndpi"])
        assert set(discover(tmp_path / "b.ndpis").slides) == {"b.ndpis"}

    def test_another_that_differs_in_case_does_not_matter(self, tmp_path: Path) -> None:
        tree(tmp_path, "A.svs", "a.svs")
        assert set(discover(tmp_path / "a.svs").slides) == {"a.svs"}

    def test_a_source_that_is_gone_or_no_main_file_is_refused_at_once(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "m.mrxs")
        write_vsi(tmp_path / "v.vsi")
        write_ndpis(tmp_path / "h.ndpis")
        tree(tmp_path, "notes.txt", ".hidden.svs")
        for name, words in {
            "gone.svs": "No such file",
            "gone/": "No such file",
            "notes.txt": "no slide's main file",
            ".hidden.svs": "no slide's main file",
            "h-DAPI.ndpi": "belongs to h.ndpis",
            "m/Data0001.dat": "belongs to m.mrxs",
            "_v_/stack1/frame_t.ets": "belongs to v.vsi",
        }.items():
            with pytest.raises(UsageError, match=words):
                find_slides(tmp_path / name)  # at once, before anything is asked of it

    def test_a_wrong_pattern(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="write / between folders"):
            find_slides(tmp_path, include=["old\\*"])
        with pytest.raises(UsageError, match="empty pattern"):
            find_slides(tmp_path, exclude=[""])
