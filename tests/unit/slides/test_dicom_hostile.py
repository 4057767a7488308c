"""DICOM files made to be a burden: what they cost is bounded, and what is said of them is true."""

from __future__ import annotations

import errno
import struct
import tracemalloc
from pathlib import Path

import pytest
from support.corpus import tree
from support.corpus_dicom import Slide, image
from support.discovery import dicomdir, discover, written

from pmarep.slides import Why
from pmarep.slides import dicomdir as module
from pmarep.slides.dicom_file import BoundedFile, HeaderError
from pmarep.slides.dicom_header import WHOLE_SLIDE, quiet, read_header

_SEQUENCE = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
_PART_10 = bytes(128) + b"DICM"


def nested(start: bytes = b"") -> bytes:
    """A DICOM file of sequences within sequences, each in an item of the one before."""
    return _PART_10 + start + (_SEQUENCE + _ITEM) * 5000


def test_nesting_is_not_reported_as_an_error_of_the_disk(tmp_path: Path) -> None:
    tree(tmp_path, "n.dcm", content=nested())
    with quiet(), pytest.raises(HeaderError, match=r"^its header cannot be read: nested too deep$"):
        read_header(str(tmp_path / "n.dcm"))
    assert discover(tmp_path).left == {"n.dcm": Why.INCOMPLETE}


def test_nesting_in_a_directory(tmp_path: Path) -> None:
    records = struct.pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, 0xFFFFFFFF) + _ITEM
    tree(tmp_path, "DICOMDIR", content=nested(records))
    assert discover(tmp_path).detail("DICOMDIR").endswith("its records are broken: nested too deep")


def test_an_error_of_the_disk_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where pydicom makes another one out of it."""
    tree(tmp_path, "n.dcm", content=written(image(Slide.new("n"), "VOLUME", 64, 1)))

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(BoundedFile, "read", fail)
    with quiet(), pytest.raises(OSError, match="Input/output error") as raised:
        read_header(str(tmp_path / "n.dcm"))
    assert raised.value.errno == errno.EIO


def test_a_directory_of_a_radiology_archive_is_no_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large: its bytes are searched, and not taken apart."""
    monkeypatch.setattr(module, "_LIMIT", 1000)
    content = dicomdir(tuple(f"CT/IM{number:06}" for number in range(100)))
    content = content.replace(b"1.2.840.10008.5.1.4.1.1.77.1.6", b"1.2.840.10008.5.1.4.1.1.2\0\0\0\0\0")
    tree(tmp_path, "DICOMDIR", content=content)
    found = discover(tmp_path)
    assert found.left == {"DICOMDIR": Why.NOT_A_SLIDE}
    assert found.detail("DICOMDIR") == "a DICOM directory without whole-slide images"


@pytest.mark.parametrize("before", range(0, 60, 7))
def test_a_large_directory_of_slides_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    """Wherever the class stands in what is read at a time."""
    content = dicomdir(("A/IM000001",))
    monkeypatch.setattr(module, "_LIMIT", content.index(WHOLE_SLIDE.encode()) + before - 30)
    tree(tmp_path, "DICOMDIR", content=content)
    assert discover(tmp_path).detail("DICOMDIR") == "cannot be read as a DICOM directory: larger than 0 MiB"


def test_what_is_larger_than_any_directory_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LIMIT", 1000)
    monkeypatch.setattr(module, "_LARGEST", 3000)
    tree(tmp_path, "DICOMDIR", content=_PART_10 + bytes(10_000))
    assert discover(tmp_path).left == {"DICOMDIR": Why.INCOMPLETE}


def test_records_are_read_one_by_one() -> None:
    """All at once they take forty times the bytes of the file."""
    data = dicomdir(tuple(f"A/IM{number:06}" for number in range(600)))
    assert sum(1 for _ in module._records(data)) == 600  # what is loaded once is loaded now
    tracemalloc.start()
    try:
        assert sum(1 for _ in module._records(data)) == 600
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(data)


def test_a_directory_that_is_cut_off(tmp_path: Path) -> None:
    content = dicomdir(("A/IM000001", "A/IM000002"))
    tree(tmp_path, "DICOMDIR", content=content[:-30])
    assert discover(tmp_path).detail("DICOMDIR") == "cannot be read as a DICOM directory: cut off"
