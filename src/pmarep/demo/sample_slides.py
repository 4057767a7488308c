"""Small slides that are real enough: for the demo, the tests and anyone who wants to try pmarep without patients' data.

numpy and tifffile are imported when a writer needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from tifffile import TiffWriter

    Picture = npt.NDArray[np.uint8]

_TILE = 256

# Every JPEG decoder takes these 125 bytes for a grey picture of one pixel; the main file of a MIRAX slide is a JPEG.
_TINY_JPEG = bytes.fromhex(
    "ffd8ffdb004300030202020202030202020303030304060404040404080606050609080a0a090809090a0c0f0c0a0b0e0b09090d110d0e0f"
    "101011100a0c12131210130f101010ffc9000b080001000101011100ffcc000600101005ffda0008010100003f00d2cf20ffd9"
)


def write_svs(path: Path, *, width: int = 1024, height: int = 768, seed: int = 0) -> Path:
    """An Aperio-style SVS that OpenSlide opens as `aperio`: baseline, thumbnail, one smaller level, label.

    About 3.8 bytes a pixel: uncompressed, with noise in it, so that nothing on the way can make it smaller. Memory is
    a row of tiles, however large the picture. The order of the pictures and what is tiled are those of Aperio's own
    files, by which OpenSlide tells them apart (openslide-vendor-aperio.c).
    """
    import tifffile

    about = "Aperio Image Library v12.0.15\r\n"
    scan = f"AppMag = 20|MPP = 0.4990|ScanScope ID = pmarep {seed}"
    small = (max(width // 4, 1), max(height // 4, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, bigtiff=width * height > 2**29) as tiff:
        tiles = f"[0,0 {width}x{height}] ({_TILE}x{_TILE}) RAW"
        _write_tiled(tiff, width, height, seed, description=f"{about}{width}x{height} {tiles}|{scan}")
        _write_whole(tiff, 128, 96, seed, description=f"{about}{width}x{height} -> 128x96 - |{scan}")
        _write_tiled(tiff, *small, seed, description=f"{about}{width}x{height} {tiles} -> {small[0]}x{small[1]}")
        _write_whole(tiff, 64, 64, seed + 1, description=f"{about}label 64x64", reduced=True)
    return path


def write_pyramidal_tiff(path: Path, *, width: int = 1024, height: int = 768, seed: int = 0) -> Path:
    """A tiled TIFF with three levels, OpenSlide's `generic-tiff`."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for level in range(3):
            _write_tiled(tiff, max(width >> level, 1), max(height >> level, 1), seed, reduced=level > 0)
    return path


def write_mirax(path: Path, *, data_files: int = 3, data_size: int = 20_000, seed: int = 0) -> Path:
    """A MIRAX set at `path` (`n.mrxs`) and in `n/`: every file and every entry of Slidedat.ini that says what belongs.

    Structurally right, not a picture: what stands in the data files is noise, so no reader will open it.
    """
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    slide_id = f"{seed:032X}"
    names = [f"Data{number:04}.dat" for number in range(data_files)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(_noise(data_size, seed * 1000 + number))
    (folder / "Index.dat").write_bytes(b"01.02" + slide_id.encode() + _noise(200, seed))
    sections = {
        "GENERAL": {
            "SLIDE_VERSION": "01.02",
            "SLIDE_ID": slide_id,
            "SLIDE_NAME": path.stem,
            "IMAGENUMBER_X": "4",
            "IMAGENUMBER_Y": "4",
            "OBJECTIVE_MAGNIFICATION": "20",
            "CameraImageDivisionsPerSide": "1",
        },
        "HIERARCHICAL": {"INDEXFILE": "Index.dat", "HIER_COUNT": "1", "NONHIER_COUNT": "0"},
        "DATAFILE": {"FILE_COUNT": str(data_files), **{f"FILE_{number}": name for number, name in enumerate(names)}},
    }
    lines = [
        f"[{title}]\r\n" + "".join(f"{key} = {value}\r\n" for key, value in of.items())
        for title, of in sections.items()
    ]
    (folder / "Slidedat.ini").write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    path.write_bytes(_TINY_JPEG)
    return path


def _write_tiled(
    tiff: TiffWriter, width: int, height: int, seed: int, *, description: str | None = None, reduced: bool = False
) -> None:
    tiff.write(
        _tiles(width, height, seed),
        shape=(height, width, 3),
        dtype="uint8",
        tile=(_TILE, _TILE),
        photometric="rgb",
        description=description,
        subfiletype=int(reduced),
        metadata=None,
        software=False,
    )


def _write_whole(
    tiff: TiffWriter, width: int, height: int, seed: int, *, description: str, reduced: bool = False
) -> None:
    tiff.write(
        _picture(width, height, seed),
        rowsperstrip=height,
        photometric="rgb",
        description=description,
        subfiletype=int(reduced),
        metadata=None,
        software=False,
    )


def _tiles(width: int, height: int, seed: int) -> Iterator[Picture]:
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            yield _picture(_TILE, _TILE, seed * 1_000_003 + top * 1009 + left)


def _picture(width: int, height: int, seed: int) -> Picture:
    """Noise on a pink ground, as a stained section looks from far away."""
    import numpy as np

    noise = np.random.default_rng(seed).integers(0, 40, (height, width, 3), dtype=np.uint8)
    return noise + np.array([200, 120, 170], dtype=np.uint8)


def _noise(size: int, seed: int) -> bytes:
    import numpy as np

    return np.random.default_rng(seed).bytes(size)
