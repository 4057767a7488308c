"""Zarr folders: one slide with all that is in them, also what is hidden."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus import tree, write_svs
from support.corpus_zarr import write_zarr
from support.discovery import discover, refusing, shuffled

from pmarep.errors import UsageError
from pmarep.slides import Slide, Why, find_again, find_slides, zarr


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["n.ome.zarr", "Schnitt 1 ä.ZARR", "converted"])
@pytest.mark.parametrize("version", [2, 3])
def test_all_of_it_is_one_slide(tmp_path: Path, version: int, name: str) -> None:
    main = write_zarr(tmp_path / name, version=version)
    path = f"{name}/{main.name}"
    for seed in range(3):
        found = discover(tmp_path, scandir=shuffled(seed))
        assert {slide: sorted(files) for slide, files in found.slides.items()} == {path: files_in(tmp_path / name)}
        assert found.left == {}
    assert found.slides[path][-1] == main.name
    again = find_again(tmp_path, path)
    assert isinstance(again, Slide)
    assert again.files == found.slide(path).files


@pytest.mark.parametrize("gone", [(), (".zattrs",), (".zattrs", ".zgroup")])
def test_the_main_file(tmp_path: Path, gone: tuple[str, ...]) -> None:
    write_zarr(tmp_path / "n.zarr")
    tree(tmp_path, "n.zarr/.zarray", "n.zarr/0.0", "n.zarr/.zmetadata", content=b"{}")
    for name in gone:
        (tmp_path / "n.zarr" / name).unlink()
    main = {0: ".zattrs", 1: ".zgroup", 2: ".zarray"}[len(gone)]
    assert sorted(discover(tmp_path).slides[f"n.zarr/{main}"]) == files_in(tmp_path / "n.zarr")


def test_what_a_system_leaves_behind_does_not_go_with_it(tmp_path: Path) -> None:
    main = write_zarr(tmp_path / "n.zarr")
    wanted = files_in(main.parent)
    tree(main.parent, ".DS_Store", "0/Thumbs.db", "0/._0")
    found = discover(tmp_path)
    assert sorted(found.slides["n.zarr/.zattrs"]) == wanted
    assert set(found.left.values()) == {Why.NOT_A_SLIDE}


def test_plain_metadata_is_enough(tmp_path: Path) -> None:
    tree(tmp_path, "a.zarr/.zgroup", "a.zarr/.zattrs", "a.zarr/0/.zarray", "a.zarr/0/0/0", content=b"{}")
    tree(tmp_path, "b.zarr/zarr.json", "b.zarr/0/zarr.json", "b.zarr/0/c/0/0", content=b"{}")
    assert {main: len(files) for main, files in discover(tmp_path).slides.items()} == {
        "a.zarr/.zattrs": 4,
        "b.zarr/zarr.json": 3,
    }


def test_pictures_and_other_formats_within_are_parts(tmp_path: Path) -> None:
    write_zarr(tmp_path / "n.zarr")
    tree(tmp_path / "n.zarr", "preview.png", "OME/METADATA.ome.xml", "labels/.zgroup", "0/thumb.jpg", content=b"x")
    found = discover(tmp_path)
    assert {slide: sorted(files) for slide, files in found.slides.items()} == {
        "n.zarr/.zattrs": files_in(tmp_path / "n.zarr")
    }


@pytest.mark.parametrize(
    ("version", "gone", "missing"),
    [(2, "1/.zarray", "missing: 1/"), (3, "0/zarr.json", "missing: 0/"), (2, "0", "missing: 0/")],
)
def test_a_level_that_is_missing(tmp_path: Path, version: int, gone: str, missing: str) -> None:
    main = write_zarr(tmp_path / "n.zarr", version=version)
    (tmp_path / "n.zarr" / gone).rename(tmp_path / "away.txt")
    found = discover(tmp_path)
    assert found.left[f"n.zarr/{main.name}"] is Why.INCOMPLETE
    assert found.detail(f"n.zarr/{main.name}") == missing


def test_a_well_that_is_missing(tmp_path: Path) -> None:
    plate = {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}}
    tree(tmp_path, "n.zarr/.zgroup", "n.zarr/A/.zgroup", "n.zarr/A/1/.zgroup", "n.zarr/B/.zgroup", content=b"{}")
    (tmp_path / "n.zarr" / ".zattrs").write_text(json.dumps(plate))
    assert discover(tmp_path).detail("n.zarr/.zattrs") == "missing: B/2/"


@pytest.mark.parametrize(
    "content", [b"", b'{"multiscales": [{"datas', b"\xff\xfe\x00", b"[" * 100_000, bytes(5000), b"null"]
)
def test_broken_metadata(tmp_path: Path, content: bytes) -> None:
    write_zarr(tmp_path / "n.zarr").write_bytes(content)
    found = discover(tmp_path)
    if content == b"null":  # names no levels, and that is allowed
        assert list(found.slides) == ["n.zarr/.zattrs"]
    else:
        assert found.left == {"n.zarr/.zattrs": Why.INCOMPLETE}


@pytest.mark.parametrize(
    "value",
    [
        {"multiscales": {}},
        {"multiscales": [1, {"datasets": 7}, {"datasets": [None, {"path": 5}, {"path": "../../etc"}, {"path": "/"}]}]},
        {"plate": []},
        {"attributes": {"ome": "x"}},
    ],
)
def test_odd_metadata_name_nothing(tmp_path: Path, value: object) -> None:
    write_zarr(tmp_path / "n.zarr").write_text(json.dumps(value))
    assert list(discover(tmp_path).slides) == ["n.zarr/.zattrs"]


def test_large_metadata_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_zarr(tmp_path / "n.zarr")
    (tmp_path / "n.zarr" / "1" / ".zarray").rename(tmp_path / "n.zarr" / "1" / "other")
    monkeypatch.setattr(zarr, "_LIMIT", 10)
    assert list(discover(tmp_path).slides) == ["n.zarr/.zattrs"]


def test_a_copy_without_hidden_files(tmp_path: Path) -> None:
    for path in [*write_zarr(tmp_path / "n.zarr").parent.rglob(".z*")]:
        path.unlink()
    found = discover(tmp_path)
    left = found.left
    assert left.pop("n.zarr") is Why.INCOMPLETE
    assert set(left.values()) == {Why.NOT_A_SLIDE}
    assert not found.slides
    assert "hidden files" in found.detail("n.zarr")
    assert discover(tmp_path / "n.zarr").left["."] is Why.INCOMPLETE
    tree(tmp_path, "empty.zarr/")
    assert "empty.zarr" not in discover(tmp_path).left


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    write_zarr(tmp_path / "n.zarr")
    assert discover(tmp_path, scandir=refusing("1")).left == {"n.zarr/.zattrs": Why.UNREADABLE}


def test_metadata_beside_slides_take_nothing(tmp_path: Path) -> None:
    """Somebody wrote an array into a folder of slides: the folder is no slide, and what is in it stays what it is."""
    write_svs(tmp_path / "case" / "a.svs", width=64, height=64)
    tree(tmp_path, ".zgroup", "case/.zgroup", content=b"{}")
    write_zarr(tmp_path / "case" / "n.zarr")
    found = discover(tmp_path)
    assert set(found.slides) == {"case/a.svs", "case/n.zarr/.zattrs"}
    assert found.left == {".zgroup": Why.NOT_A_SLIDE, "case/.zgroup": Why.NOT_A_SLIDE}


@pytest.mark.parametrize("named", ["", ".zattrs", ".zgroup", "0"])
def test_a_zarr_is_no_source(tmp_path: Path, named: str) -> None:
    """Sent from within, nothing would have its name."""
    write_zarr(tmp_path / "n.zarr")
    with pytest.raises(UsageError, match=r"one slide \(Zarr\); name the folder above it"):
        find_slides(tmp_path / "n.zarr" / named)
    assert list(discover(tmp_path, include=["n.zarr/"]).slides) == ["n.zarr/.zattrs"]


def test_patterns_are_for_the_folders_name_too(tmp_path: Path) -> None:
    main = write_zarr(tmp_path / "case" / "n.zarr", version=3)
    path = main.relative_to(tmp_path).as_posix()
    for pattern in ("*.zarr", "*.ZARR", "case/n.zarr", "case/", "**/n.zarr/", "zarr.json"):
        assert list(discover(tmp_path, include=[pattern]).slides) == [path]
        assert discover(tmp_path, exclude=[pattern]).left == {path: Why.EXCLUDED}
    assert discover(tmp_path, include=["*.svs"]).left == {path: Why.EXCLUDED}
    assert list(discover(tmp_path, exclude=["*.svs"]).slides) == [path]
