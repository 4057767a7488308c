"""Broken and hostile slides: looking for label images ends soon, with an answer, and reads no more than it may."""

from __future__ import annotations

import functools
import io
import struct
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpus_dicom import write_dicom
from support.corpus_labels import (
    APERIO_LABEL,
    APERIO_MACRO,
    aperio,
    ome_xml,
    philips_xml,
    scan,
    scn_xml,
    write_czi,
    write_ndpi,
    write_tiff,
)
from support.examples import FEW

from pmarep.slides import Slide, SlideFile
from pmarep.slides.labels import Carries, label_images

_WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "Aperio SVS": ("n.svs", lambda path: write_tiff(path, aperio(APERIO_LABEL, APERIO_MACRO))),
    "TIFF": ("n.tif", lambda path: write_tiff(path, [scan(), scan("macro")], bigtiff=True, byteorder=">")),
    "Hamamatsu NDPI": ("n.ndpi", lambda path: write_ndpi(path, (20, -2, -1))),
    "Leica SCN": ("n.scn", lambda path: write_tiff(path, [scan(scn_xml(supplemental=["label"]))], bigtiff=True)),
    "OME-TIFF": ("n.ome.tif", lambda path: write_tiff(path, [scan(ome_xml("a", "label image"))])),
    "Ventana BIF": ("n.bif", lambda path: write_tiff(path, [scan("Label Image"), scan("level=0")])),
    "ARGOS AVS": ("n.avs", lambda path: write_tiff(path, [scan(philips_xml("LABELIMAGE"), software="Philips DP v1")])),
    "Zeiss CZI": ("n.czi", lambda path: write_czi(path, ["Label", "SlidePreview"])),
    "DICOM": ("0.dcm", lambda path: write_dicom(path.parent, levels=1, others=())),
}


@functools.cache
def sample(kind: str) -> bytes:
    name, write = _WRITERS[kind]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, name))
        return Path(folder, name).read_bytes()


def look_at(kind: str, content: bytes) -> tuple[Carries, Carries]:
    name, _ = _WRITERS[kind]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(content)
        return label_images(Slide(name, kind, Path(folder), (SlideFile(name, len(content), 0),)))


_patches = st.lists(
    st.tuples(st.integers(0, 4000) | st.integers(0, 400), st.binary(min_size=1, max_size=8) | st.just(b"\xff" * 8)),
    max_size=6,
)


@pytest.mark.parametrize("kind", _WRITERS)
@given(patches=_patches, end=st.none() | st.integers(0, 5000))
@settings(max_examples=FEW)
def test_damaged_files(kind: str, patches: list[tuple[int, bytes]], end: int | None) -> None:
    content = bytearray(sample(kind)[:end])
    for at, data in patches:
        content[at : at + len(data)] = data
    assert all(answer in Carries for answer in look_at(kind, bytes(content)))


@pytest.mark.parametrize("kind", _WRITERS)
@given(content=st.binary(max_size=300))
@settings(max_examples=FEW)
def test_any_bytes(kind: str, content: bytes) -> None:
    look_at(kind, content)
    look_at(kind, sample(kind)[:16] + content)


def test_a_directory_where_no_file_can_be_is_not_known() -> None:
    content = bytearray(sample("Zeiss CZI"))
    struct.pack_into("<q", content, 104, 2**63 - 1)
    assert look_at("Zeiss CZI", bytes(content)) == (Carries.UNKNOWN, Carries.UNKNOWN)


@pytest.mark.parametrize("end", range(0, 3000, 97))
def test_a_file_that_is_cut_off_never_has_none_where_it_would_have_one(end: int) -> None:
    assert Carries.NO not in look_at("Aperio SVS", sample("Aperio SVS")[:end])
    assert look_at("Hamamatsu NDPI", sample("Hamamatsu NDPI")[:end])[1] is not Carries.NO


def test_directories_that_lead_in_a_circle() -> None:
    def directory(following: int) -> bytes:
        return struct.pack("<HHHII", 1, 256, 4, 1, 5) + struct.pack("<I", following)

    circle = b"II*\0" + struct.pack("<I", 8) + directory(26) + directory(8)
    assert look_at("TIFF", circle) == (Carries.UNKNOWN, Carries.UNKNOWN)


def test_what_a_file_claims_costs_no_memory() -> None:
    """A million directories, and each with a text that is all of the file."""
    file = io.BytesIO()
    file.write(b"II*\0" + struct.pack("<I", 8))
    size = 8 + 18 * 200_000
    for number in range(200_000):
        file.write(struct.pack("<HHHII", 1, 270, 2, size, 0) + struct.pack("<I", 8 + 18 * (number + 1)))
    tracemalloc.start()
    try:
        assert look_at("TIFF", file.getvalue()) == (Carries.UNKNOWN, Carries.UNKNOWN)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 1024 * 1024
