"""`.pmarepignore`, --newer-than and --min-size."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_ndpis, write_vsi
from support.discovery import Discovered, discover

from pmarep.cli.slides.advice import advice
from pmarep.slides import LeftOut, Why, find_slides


def ignoring(folder: Path, *rules: str, encoding: str = "utf-8") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".pmarepignore").write_text("".join(f"{rule}\n" for rule in rules), encoding)


def excluded(found: Discovered) -> set[str]:
    return {path for path, why in found.left.items() if why is Why.EXCLUDED}


class TestRules:
    def test_files_and_folders(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "# not yet", "", "*_draft.svs", "old/", "/top.svs", "2024/**/x.svs")
        tree(tmp_path, "a.svs", "a_draft.svs", "b/a_draft.svs", "old/a.svs", "b/old/deep/a.svs", "top.svs", "b/top.svs")
        tree(tmp_path, "2024/x.svs", "2024/1/2/x.svs", "2024/1/y.svs")
        found = discover(tmp_path)
        assert set(found.slides) == {"a.svs", "b/top.svs", "2024/1/y.svs"}
        assert found.left == dict.fromkeys(
            ["a_draft.svs", "b/a_draft.svs", "old", "b/old", "top.svs", "2024/x.svs", "2024/1/2/x.svs"], Why.EXCLUDED
        )
        assert found.detail("old") == "matches a rule in a .pmarepignore"

    def test_the_file_itself_is_not_mentioned(self, tmp_path: Path) -> None:
        ignoring(tmp_path / "a")
        assert discover(tmp_path).things == []

    def test_an_ignored_folder_is_not_entered(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "old/")
        tree(tmp_path, "old/deep/a.svs", "new/a.svs")
        entered: list[str] = []

        def scandir(path: str):  # type: ignore[no-untyped-def]
            entered.append(Path(path).name)
            return os.scandir(path)

        discover(tmp_path, scandir=scandir)
        assert entered == [tmp_path.name, "new"]

    def test_the_last_rule_decides_and_the_nearest_file(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "*.svs", "!keep.svs")
        ignoring(tmp_path / "a", "!x.svs")
        ignoring(tmp_path / "a" / "b", "x.svs")
        tree(tmp_path, *(f"{folder}{name}.svs" for folder in ("", "a/", "a/b/") for name in ("keep", "x", "y")))
        assert set(discover(tmp_path).slides) == {"keep.svs", "a/keep.svs", "a/x.svs", "a/b/keep.svs"}

    def test_it_counts_for_its_folder_and_below(self, tmp_path: Path) -> None:
        ignoring(tmp_path / "a", "/x.svs", "s/y.svs")
        tree(tmp_path, "x.svs", "a/x.svs", "a/b/x.svs", "s/y.svs", "a/s/y.svs")
        assert excluded(discover(tmp_path)) == {"a/x.svs", "a/s/y.svs"}

    def test_case_and_composition_do_not_matter(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "OLD/", "a[b-d].SVS", unicodedata.normalize("NFD", "präp?.svs"), "gr\\[oß\\].svs")
        tree(tmp_path, "old/x.svs", "AC.svs", unicodedata.normalize("NFC", "PRÄPÄ.svs"), "Gr[oß].svs", "aa.svs")
        assert set(discover(tmp_path).slides) == {"aa.svs"}

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_encodings(self, tmp_path: Path, encoding: str) -> None:
        ignoring(tmp_path, "größe.svs", encoding=encoding)
        tree(tmp_path, "größe.svs", "a.svs")
        assert set(discover(tmp_path).slides) == {"a.svs"}

    def test_windows_line_ends(self, tmp_path: Path) -> None:
        (tmp_path / ".pmarepignore").write_bytes(b"*.svs\r\nold/\r\n")
        assert excluded(discover(tree(tmp_path, "a.svs", "old/b.ndpi"))) == {"a.svs", "old"}

    def test_with_include_and_exclude(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "a.*")
        tree(tmp_path, "a.svs", "b.svs", "c.svs", "a.ndpi")
        assert set(discover(tmp_path, include=["*.svs"], exclude=["c.*"]).slides) == {"b.svs"}


class TestSlidesAreWhole:
    def test_parts_are_not_matched(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "*.dat", "*.ini", "*.ets", "n-FITC.ndpi")
        write_mirax(tmp_path / "n.mrxs", data_files=2)
        write_vsi(tmp_path / "v.vsi")
        write_ndpis(tmp_path / "n.ndpis")
        found = discover(tmp_path)
        assert [len(files) for files in found.slides.values()] == [5, 4, 4]
        assert found.left == {}

    def test_nor_is_the_folder_of_one(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "n/")
        write_mirax(tmp_path / "n.mrxs", data_files=2)
        tree(tmp_path, "n/extra.svs")
        found = discover(tmp_path)
        assert {main: len(files) for main, files in found.slides.items()} == {"n.mrxs": 5}
        assert found.left == {"n": Why.EXCLUDED}
        assert "only what belongs to n.mrxs" in found.detail("n")

    def test_an_ignored_one_keeps_its_files(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "*.mrxs", "*.ndpis")
        write_mirax(tmp_path / "n.mrxs")
        write_ndpis(tmp_path / "h.ndpis")
        write_mirax(tmp_path / "orphan.mrxs").unlink()
        found = discover(tmp_path)
        assert found.slides == {}
        assert found.left == dict.fromkeys(["n.mrxs", "h.ndpis", "orphan"], Why.EXCLUDED)

    def test_a_wanted_one_has_the_shared_file(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "a.*")
        write_ndpis(tmp_path / "a.ndpis", names=["x.ndpi"])
        write_ndpis(tmp_path / "b.ndpis", names=["x.ndpi"])
        assert set(discover(tmp_path).slides) == {"b.ndpis"}

    def test_what_is_ignored_is_no_problem(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "*")
        tree(tmp_path, "n.mrxs", "empty.svs", content=b"")
        (tmp_path / "dead.svs").symlink_to("gone")
        assert set(discover(tmp_path).left.values()) == {Why.EXCLUDED}

    def test_a_file_that_is_named_is_meant(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "*")
        tree(tmp_path, "a.svs")
        assert set(discover(tmp_path / "a.svs").slides) == {"a.svs"}


class TestFilesThatCannotBeUsed:
    """Nothing is sent from there: they may keep back what must not leave the house."""

    def check(self, source: Path, words: str, why: Why = Why.BAD_RULES) -> None:
        found = discover(tree(source, "a.svs", "deep/b.svs", "../other/c.svs").parent)
        assert set(found.slides) == {"other/c.svs"}
        assert found.left == {f"{source.name}/.pmarepignore": why}
        assert words in found.detail(f"{source.name}/.pmarepignore")
        assert "nothing is sent from its folder" in found.detail(f"{source.name}/.pmarepignore")

    def test_too_large(self, tmp_path: Path) -> None:
        ignoring(tmp_path / "x", "a" * 1_100_000)
        self.check(tmp_path / "x", "1 MiB")

    def test_not_readable(self, tmp_path: Path) -> None:
        tree(tmp_path, "x/.pmarepignore/")  # a folder: even root cannot read that
        self.check(tmp_path / "x", "Is a directory" if os.name == "posix" else "denied", Why.UNREADABLE)

    @pytest.mark.parametrize("rule", ["!", "\\", "[z-a].svs"])
    def test_not_understood(self, tmp_path: Path, rule: str) -> None:
        ignoring(tmp_path / "x", "*.tmp", "", rule)
        self.check(tmp_path / "x", f"line 3 is no valid rule: {rule!r} has ")

    def test_the_advice_is_to_mend_the_line(self, tmp_path: Path) -> None:
        ignoring(tmp_path, "a[b")
        [thing] = discover(tmp_path).things
        assert isinstance(thing, LeftOut)
        assert advice(thing).startswith("mend what is named")

    def test_a_dead_link(self, tmp_path: Path) -> None:
        tree(tmp_path / "x")
        (tmp_path / "x" / ".pmarepignore").symlink_to("gone")
        self.check(tmp_path / "x", "No such file", Why.UNREADABLE)


class TestAgeAndSize:
    def test_a_slide_is_as_new_as_its_newest_file(self, tmp_path: Path) -> None:
        for name in ("old", "new"):
            for file in [write_mirax(tmp_path / f"{name}.mrxs"), *(tmp_path / name).iterdir()]:
                os.utime(file, (1000, 1000))
        os.utime(tmp_path / "new" / "Data0001.dat", (3000, 3000))
        found = discover(tmp_path, newer_than=2000)
        assert set(found.slides) == {"new.mrxs"}
        assert found.left == {"old.mrxs": Why.EXCLUDED}
        assert found.detail("old.mrxs") == "older than --newer-than"
        assert set(discover(tmp_path, newer_than=3000).slides) == set()
        assert set(discover(tmp_path, newer_than=2999.9).slides) == {"new.mrxs"}

    def test_an_old_one_that_is_broken_is_no_problem_of_today(self, tmp_path: Path) -> None:
        tree(tmp_path, "n.mrxs", "e.svs", content=b"")
        for file in tmp_path.iterdir():
            os.utime(file, (1000, 1000))
        assert set(discover(tmp_path, newer_than=2000).left.values()) == {Why.EXCLUDED}
        assert set(discover(tmp_path).left.values()) == {Why.INCOMPLETE}

    def test_size_is_that_of_the_whole_slide(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis", size=1000)
        tree(tmp_path, "small.svs", content=b"x" * 2999)
        tree(tmp_path, "enough.svs", content=b"x" * 3000)
        tree(tmp_path, "broken.mrxs", "empty.svs", content=b"")
        found = discover(tmp_path, min_size=3000)
        assert set(found.slides) == {"n.ndpis", "enough.svs"}
        assert excluded(found) == {"small.svs"}
        assert found.detail("small.svs") == "smaller than --min-size"
        assert found.left["empty.svs"] is Why.INCOMPLETE, "an empty file is no small slide, but none"

    def test_a_single_file(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.svs")
        [left] = find_slides(tmp_path / "a.svs", min_size=2)
        assert getattr(left, "why", None) is Why.EXCLUDED
