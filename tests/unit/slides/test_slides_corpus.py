"""The corpus is what it says it is: real readers open it, and discovery agrees with the official client."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import openslide
import pytest
from pma_python import core
from support.corpus import tree, wild_names, write_mirax, write_ndpis, write_pyramidal_tiff, write_svs, write_vsi
from support.discovery import discover


def test_svs_is_an_aperio_slide(tmp_path: Path) -> None:
    with openslide.OpenSlide(write_svs(tmp_path / "a.svs", width=700, height=500)) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.level_dimensions == ((700, 500), (175, 125))
        assert set(slide.associated_images) == {"thumbnail", "label"}
        assert slide.read_region((600, 400), 0, (10, 10)).getextrema()[0][0] >= 200  # type: ignore[index]


def test_pyramidal_tiff(tmp_path: Path) -> None:
    with openslide.OpenSlide(write_pyramidal_tiff(tmp_path / "a.tif")) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_count == 3
        slide.read_region((0, 0), 2, (10, 10))


def test_samples_are_the_same_each_time_and_differ_by_seed(tmp_path: Path) -> None:
    size = {"width": 256, "height": 256}
    one, again = write_svs(tmp_path / "1.svs", **size), write_svs(tmp_path / "2.svs", **size)
    other = write_svs(tmp_path / "3.svs", **size, seed=1)
    assert one.read_bytes() == again.read_bytes() != other.read_bytes()


def test_wild_names_fit_a_windows_server() -> None:
    names = wild_names()
    assert len(set(names)) == len(names)
    for name in names:
        assert not set(name) & set('<>:"/\\|?*'), name
        assert not name.endswith((" ", ".")), name
        assert len(os.fsencode(f"{name}.ndpis")) <= 255, name


def theirs(main: Path) -> set[str]:
    """The files of a slide as the official client finds them by its convention, without PMA.start."""
    with mock.patch.object(core, "_pma_start_files_for_slide", return_value=[]):
        return {file["relative_path"] for file in core._collect_slide_package_files(str(main))}


@pytest.mark.parametrize(("write", "name"), [(write_svs, "a b.svs"), (write_mirax, "ä.mrxs"), (write_vsi, "A&E.vsi")])
def test_the_official_client_takes_the_same_files(tmp_path: Path, write, name: str) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / name)
    [ours] = discover(tmp_path).slides.values()
    assert set(ours) == theirs(tmp_path / name)


def test_also_in_its_own_test_cases(tmp_path: Path) -> None:
    """The trees of pma_python's tests (tests/test_slide_package.py), with indexes that can be read."""
    write_mirax(tmp_path / "case 1" / "CMU-1.mrxs", data_files=2)
    tree(tmp_path / "case 1", "other.svs", "_other_/x.ets", "unrelated.txt")
    write_vsi(tmp_path / "case 2" / "Image_01.vsi", stacks=2)
    tree(tmp_path / "case 2" / "_Image_01_", "stack1/deep/frame_t_0.ets", "more/annotations.xml")
    found = discover(tmp_path)
    for main in ("case 1/CMU-1.mrxs", "case 2/Image_01.vsi"):
        assert set(found.slides[main]) == theirs(tmp_path / main)


class TestWhereWeKnowBetter:
    """The official client goes by the names of folders only."""

    def test_other_files_in_the_folder_of_a_mirax_slide(self, tmp_path: Path) -> None:
        """No reader looks at them, and a slide would be another one whenever somebody leaves a note there."""
        write_mirax(tmp_path / "n.mrxs", data_files=1)
        tree(tmp_path, "n/notes.txt", "n/other.svs")
        ours = set(discover(tmp_path).slides["n.mrxs"])
        assert theirs(tmp_path / "n.mrxs") - ours == {"n/notes.txt", "n/other.svs"}

    def test_a_folder_that_only_has_the_name(self, tmp_path: Path) -> None:
        tree(tmp_path, "2024.svs", "2024/a.svs", "2024/b.svs")
        assert discover(tmp_path).slides["2024.svs"] == ["2024.svs"]
        assert len(theirs(tmp_path / "2024.svs")) == 3

    def test_files_beside_it(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis")
        assert len(discover(tmp_path).slides["n.ndpis"]) == 4
        assert theirs(tmp_path / "n.ndpis") == {"n.ndpis"}

    def test_hidden_files_and_the_systems_own(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi", stacks=1)
        tree(tmp_path, "_n_/Thumbs.db", "_n_/.DS_Store")
        ours = set(discover(tmp_path).slides["n.vsi"])
        assert theirs(tmp_path / "n.vsi") - ours == {"_n_/Thumbs.db", "_n_/.DS_Store"}

    def test_names_that_the_scanner_wrote_in_another_case(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs", data_files=1)
        (tmp_path / "n" / "Data0000.dat").rename(tmp_path / "n" / "DATA0000.DAT")
        assert "n/Data0000.dat" in discover(tmp_path).slides["n.mrxs"]
        assert "n/DATA0000.DAT" in theirs(tmp_path / "n.mrxs")
