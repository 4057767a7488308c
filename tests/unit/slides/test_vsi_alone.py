"""A `.vsi` that needs no `.ets`: its metadata tell."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from support.corpus import tree, write_vsi
from support.discovery import discover

from pmarep.slides import Why, vsi_tags

_INT, _BOOL, _INLINE, _SECOND = 5, 12, 0x40000000, 0x08000000


def field(tag: int, kind: int, size: int, value: bytes = b"", order: str = "<") -> bytes:
    """One field of the metadata; the next one is behind it."""
    return struct.pack(f"{order}4I", kind, tag, 16 + len(value), size) + value


def write_alone(path: Path, *fields: bytes, order: Literal["<", ">"] = "<") -> None:
    """A TIFF of one page with cellSens metadata in it."""
    with tifffile.TiffWriter(path, byteorder=order) as writer:
        writer.write(np.zeros((16, 16), np.uint8), photometric="minisblack")
    header = struct.pack(f"{order}2HIq2I", 24, 21321, 1, 24, len(fields), 0)
    with path.open("ab") as file:
        file.write(header + b"".join(fields))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kind", "size", "value", "needs"),
    [
        (_INT | _INLINE, 1, b"", True),
        (_INT | _INLINE, 0, b"", False),
        (_BOOL | _INLINE, 1, b"", True),
        (_INT, 4, b"\1\0\0\0", True),
        (_INT, 4, b"\0\0\0\1", True),
        (_INT, 4, b"\0\0\0\0", False),
        (_INT | _SECOND, 4, b"\7\0\0\0\1\0\0\0", True),
        (_INT | _SECOND, 4, b"\7\0\0\0\0\0\0\0", False),
        (0x00F0F0F0, 1, b"", False),  # no field: some bytes of a picture
    ],
)
def test_the_tag_tells(
    tmp_path: Path, order: Literal["<", ">"], kind: int, size: int, value: bytes, needs: bool
) -> None:
    other = field(2018, 0x10000001, 60, order=order)
    write_alone(tmp_path / "n.vsi", other, field(20005, kind, size, value, order), order=order)
    found = discover(tmp_path)
    assert found.left == ({"n.vsi": Why.INCOMPLETE} if needs else {})
    assert found.slides == ({} if needs else {"n.vsi": ["n.vsi"]})


def test_a_vsi_file_with_one_picture_elsewhere_is_incomplete(tmp_path: Path) -> None:
    fields = [field(20005, _INT | _INLINE, value) for value in (0, 0, 1, 0)]
    write_alone(tmp_path / "n.vsi", *fields)
    assert discover(tmp_path).left == {"n.vsi": Why.INCOMPLETE}


def test_none_is_needed_where_nothing_names_any(tmp_path: Path) -> None:
    write_alone(tmp_path / "n.vsi")
    assert discover(tmp_path).slides == {"n.vsi": ["n.vsi"]}


def test_files_in_the_folder_of_a_vsi_file_go_with_it(tmp_path: Path) -> None:
    write_alone(tmp_path / "n.vsi")
    tree(tmp_path, "_n_/stack1/notes.meicom")
    assert discover(tmp_path).slides == {"n.vsi": ["_n_/stack1/notes.meicom", "n.vsi"]}


@pytest.mark.parametrize("content", [b"", b"II*\0", b"II*\0\0\0\0\0" + bytes(400), bytes(5000), b"<html>"])
def test_a_broken_one_says_nothing(tmp_path: Path, content: bytes) -> None:
    tree(tmp_path, "n.vsi", content=content)
    assert discover(tmp_path).left == {"n.vsi": Why.INCOMPLETE}


def test_a_large_one_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_alone(tmp_path / "n.vsi")
    monkeypatch.setattr(vsi_tags, "_LIMIT", 100)
    assert discover(tmp_path).left == {"n.vsi": Why.INCOMPLETE}


def test_a_slide_with_its_folder_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vsi(tmp_path / "n.vsi")
    monkeypatch.setattr("pmarep.slides.vsi.needs_ets", None)
    assert list(discover(tmp_path).slides) == ["n.vsi"]
