"""Slides in the layouts that people have arrive with all their files, under the names that readers look for."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import tree
from corpus_dicom import write_dicom, write_dicomdir
from corpus_zarr import write_zarr
from desk import Desk, arrived, contents

from pmacore_sandbox import Sandbox


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def dicom_by_uid(source: Path) -> None:
    for number, path in enumerate(write_dicom(source / "dicom")):
        path.rename(path.with_name(f"1.2.826.0.1.3680043.8.498.10{number}"))


def mixed_dicom(source: Path) -> None:
    paths = write_dicom(source / "dicom")
    paths[1].rename(paths[1].with_name("l1"))


def zarr_2(source: Path) -> None:
    write_zarr(source / "n.ome.zarr")


def zarr_3(source: Path) -> None:
    write_zarr(source / "n.zarr", version=3)


@pytest.mark.parametrize("make", [dicom_by_uid, mixed_dicom, zarr_2, zarr_3])
def test_it_arrives_as_it_is_and_only_once(desk: Desk, sandbox: Sandbox, make: object) -> None:
    make(desk.source)  # type: ignore[operator]
    desk.site("a", sandbox)
    first = desk.push()
    assert (first.code, first.counts("a")) == (0, (1, 0, 0)), first.stdout
    assert arrived(sandbox) == contents(desk.source)
    again = desk.push("--verify", "deep")
    assert (again.code, again.counts("a")) == (0, (0, 1, 0)), again.stdout
    fresh = desk.push("--fresh")  # nothing is known here: the server is asked
    assert (fresh.code, fresh.counts("a")) == (0, (0, 1, 0)), fresh.stdout


def test_a_medium_arrives_without_the_versions_of_its_names(desk: Desk, sandbox: Sandbox) -> None:
    listed = write_dicomdir(desk.source)
    wanted = contents(desk.source)
    for path in [*listed, "DICOMDIR"]:
        (desk.source / path).rename(desk.source / f"{path};1")
    desk.site("a", sandbox)
    result = desk.push()
    assert (result.code, result.counts("a")) == (0, (1, 0, 0)), result.stdout
    assert arrived(sandbox) == wanted


def test_no_tile_is_sent(desk: Desk, sandbox: Sandbox) -> None:
    tree(desk.source, "n.dzi", "n_files/0/0_0.jpeg", "n_files/1/0_0.jpeg", "n_files/1/0_1.jpeg", "a.svs")
    desk.site("a", sandbox)
    result = desk.push()
    assert (result.code, result.counts("a")) == (0, (1, 0, 0)), result.stdout
    assert [Path(path).name for path in arrived(sandbox)] == ["a.svs"]
