"""Trees of tiles are one thing that is told once, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_svs
from support.discovery import Discovered, discover, refusing, shuffled

from pmarep.slides import LeftOut, Why

REASON = "a picture as a tree of tiles, which PMA.core does not open"


def deep_zoom(folder: Path, stem: str = "n", ending: str = "jpeg", first: int = 0) -> None:
    tree(folder, f"{stem}.dzi", content=b"<Image/>")
    for level in range(first, 12):
        side = max(1, (1 << level) // 254)
        tree(
            folder / f"{stem}_files" / str(level),
            *(f"{x}_{y}.{ending}" for x in range(side) for y in range(side)),
        )


def zoomify(folder: Path) -> None:
    tree(folder, "ImageProperties.xml", "TileGroup0/0-0-0.jpg", "TileGroup0/1-0-1.jpg", "TileGroup1/9-100-7.jpg")


def xyz(folder: Path, ending: str = "png") -> None:
    for level in range(4):
        tree(folder, *(f"{level}/{x}/{y}.{ending}" for x in range(1 << level) for y in range(1 << level)))


def iiif(folder: Path) -> None:
    tree(
        folder,
        "info.json",
        "full/90,/0/default.jpg",
        "0,0,512,512/512,/0/default.jpg",
        "0,512,512,90/512,/0/native.png",
    )


def details(found: Discovered) -> list[str]:
    assert not found.slides
    return [thing.detail for thing in found.things if isinstance(thing, LeftOut)]


@pytest.mark.parametrize("seed", range(3))
def test_deep_zoom_is_recognised_by_its_index(tmp_path: Path, seed: int) -> None:
    deep_zoom(tmp_path, "Schnitt #1 ä")
    number = sum(1 for path in tmp_path.rglob("*") if path.is_file())
    found = discover(tmp_path, scandir=shuffled(seed))
    assert found.left == {"Schnitt #1 ä.dzi": Why.NOT_A_SLIDE}
    assert details(found) == [f"{REASON}: Schnitt #1 ä.dzi (Deep Zoom, {number} files)"]


def test_deep_zoom_without_its_index_or_with_a_png(tmp_path: Path) -> None:
    deep_zoom(tmp_path / "case", ending="PNG", first=8)
    (tmp_path / "case" / "n.dzi").unlink()
    assert discover(tmp_path).left == {"case/n_files": Why.NOT_A_SLIDE}
    assert details(discover(tmp_path)) == details(discover(tmp_path / "case"))
    (detail,) = details(discover(tmp_path / "case" / "n_files"))
    assert detail.startswith(f"{REASON}: . (Deep Zoom, ")


def test_deep_zoom_with_an_index_of_an_older_kind(tmp_path: Path) -> None:
    deep_zoom(tmp_path)
    (tmp_path / "n.dzi").rename(tmp_path / "n.xml")
    assert discover(tmp_path).left == {"n.xml": Why.NOT_A_SLIDE, "n_files": Why.NOT_A_SLIDE}


def test_deep_zoom_in_a_folder_of_any_name(tmp_path: Path) -> None:
    deep_zoom(tmp_path)
    (tmp_path / "n.dzi").unlink()
    (tmp_path / "n_files").rename(tmp_path / "tiles")
    assert discover(tmp_path).left == {"tiles": Why.NOT_A_SLIDE}


def test_deep_zoom_in_capital_letters(tmp_path: Path) -> None:
    deep_zoom(tmp_path, ending="JPG", first=3)
    (tmp_path / "n_files").rename(tmp_path / "N_FILES")
    (tmp_path / "n.dzi").rename(tmp_path / "N.DZI")
    assert len(discover(tmp_path).left) == 1
    assert details(discover(tmp_path))[0].startswith(f"{REASON}: N.")


@pytest.mark.parametrize(
    ("make", "kind", "number"),
    [(zoomify, "Zoomify", 4), (xyz, "XYZ tiles", 85), (iiif, "IIIF", 4)],
)
def test_other_kinds(tmp_path: Path, make: object, kind: str, number: int) -> None:
    make(tmp_path / "web" / "n")  # type: ignore[operator]
    found = discover(tmp_path)
    assert found.left == {"web/n": Why.NOT_A_SLIDE}
    assert details(found) == [f"{REASON}: n ({kind}, {number} files)"]


def test_zoomify_without_properties(tmp_path: Path) -> None:
    zoomify(tmp_path / "n")
    (tmp_path / "n" / "ImageProperties.xml").unlink()
    assert details(discover(tmp_path)) == [f"{REASON}: n (Zoomify, 3 files)"]


def test_xyz_of_a_part_of_the_levels(tmp_path: Path) -> None:
    """What gdal2tiles makes of a map's corner: an index beside levels that begin anywhere."""
    tree(tmp_path / "n", "tilemapresource.xml", "leaflet.html", "10/511/340.png", "11/1022/681.png")
    assert details(discover(tmp_path)) == [f"{REASON}: n (XYZ tiles, 4 files)"]


