"""What is looked at before a slide is sent: broken files, and odd ones that readers take all the same."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpus import write_ndpis, write_pyramidal_tiff, write_svs
from support.discovery import discover

from pmarep.slides import Cause, Slide, SlideFile
from pmarep.slides.content import check_content
from pmarep.slides.model import BrokenFileError
from pmarep.slides.tiff import TiffError
from pmarep.slides.tiff_layout import check_layout


def slide_of(path: Path) -> Slide:
    return Slide(path.name, "?", path.parent, (SlideFile(path.name, path.stat().st_size, 0),))


def broken(path: Path) -> BrokenFileError:
    with pytest.raises(BrokenFileError) as caught:
        check_content(slide_of(path))
    return caught.value


def entry(order: str, tag: int, kind: int, count: int, value: int) -> bytes:
    if kind == 3 and count == 1:
        return struct.pack(f"{order}HHIHH", tag, kind, count, value, 0)
    return struct.pack(f"{order}HHII", tag, kind, count, value)


def classic(order: str, entries: list[tuple[int, int, int, int]], *, following: int = 0) -> bytes:
    """A TIFF with one directory at 8."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return (
        head
        + struct.pack(f"{order}H", len(entries))
        + b"".join(entry(order, *one) for one in entries)
        + struct.pack(f"{order}I", following)
    )


@pytest.mark.parametrize("write", [write_svs, write_pyramidal_tiff])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_a_copy_that_broke_off(tmp_path: Path, write: Callable[..., Path], part: float) -> None:
    path = write(tmp_path / "a.svs")
    check_content(slide_of(path))
    os.truncate(path, int(path.stat().st_size * part))
    assert "cut off" in str(broken(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(big=st.booleans(), order=st.sampled_from("<>"), tiled=st.booleans(), sub=st.integers(0, 2), data=st.data())
def test_whole_ones_pass_and_torn_ones_do_not(
    tmp_path: Path, big: bool, order: Literal["<", ">"], tiled: bool, sub: int, data: st.DataObject
) -> None:
    """Whatever tifffile writes."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as tiff:
        tile = (16, 16) if tiled else None
        tiff.write(shape=(64, 48), dtype="uint8", tile=tile, subifds=sub, metadata=None)
        for _ in range(sub):
            tiff.write(shape=(32, 24), dtype="uint8", tile=tile, metadata=None)
    check_layout(str(path))
    size = path.stat().st_size
    os.truncate(path, data.draw(st.integers(8, size // 2)))
    with pytest.raises(TiffError):
        check_layout(str(path))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    "entries",
    [
        [(324, 3, 1, 8), (325, 3, 1, 4)],  # an offset inside the head
        [(324, 4, 1, 0), (325, 4, 1, 0)],  # a tile of no bytes, as Philips leaves them
        [(324, 4, 1, 8)],  # no byte counts
        [(259, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 99_999_999)],  # more bytes than there are, not compressed
        [(259, 3, 1, 5), (273, 4, 1, 8), (279, 4, 1, 99_999_999)],  # LZW, as LSM has it
        [(256, 3, 1, 7)],  # no picture at all
        [(273, 99, 1, 7)],  # a type that nobody knows
    ],
)
def test_odd_ones_pass(tmp_path: Path, order: str, entries: list[tuple[int, int, int, int]]) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(classic(order, entries))
    check_layout(str(path))


@pytest.mark.parametrize(
    ("entries", "following"),
    [
        ([(324, 4, 1, 5000)], 0),
        ([(273, 4, 1, 5000)], 0),
        ([(324, 4, 9000, 60)], 0),
        ([(259, 3, 1, 7), (324, 4, 1, 20), (325, 4, 1, 5000)], 0),
        ([(330, 4, 1, 5000)], 0),
        ([(256, 3, 1, 7)], 5000),
    ],
)
def test_offsets_behind_the_end(tmp_path: Path, entries: list[tuple[int, int, int, int]], following: int) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(classic("<", entries, following=following))
    with pytest.raises(TiffError, match="cut off"):
        check_layout(str(path))


def test_directories_in_a_circle_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(classic("<", [(256, 3, 1, 7)], following=8))
    check_layout(str(path))


def test_large_ones_that_are_no_bigtiff_pass(tmp_path: Path) -> None:
    """NDPI keeps the high bits of its offsets elsewhere."""
    path = tmp_path / "a.ndpi"
    path.write_bytes(b"II*\0" + struct.pack("<Q", (1 << 32) + 100))
    os.truncate(path, (1 << 32) + 200)
    check_content(slide_of(path))


@given(st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"]), st.binary(max_size=300))
def test_rubbish_does_no_harm(tmp_path_factory: pytest.TempPathFactory, magic: bytes, rest: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.tif"
    path.write_bytes(magic + rest)
    with suppress(TiffError):
        check_layout(str(path))


@pytest.mark.parametrize(
    ("content", "cause", "words"),
    [
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html><title>Sign in</title>", Cause.WEB_PAGE, "web page"),
        (b"<html lang=de>", Cause.WEB_PAGE, "web page"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', Cause.WEB_PAGE, "error message"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", Cause.POINTER, "git-lfs"),
        (b"/annex/objects/SHA256E-s1--abc.svs", Cause.POINTER, "git-annex"),
        (bytes(100_000), Cause.BROKEN, "zeros"),
        (bytes(64), Cause.BROKEN, "zeros"),
    ],
)
@pytest.mark.parametrize("name", ["a.svs", "a.czi", "a.jpg", "a.isyntax"])
def test_other_things_called_like_a_slide(tmp_path: Path, name: str, content: bytes, cause: Cause, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = broken(path)
    assert (error.cause, words in str(error)) == (cause, True)


@pytest.mark.parametrize(
    "content",
    [b"x", b"<?xml version='1.0'?><DataObject ObjectType='DPUfsImport'>", bytes(9000) + b"end", b"GIF89a", b"text"],
)
def test_unknown_formats_pass(tmp_path: Path, content: bytes) -> None:
    """The server knows more formats than we do."""
    path = tmp_path / "a.isyntax"
    path.write_bytes(content)
    check_content(slide_of(path))


def test_a_broken_channel_names_itself(tmp_path: Path) -> None:
    write_ndpis(tmp_path / "n.ndpis")
    write_svs(tmp_path / "n-FITC.ndpi")
    os.truncate(tmp_path / "n-FITC.ndpi", 50_000)
    with pytest.raises(BrokenFileError, match=r"n-FITC\.ndpi: cut off"):
        check_content(discover(tmp_path).slide("n.ndpis"))
