"""Slides of all formats that have several files: `write_slide("Zeiss CZI", folder, "brain")`."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from support.corpus import (
    tree,
    write_afi,
    write_cws,
    write_menarini,
    write_mirax,
    write_ndpis,
    write_vms,
    write_vmu,
    write_vsi,
)
from support.corpus_dicom import write_concatenation, write_dicom, write_dicomdir
from support.corpus_ome import write_companion, write_ome
from support.corpus_zarr import write_zarr

__all__ = ["KINDS", "write_czi", "write_oir", "write_slide"]


def write_czi(path: Path, *, parts: int = 2) -> None:
    """`n.czi` and `n (1).czi`, ... that continue it: headers as ZISRAW has them, and noise."""
    primary = bytes(range(16))
    for number in range(parts + 1):
        name = f"{path.stem} ({number}).czi" if number else path.name
        head = (
            b"ZISRAWFILE".ljust(48, b"\0") + primary + (bytes(16) if number else primary) + number.to_bytes(4, "little")
        )
        tree(path.parent, name, content=head + random.Random(f"{path.stem} {number}").randbytes(20_000))


def write_oir(path: Path, *, parts: int = 2) -> None:
    """`n.oir` and `n_00001`, ... that continue it."""
    for number in range(parts + 1):
        name = f"{path.stem}_{number:05}" if number else path.name
        tree(path.parent, name, content=random.Random(f"{path.stem} {number}").randbytes(20_000))


_WRITERS: dict[str, Callable[[Path, str], object]] = {
    "3DHISTECH MIRAX": lambda folder, name: write_mirax(folder / f"{name}.mrxs"),
    "cellSens VSI": lambda folder, name: write_vsi(folder / f"{name}.vsi"),
    "Hamamatsu NDPIS": lambda folder, name: write_ndpis(folder / f"{name}.ndpis"),
    "Hamamatsu VMS": lambda folder, name: write_vms(folder / f"{name}.vms"),
    "Hamamatsu VMU": lambda folder, name: write_vmu(folder / f"{name}.vmu"),
    "Aperio AFI": lambda folder, name: write_afi(folder / f"{name}.afi"),
    "Aperio CWS": lambda folder, name: write_cws(folder / name),
    "Menarini D-Sight": lambda folder, name: write_menarini(folder / f"{name}.ini"),
    "Zeiss CZI": lambda folder, name: write_czi(folder / f"{name}.czi"),
    "Olympus OIR": lambda folder, name: write_oir(folder / f"{name}.oir"),
    "DICOMDIR": lambda folder, name: write_dicomdir(folder / name, seed=name),
    "DICOM": lambda folder, name: write_dicom(folder / name, seed=name),
    "DICOM in parts": lambda folder, name: write_concatenation(folder / name, seed=name),
    "Zarr": lambda folder, name: write_zarr(folder / f"{name}.zarr"),
    "Zarr of version 3": lambda folder, name: write_zarr(folder / f"{name}.zarr", version=3),
    "OME companion": lambda folder, name: write_companion(folder / f"{name}.companion.ome"),
    "OME-TIFF": lambda folder, name: write_ome(folder / f"{name}.ome.tif"),
}

KINDS = tuple(_WRITERS)
"""The formats of `slides.formats.FORMATS` with several files, some of them in two ways."""


def write_slide(kind: str, folder: Path, name: str) -> None:
    """Write one slide into a folder, or into one of its own below it where the format wants that."""
    folder.mkdir(parents=True, exist_ok=True)
    _WRITERS[kind](folder, name)
