"""OME sets whose text names files in sub-folders, or with `./`."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_ome import binary_only, ome_xml, write_companion, write_plane
from support.discovery import discover, refusing, shuffled

from pmarep.slides import ClaimedFile, Slide, Why, find_again


def companion_set(folder: Path, prefix: str, below: str = "", back: str = "") -> list[str]:
    """`m.companion.ome`, which names its files with a prefix; they lie in `below` and refer to it with `back`."""
    names = [f"m_C{number}.ome.tif" for number in range(3)]
    for number, name in enumerate(names):
        write_plane(folder / below / name, binary_only(f"{back}m.companion.ome", name), seed=number)
    (folder / "m.companion.ome").write_text(ome_xml([prefix + name for name in names]), encoding="utf-8")
    return [below + name for name in names]


@pytest.mark.parametrize(
    ("prefix", "below", "back"),
    [
        ("./", "", "./"),
        (".\\", "", ".\\"),
        ("tiffs/", "tiffs/", "../"),
        ("tiffs\\", "tiffs/", "..\\"),
        ("./tiffs//C 1/./", "tiffs/C 1/", "../../"),
        ("TIFFS/", "tiffs/", ""),
    ],
)
def test_the_files_of_a_companion(tmp_path: Path, prefix: str, below: str, back: str) -> None:
    names = companion_set(tmp_path, prefix, below, back)
    for seed in range(3):
        found = discover(tmp_path, scandir=shuffled(seed))
        (slide,) = (thing for thing in found.things if isinstance(thing, Slide))
        assert [file.local_name or file.path for file in slide.files] == [*names, "m.companion.ome"]
        assert found.left == {}
    again = find_again(tmp_path, "m.companion.ome")
    assert isinstance(again, Slide)
    assert again.files == slide.files


def test_a_file_that_is_missing_below(tmp_path: Path) -> None:
    names = companion_set(tmp_path, "tiffs/", "tiffs/", "../")
    (tmp_path / names[1]).unlink()
    found = discover(tmp_path)
    assert found.left == {"m.companion.ome": Why.INCOMPLETE}
    assert found.detail("m.companion.ome") == "missing: tiffs/m_C1.ome.tif"


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    companion_set(tmp_path, "tiffs/", "tiffs/", "../")
    assert discover(tmp_path, scandir=refusing("tiffs")).left["m.companion.ome"] is Why.UNREADABLE


def test_files_outside_are_never_taken(tmp_path: Path) -> None:
    companion_set(tmp_path / "in", "../", "../", "in/")
    found = discover(tmp_path)
    assert "outside its own folder: '../m_C0.ome.tif'" in found.detail("in/m.companion.ome")


def test_a_file_below_becomes_a_part_when_its_companion_comes(tmp_path: Path) -> None:
    names = companion_set(tmp_path, "tiffs/", "tiffs/", "../")
    assert find_again(tmp_path, names[0]) == ClaimedFile(names[0], "m.companion.ome")


@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize("below", ["", "planes/"])
def test_a_set_without_companion(tmp_path: Path, prefix: str, below: str) -> None:
    names = ["a.ome.tif", f"{below}b.ome.tif", f"{below}c.ome.tif"]
    text = [prefix + name for name in names]
    for number, name in enumerate(names):
        write_plane(tmp_path / name, ome_xml(text, text[number]), seed=number)
    for seed in range(3):
        found = discover(tmp_path, scandir=shuffled(seed))
        assert found.slides == {"a.ome.tif": [*names[1:], "a.ome.tif"]}
        assert found.left == {}


def test_two_sets_and_their_folders(tmp_path: Path) -> None:
    companion_set(tmp_path, "tiffs/", "tiffs/", "../")
    write_companion(tmp_path / "n.companion.ome")
    assert {slide: len(files) for slide, files in discover(tmp_path).slides.items()} == {
        "m.companion.ome": 4,
        "n.companion.ome": 4,
    }
