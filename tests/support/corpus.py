"""Slides to test with, small and as real as the format allows. Import it as `from support.corpus import write_svs`."""

from __future__ import annotations

import os
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pmarep.demo.sample_slides import write_mirax, write_pyramidal_tiff, write_svs

__all__ = [
    "tiny_tiff",
    "tree",
    "wild_names",
    "write_afi",
    "write_cws",
    "write_menarini",
    "write_mirax",
    "write_ndpis",
    "write_pyramidal_tiff",
    "write_svs",
    "write_vms",
    "write_vmu",
    "write_vsi",
]


def tiny_tiff(size: int) -> bytes:
    """A TIFF with a directory and `size` bytes of picture, which are random."""
    tags = ((256, size), (257, 1), (273, 62), (279, size))  # width, height, where the only strip is, and its bytes
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<4sIH", b"II*\0", 8, len(tags)) + entries + bytes(4) + os.urandom(size)


def write_vsi(path: Path, *, stacks: int = 2, size: int = 5_000) -> Path:
    """A cellSens set: `n.vsi`, `_n_/stack1/frame_t.ets`, ... and another file, as the scanner leaves them."""
    folder = path.parent / f"_{path.stem}_"
    for number in range(stacks):
        stack = folder / f"stack{1 if number == 0 else 10000 + number}"
        stack.mkdir(parents=True, exist_ok=True)
        (stack / "frame_t.ets").write_bytes(b"SIS\0" + os.urandom(size))
    (folder / "stack1" / "frame_t.meicom").write_bytes(b"about the frame")
    path.write_bytes(b"II*\0" + os.urandom(400))
    return path


def write_ndpis(path: Path, *, names: Sequence[str] | None = None, size: int = 3_000) -> Path:
    """A Hamamatsu image set: `n.ndpis` and its `.ndpi` files beside it (`n-DAPI.ndpi`, ... unless named)."""
    names = [f"{path.stem}-{channel}.ndpi" for channel in ("DAPI", "FITC", "TRITC")] if names is None else names
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path.parent / name).write_bytes(tiny_tiff(size))
    lines = ["[NanoZoomer Digital Pathology Image Set]", f"NoImages={len(names)}"]
    lines += [f"Image{number}={name}" for number, name in enumerate(names)]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    return path


def write_afi(path: Path, *, names: Sequence[str] | None = None) -> Path:
    """An Aperio fused image: `n.afi` and its `.svs` files beside it (`n_DAPI.svs`, ... unless named)."""
    names = [f"{path.stem}_{channel}.svs" for channel in ("DAPI", "FITC")] if names is None else names
    for number, name in enumerate(names):
        write_svs(path.parent / name, width=256, height=256, seed=number)
    images = "".join(
        f"<Image><Path>{name.replace('&', '&amp;').replace('<', '&lt;')}</Path><ID>{number}</ID></Image>"
        for number, name in enumerate(names)
    )
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\r\n<ImageList>{images}</ImageList>\r\n', encoding="utf-8")
    return path


