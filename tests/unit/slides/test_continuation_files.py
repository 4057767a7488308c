"""Pictures that go on in more files: OIR, CZI; and OIF, whose planes are no slides."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import tree
from support.discovery import discover

from pmarep.slides import Kind, LeftOut, Why, find_again, find_slides

GUID = bytes(range(16))


def czi(own: bytes = GUID, primary: bytes = GUID, part: int = 0) -> bytes:
    return b"ZISRAWFILE".ljust(48, b"\0") + primary + own + part.to_bytes(4, "little") + bytes(400)


def test_an_oir_in_pieces(tmp_path: Path) -> None:
    tree(
        tmp_path, "scan.oir", "scan_00001", "scan_00002", "scan_1", "scan_00003.txt", "other_00001", "b.OIR", "B_00001"
    )
    found = discover(tmp_path)
    assert found.slides == {"scan.oir": ["scan_00001", "scan_00002", "scan.oir"], "b.OIR": ["B_00001", "b.OIR"]}
    assert set(found.left) == {"scan_1", "scan_00003.txt", "other_00001"}
    assert discover(tmp_path / "scan.oir").slides["scan.oir"] == ["scan_00001", "scan_00002", "scan.oir"]
    assert discover(tmp_path, include=["scan.oir"]).slides == {"scan.oir": ["scan_00001", "scan_00002", "scan.oir"]}


@pytest.mark.parametrize("gone", [1, 2])
def test_a_piece_that_is_missing(tmp_path: Path, gone: int) -> None:
    tree(tmp_path, "scan.oir", *(f"scan_{number:05}" for number in (1, 2, 3) if number != gone))
    found = discover(tmp_path)
    assert found.left == {"scan.oir": Why.INCOMPLETE}
    assert found.detail("scan.oir") == f"missing: number {gone} of the files that continue scan"


def test_a_czi_in_pieces(tmp_path: Path) -> None:
    tree(tmp_path, "brain.czi", content=czi())
    for number, name in enumerate(("brain (1).czi", "brain(2).CZI", "BRAIN (3).czi"), 1):
        tree(tmp_path, name, content=czi(own=bytes(16), part=number))
    tree(tmp_path, "alone (1).czi", content=czi(own=bytes(16), part=1))
    whole = ["brain (1).czi", "brain(2).CZI", "BRAIN (3).czi", "brain.czi"]
    found = discover(tmp_path)
    assert found.slides == {"alone (1).czi": ["alone (1).czi"], "brain.czi": whole}
    assert discover(tmp_path / "brain.czi").slides == {"brain.czi": whole}
    assert discover(tmp_path, include=["brain.czi"]).slides == {"brain.czi": whole}
    assert find_again(tmp_path, "brain.czi") == found.slide("brain.czi")
    (tmp_path / "brain (1).czi").unlink()
    assert discover(tmp_path).detail("brain.czi") == "missing: number 1 of the files that continue brain"


def test_a_copy_with_a_number_is_a_slide_of_its_own(tmp_path: Path) -> None:
    tree(tmp_path, "a.czi", "a (1).czi", content=czi())
    assert discover(tmp_path).slides == {"a.czi": ["a.czi"], "a (1).czi": ["a (1).czi"]}


def test_the_planes_of_an_oif_are_no_slides(tmp_path: Path) -> None:
    tree(tmp_path, "a.oif", "a.oif.files/s_C001.tif", "a.oif.files/s_C001.pty", "b.svs", content=b"II*\0 picture")
    (thing, _) = find_slides(tmp_path)
    assert isinstance(thing, LeftOut)
    assert (thing.path, thing.why, thing.kind, thing.files) == ("a.oif", Why.NOT_A_SLIDE, Kind.UNKNOWN, 3)
    assert set(discover(tmp_path).slides) == {"b.svs"}


@pytest.mark.parametrize("name", ["a.avs", "a.oib", "a.lof", "a.i2syntax", "a.kfbf"])
def test_formats_of_one_file(tmp_path: Path, name: str) -> None:
    assert discover(tree(tmp_path, name)).slides == {name: [name]}


def test_a_pyramid_called_ptif(tmp_path: Path) -> None:
    assert discover(tree(tmp_path, "a.ptif", content=b"II*\0 picture")).slides == {"a.ptif": ["a.ptif"]}


@pytest.mark.parametrize("name", ["a.Full", "a.xlef", "a.omp2info"])
def test_what_nobody_knows_how_to_send_is_reported(tmp_path: Path, name: str) -> None:
    (thing,) = find_slides(tree(tmp_path, name))
    assert isinstance(thing, LeftOut)
    assert (thing.why, thing.kind) == (Why.NOT_A_SLIDE, Kind.UNKNOWN)
