"""The corpus is what it says it is: real readers open it, and discovery agrees with the official client."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import openslide
import pytest
from corpus import wild_names, write_mirax, write_pyramidal_tiff, write_svs, write_vsi
from looking import look
from pma_python import core


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


@pytest.mark.parametrize(("write", "name"), [(write_svs, "a b.svs"), (write_mirax, "ä.mrxs"), (write_vsi, "A&E.vsi")])
def test_the_official_client_takes_the_same_files(tmp_path: Path, write, name: str) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / name)
    with mock.patch.object(core, "_pma_start_files_for_slide", return_value=[]):
        theirs = core._collect_slide_package_files(str(tmp_path / name))
    [ours] = look(tmp_path).slides.values()
    assert set(ours) == {file["relative_path"] for file in theirs}