def test_the_rest_of_such_a_folder_is_looked_at(tmp_path: Path) -> None:
    deep_zoom(tmp_path)
    write_svs(tmp_path / "n_files" / "3" / "a.svs", width=64, height=64)
    write_mirax(tmp_path / "n_files" / "m" / "n.mrxs")
    tree(tmp_path, "n_files/3/photo.jpg", "n_files/broken.mrxs", "n_files/3/notes.txt", "n.jpg")
    found = discover(tmp_path)
    assert set(found.slides) == {"n_files/3/a.svs", "n_files/m/n.mrxs", "n_files/3/photo.jpg", "n.jpg"}
    assert found.left == {
        "n.dzi": Why.NOT_A_SLIDE,
        "n_files/broken.mrxs": Why.INCOMPLETE,
        "n_files/3/notes.txt": Why.NOT_A_SLIDE,
    }


def test_tiles_that_belong_to_slides_are_not_counted(tmp_path: Path) -> None:
    """A tree beside other things: what is neither tile nor index is as anywhere."""
    zoomify(tmp_path)
    write_mirax(tmp_path / "m" / "n.mrxs")
    tree(tmp_path, "_v_/stack1/frame_t.ets", "m/0-0-0.jpg", "odd.xyz", "cases/1-1-1.jpg", "cases/odd")
    found = discover(tmp_path)
    assert set(found.slides) == {"m/n.mrxs", "m/0-0-0.jpg", "cases/1-1-1.jpg"}
    assert found.left == {
        ".": Why.NOT_A_SLIDE,
        "_v_": Why.INCOMPLETE,
        "odd.xyz": Why.NOT_A_SLIDE,
        "cases/odd": Why.NOT_A_SLIDE,
    }
    assert found.detail(".").endswith("(Zoomify, 4 files)")


@pytest.mark.parametrize(
    "files",
    [
        ["2024/03/17.jpg", "2024/04/1.jpg", "2025/01/2.jpg"],
        ["1/1/1.jpg", "2/1/1.jpg", "2/2/1.jpg"],
        ["1/1.jpg", "2/1.jpg", "3/1.jpg"],
        ["1/1_1.jpg", "2/1_2.jpg"],
        ["0/0/0.jpg"],
        ["0/a.jpg", "1/b.jpg"],
        ["0/0/0.jpg", "1/7/0.jpg"],
        ["0/0/0.jpg", "1/0/name.jpg"],
        ["n_files/photo.jpg", "n_files/2024/a.jpg"],
        ["TileGroup0/photo.jpg"],
        ["info.json", "full/photo.jpg"],
        ["ImageProperties.xml", "photo.jpg"],
    ],
)
def test_pictures_in_numbered_folders_are_pictures(tmp_path: Path, files: list[str]) -> None:
    tree(tmp_path, *files)
    assert set(discover(tmp_path).slides) == {name for name in files if name.endswith(".jpg")}


@pytest.mark.parametrize("names", [["n.dzi"], ["n.dzi", "n_files/"], ["n.dzi", "n_files/0/"]])
def test_an_index_without_tiles_is_reported(tmp_path: Path, names: list[str]) -> None:
    tree(tmp_path, *names)
    assert discover(tmp_path).detail("n.dzi") == "no slide's main file: .dzi"


def test_what_cannot_be_looked_into_is_reported(tmp_path: Path) -> None:
    deep_zoom(tmp_path)
    found = discover(tmp_path, scandir=refusing("n_files"))
    assert found.left == {"n.dzi": Why.NOT_A_SLIDE, "n_files": Why.UNREADABLE}
    found = discover(tmp_path, scandir=refusing("5"))
    assert found.left == {"n.dzi": Why.NOT_A_SLIDE, "n_files/5": Why.UNREADABLE}


def test_one_tile_is_sent_if_it_is_asked_for(tmp_path: Path) -> None:
    deep_zoom(tmp_path)
    assert list(discover(tmp_path / "n_files" / "11" / "0_0.jpeg").slides) == ["0_0.jpeg"]
