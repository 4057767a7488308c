"""Slides to test with, small and as real as the format allows. Import it as `from corpus import write_svs`."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from pmarep.sandbox.samples import write_mirax, write_pyramidal_tiff, write_svs

__all__ = [
    "tree",
    "wild_names",
    "write_afi",
    "write_mirax",
    "write_ndpis",
    "write_pyramidal_tiff",
    "write_svs",
    "write_vsi",
]


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
        (path.parent / name).write_bytes(b"II*\0" + os.urandom(size))
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