def _ini(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    return path


def write_vms(path: Path, *, columns: int = 2, rows: int = 1, layers: int = 1, folder: str = "") -> Path:
    """A Hamamatsu VMS as a NanoZoomer leaves it; OpenSlide opens it. `folder` stands before the names in the index."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def jpeg(name: str, width: int, height: int, **options: int) -> str:
        Image.new("RGB", (width, height), (220, 160, 190)).save(path.parent / name, "JPEG", **options)
        return folder + name

    lines = ["[Virtual Microscope Specimen]", f"NoLayers={layers}", f"NoJpegColumns={columns}", f"NoJpegRows={rows}"]
    for layer in range(layers):
        for column, row in ((column, row) for row in range(rows) for column in range(columns)):
            cell = ",".join(map(str, ([layer] if layer else []) + ([column, row] if layer or column or row else [])))
            name = f"{path.stem}({cell}).jpg" if cell else f"{path.stem}.jpg"
            # OpenSlide finds its way in a picture by restart markers
            lines.append(f"ImageFile{f'({cell})' if cell else ''}={jpeg(name, 256, 128, restart_marker_blocks=4)}")
    lines.append(f"MapFile={jpeg(f'{path.stem}_map2.jpg', 64, 32, restart_marker_blocks=1)}")
    lines.append(f"MacroImage={jpeg(f'{path.stem}_macro.jpg', 64, 32)}")
    (path.parent / f"{path.stem}.opt").write_bytes(b"opt")
    lines += [f"OptimisationFile={folder}{path.stem}.opt", "PhysicalWidth=2000", "PhysicalHeight=500", "SourceLens=40"]
    return _ini(path, *lines)


def write_vmu(path: Path) -> Path:
    """The uncompressed kind: one NGR file, its map and the macro image. OpenSlide opens it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, width, height in ((f"{path.stem}_0.ngr", 64, 64), (f"{path.stem}_map.ngr", 16, 16)):
        header = b"GN" + bytes(2) + struct.pack("<3i", width, height, width) + bytes(8) + struct.pack("<i", 28)
        (path.parent / name).write_bytes(header + bytes(width * height * 6))
    Image.new("RGB", (64, 32)).save(path.parent / f"{path.stem}_macro.jpg", "JPEG")
    return _ini(
        path,
        *("[Uncompressed Virtual Microscope Specimen]", "NoLayers=1", f"ImageFile={path.stem}_0.ngr"),
        *(f"MapFile={path.stem}_map.ngr", f"MacroImage={path.stem}_macro.jpg", "BitsPerPixel=36", "PixelOrder=RGB"),
    )


def write_cws(folder: Path, *, tiles: int = 3) -> Path:
    """A composite web slide: its folder with two of the four indexes, tiles, thumbnail. Returns the main file."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, stem, count in (("SlideScan.ini", "Ss", 1), ("FinalScan.ini", "Da", tiles)):
        lines = ["[Header]", "iImageWidth=752", "iImageHeight=480", "lXStepSize=7520", "lYStepSize=4800"]
        for number in range(count):
            lines += [f"[{stem}{number}]", f"x={-7520 * number}", "y=0", "z=0"]
            (folder / f"{stem}{number}.jpg").write_bytes(b"\xff\xd8\xff" + os.urandom(300))
        _ini(folder / index, *lines)
    (folder / "SlideThumb.jpg").write_bytes(b"\xff\xd8\xff thumb")
    return folder / "SlideScan.ini"


def write_menarini(path: Path, *, tiles: int = 2) -> Path:
    """What a D-Sight might leave. Made up: see slides/menarini.py."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [f"{path.stem}_{number}.jpg" for number in range(tiles)]
    for name in names:
        (path.parent / name).write_bytes(b"\xff\xd8\xff tile")
    images = (f"Image{number}={name}" for number, name in enumerate(names))
    return _ini(path, "[General]", "Scanner=D-Sight 2.0", "[Images]", *images)


def wild_names() -> list[str]:
    """File names (stems) as people give them. All legal on Windows: the sandbox, like PMA.core, refuses others."""
    long = "a long name that goes on and on " * 6 + "to 200"
    return [
        "with space",
        " leading space",
        "two  spaces",
        "R&D",
        "a+b",
        "#7",
        "100%",
        "a%20b",
        "%2e%2e%2f",
        "it's",
        "‘quoted’",
        unicodedata.normalize("NFC", "Präparat Größe"),
        unicodedata.normalize("NFD", "Präparat Ähre"),
        "スライド標本",
        "عينة",
        "образец",
        long.ljust(200, "x")[:200],
        "スライド" * 20,  # 80 characters, 240 bytes in UTF-8
        "-leading-dash",
        "--to",
        "a;b",
        "a,b",
        "a=b",
        "🔬 microscope 👩🏽‍⚕️",
        "[a]",
        "{a}",
        "(a)",
        "$HOME",
        "~a",
        "^a",
        "`a`",
        "wow!",
        "a@b",
        "dots.in.the.name",
        "_n_",
    ]


def tree(folder: Path, *files: str, content: bytes = b"x") -> Path:
    """Writes small files, making the folders on the way; a name that ends in "/" is an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder
