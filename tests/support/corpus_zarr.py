"""Zarr and OME-Zarr folders to test with, with the files that zarr-python 2 and 3 write."""

from __future__ import annotations

import json
from pathlib import Path

from support.corpus import tree

_ARRAY = {"chunks": [64, 64], "compressor": None, "dtype": "|u1", "fill_value": 0, "filters": None, "order": "C"}


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_zarr(folder: Path, *, version: int = 2, levels: int = 2) -> Path:
    """An OME-Zarr of that version of Zarr, with four chunks on each level. Returns the main file."""
    paths = [str(level) for level in range(levels)]
    multiscales = [{"version": "0.4" if version == 2 else "0.5", "datasets": [{"path": path} for path in paths]}]
    for path in paths:
        if version == 2:
            _json(folder / path / ".zarray", {**_ARRAY, "shape": [128, 128], "zarr_format": 2})
            tree(folder / path, "0/0", "0/1", "1/0", "1/1", content=b"chunk" * 10)
        else:
            _json(folder / path / "zarr.json", {"zarr_format": 3, "node_type": "array", "shape": [128, 128]})
            tree(folder / path, "c/0/0", "c/0/1", "c/1/0", "c/1/1", content=b"chunk" * 10)
    if version == 2:
        _json(folder / ".zgroup", {"zarr_format": 2})
        _json(folder / ".zattrs", {"multiscales": multiscales})
        return folder / ".zattrs"
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"multiscales": multiscales}}}
    _json(folder / "zarr.json", group)
    return folder / "zarr.json"
