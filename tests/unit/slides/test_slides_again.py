"""One slide, looked at again a moment later; and the slides that PMA.start knows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from support.corpus import (
    tree,
    write_afi,
    write_cws,
    write_menarini,
    write_mirax,
    write_ndpis,
    write_svs,
    write_vms,
    write_vsi,
)
from support.discovery import discover, refusing

from pmarep.slides import ClaimedFile, LeftOut, Slide, Why, find_again
from pmarep.slides.folder import Folder

EVERY = [
    *((write_svs, "n.svs"), (write_mirax, "n.mrxs"), (write_vsi, "n.vsi"), (write_ndpis, "n.ndpis")),
    *((write_afi, "n.afi"), (write_vms, "n.vms"), (write_menarini, "n.ini")),
    (lambda path: write_cws(path.parent), "SlideScan.ini"),
]


class TestFindAgain:
    @pytest.mark.parametrize("above", ["", "a/b c/"])
    @pytest.mark.parametrize(("write", "name"), EVERY)
    def test_the_same_slide(self, tmp_path: Path, above: str, write: Callable[[Path], Path], name: str) -> None:
        tree(tmp_path / above, "other.svs")
        write(tmp_path / above / name)
        first = discover(tmp_path).slide(above + name)
        assert find_again(tmp_path, above + name) == first
        if not above:
            assert find_again(tmp_path / name, name) == first

    @pytest.mark.parametrize(("write", "name"), EVERY)
    def test_finding_a_slide_again_reads_its_new_size(
        self, tmp_path: Path, write: Callable[[Path], Path], name: str
    ) -> None:
        write(tmp_path / name)
        first = discover(tmp_path).slide(name)
        with first.local(first.files[0]).open("ab") as file:
            file.write(b"\nmore")
        again = find_again(tmp_path, name)
        assert isinstance(again, Slide)
        assert again.size == first.size + 5

    def test_not_complete_any_more(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "a" / "n.mrxs")
        (tmp_path / "a" / "n" / "Index.dat").unlink()
        again = find_again(tmp_path, "a/n.mrxs")
        assert again == LeftOut("a/n.mrxs", Why.INCOMPLETE, "missing: n/Index.dat", files=5)

    def test_gone(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/")
        assert find_again(tmp_path, "a/n.svs") == LeftOut("a/n.svs", Why.INCOMPLETE, "the file has gone")
        shutil.rmtree(tmp_path / "a")
        again = find_again(tmp_path, "a/n.svs")
        assert isinstance(again, LeftOut)
        assert (again.path, again.why) == ("a/n.svs", Why.UNREADABLE)

    def test_of_another_slide_by_now(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "a" / "n.ndpis", names=["x.ndpi"])
        again = find_again(tmp_path, "a/x.ndpi")
        assert again == ClaimedFile("a/x.ndpi", "n.ndpis")

    def test_by_the_same_rules(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/n.svs")
        for options in ({"exclude": ["a/"]}, {"include": ["*.ndpi"]}, {"min_size": 2}, {"newer_than": 1e11}):
            again = find_again(tmp_path, "a/n.svs", **options)
            assert isinstance(again, LeftOut)
            assert (again.path, again.why) == ("a/n.svs", Why.EXCLUDED)

    def test_other_folders_are_not_read(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "a" / "n.mrxs")
        tree(tmp_path, "locked/x.svs", "a/locked/x.svs")
        scandir = refusing("locked")
        assert isinstance(find_again(tmp_path, "a/n.mrxs", scandir=scandir), Slide)

    def test_finding_a_companion_again_leaves_it_to_its_slide_above(self, tmp_path: Path) -> None:
        main = write_cws(tmp_path / "s")
        tree(main.parent, "sub/a.jpg")
        assert find_again(tmp_path, "s/sub/a.jpg").path == "s/sub/a.jpg"
        again = find_again(tmp_path, "s/sub/a.jpg")
        assert isinstance(again, ClaimedFile)
        assert again.owner == "SlideScan.ini"


class TestAsked:
    """PMA.start is asked about files that no format knows (its client is tested elsewhere)."""

    def asking(self, answer: Mapping[str, Sequence[str]]) -> Callable[[Folder, Sequence[str]], dict[str, list[str]]]:
        self.asked: list[tuple[str, list[str]]] = []

        def ask(folder: Folder, names: Sequence[str]) -> dict[str, list[str]]:
            self.asked.append((folder.name, list(names)))
            return {
                main: [str(Path(folder.path, path)) for path in paths]
                for main, paths in answer.items()
                if main in names
            }

        return ask

    def test_once_per_folder_about_what_may_be_slides(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.svs", "b.xyz", "C.abc", "d.txt", "e.XML", "f.ini", "none", "sub/g.zip", "sub2/h.q", "n.tif")
        write_mirax(tmp_path / "m.mrxs")
        discover(tmp_path, lookup=self.asking({}))
        assert self.asked == [(tmp_path.name, ["b.xyz", "C.abc"]), ("sub2", ["h.q"])]

    def test_its_answer_is_merged(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.xyz", "a.idx", "a/deep/1.bin", "a/other.bin", "b.xyz", "c.jpg")
        ask = self.asking({"a.xyz": ["a.xyz", "a.idx", "a/deep/1.bin", "c.jpg"], "b.xyz": ["b.xyz"]})
        found = discover(tmp_path, lookup=ask)
        assert found.slides == {"a.xyz": ["a.idx", "a/deep/1.bin", "c.jpg", "a.xyz"], "b.xyz": ["b.xyz"]}
        assert found.slide("a.xyz").format == "known to PMA.start"
        assert found.left == {"a/other.bin": Why.NOT_A_SLIDE}
        assert find_again(tmp_path, "a.xyz", lookup=ask) == found.slide("a.xyz")
        gone = find_again(tmp_path, "a.xyz")
        assert isinstance(gone, LeftOut)
        assert "no slide any more" in gone.detail

    @pytest.mark.parametrize("path", ["../x.bin", "/etc/passwd", "../a", ".."])
    def test_files_outside_the_slides_folder_are_never_taken(self, tmp_path: Path, path: str) -> None:
        tree(tmp_path, "x.bin", "s/a.xyz", "s/b.bin")
        found = discover(tmp_path, lookup=self.asking({"a.xyz": ["a.xyz", "b.bin", path]}))
        assert found.slides == {}
        assert found.left["s/a.xyz"] is Why.INCOMPLETE
        assert "PMA.start names files of it that are outside its own folder" in found.detail("s/a.xyz")

    def test_nor_files_of_other_slides(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis", names=["x.ndpi"])
        tree(tmp_path, "a.xyz", "b.xyz", "c.xyz", "own.bin", "both.bin")
        answer = {"a.xyz": ["x.ndpi"], "b.xyz": ["own.bin"], "own.bin": [], "c.xyz": ["both.bin"], "d": []}
        found = discover(tmp_path, lookup=self.asking(answer))
        assert set(found.slides) == {"n.ndpis", "own.bin", "c.xyz"}
        assert "belongs to n.ndpis" in found.detail("a.xyz")
        assert "belongs to own.bin" in found.detail("b.xyz")

    def test_a_missing_file_that_pma_start_names_is_reported(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.xyz")
        assert "missing: gone.bin" in discover(tmp_path, lookup=self.asking({"a.xyz": ["gone.bin"]})).detail("a.xyz")

    def test_answers_of_pma_start_about_other_files_are_ignored(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.txt", "b.xyz")
        found = discover(tmp_path, lookup=lambda _folder, _names: {"a.txt": [], "../b.xyz": []})
        assert found.slides == {}
