"""Links that lead nowhere: a problem only where a slide may be behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_vsi
from support.corpus_dicom import write_dicom
from support.discovery import discover

from pmarep.slides import Why


def dead(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).symlink_to("nowhere")


@pytest.mark.parametrize("name", ["a.svs", "case.mrxs", "x.ome.tif", "DICOMDIR", "photo.JPG"])
def test_a_link_called_like_a_slide_is_a_problem(tmp_path: Path, name: str) -> None:
    dead(tmp_path, name)
    assert discover(tmp_path).left == {name: Why.UNREADABLE}
    assert discover(tmp_path, exclude=[name]).left == {name: Why.EXCLUDED}


@pytest.mark.parametrize("name", ["latest", "notes.txt", "case1", "run.log", "data.xyz"])
def test_another_is_none(tmp_path: Path, name: str) -> None:
    tree(tmp_path, "a.svs")
    dead(tmp_path, name)
    found = discover(tmp_path)
    assert found.left == {name: Why.NOT_A_SLIDE}
    assert found.detail(name) == "a link to something that is not there"


def test_a_part_is_one_of_the_slide(tmp_path: Path) -> None:
    write_vsi(tmp_path / "n.vsi")
    write_mirax(tmp_path / "m.mrxs")
    dead(tmp_path / "_n_" / "stack1", "frame_u.ets")
    (tmp_path / "m" / "Index.dat").unlink()
    dead(tmp_path / "m", "Index.dat")
    left = discover(tmp_path).left
    assert left["n.vsi"] is Why.UNREADABLE
    assert left["m.mrxs"] is Why.INCOMPLETE


def test_the_folder_of_a_slide(tmp_path: Path) -> None:
    tree(tmp_path, "n.mrxs")
    dead(tmp_path, "n")
    left = discover(tmp_path).left
    assert left["n.mrxs"] is Why.INCOMPLETE
    assert left["n"] is Why.NOT_A_SLIDE


def test_a_level_of_a_dicom_slide(tmp_path: Path) -> None:
    """It has no name that tells, and its series would go without it."""
    for number, path in enumerate(write_dicom(tmp_path)):
        path.rename(path.with_name(f"1.2.3.{number}"))
    dead(tmp_path, "1.2.3.9", "notes.txt")
    assert discover(tmp_path).left == {"1.2.3.9": Why.UNREADABLE, "notes.txt": Why.NOT_A_SLIDE}
