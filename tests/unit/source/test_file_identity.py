"""A file that is replaced, or written anew, with its size and mtime kept: never two versions as one."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pmarep.errors import SourceError
from pmarep.slides import Slide, SlideFile
from pmarep.source import CHUNK, SharedReader, SiteReader, identity
from pmarep.source.identity import FileIdentities, identity_of
from pmarep.uploaders import Digests

SIZE = 3 * CHUNK + 5


def replace(path: Path, content: bytes) -> None:
    """As rsync does: another file is renamed over it."""
    stat, new = path.stat(), path.with_name("new")
    new.write_bytes(content)
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(path)


def rewrite(path: Path, content: bytes) -> None:
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


CHANGES = [replace, pytest.param(rewrite, marks=pytest.mark.skipif(sys.platform == "win32", reason="not seen there"))]


@pytest.fixture
async def reader() -> AsyncIterator[SharedReader]:
    reader = SharedReader()
    yield reader
    reader.close()


def written(path: Path) -> tuple[Slide, SlideFile]:
    path.write_bytes(os.urandom(SIZE))
    os.utime(path, ns=(10**18, 10**18))
    file = SlideFile(path.name, SIZE, 10**18)
    return Slide(path.name, "Aperio SVS", path.parent, (file,)), file


@pytest.mark.parametrize("change", CHANGES)
async def test_while_it_is_read(reader: SharedReader, tmp_path: Path, change: Callable[[Path, bytes], None]) -> None:
    slide, file = written(tmp_path / "a.svs")
    got: list[bytes] = []

    async def read() -> None:
        async for chunk in SiteReader(reader).read(slide, file):
            if not got:
                change(tmp_path / "a.svs", os.urandom(SIZE))
            got.append(chunk)

    with pytest.raises(SourceError, match="was replaced while being sent, though its size and time are the same"):
        await read()
    assert sum(map(len, got)) < SIZE


@pytest.mark.parametrize("change", CHANGES)
async def test_between_two_parts_and_two_sites(
    reader: SharedReader, tmp_path: Path, change: Callable[[Path, bytes], None]
) -> None:
    slide, file = written(tmp_path / "a.svs")
    one, other = SiteReader(reader), SiteReader(reader)
    assert [len(chunk) async for chunk in one.read(slide, file, 0, CHUNK)] == [CHUNK]
    change(tmp_path / "a.svs", os.urandom(SIZE))
    for source in (one, other):
        with pytest.raises(SourceError, match="was replaced"):
            await anext(source.read(slide, file, CHUNK, CHUNK))
        with pytest.raises(SourceError, match="was replaced"):
            await source.check(slide)
    digests = Digests(reader)
    with pytest.raises(SourceError, match="was replaced"):
        await digests.sha256(slide, file)
    digests.close()


async def test_a_file_that_was_not_opened_yet_may_be_replaced(reader: SharedReader, tmp_path: Path) -> None:
    """All of it is then the new one."""
    slide, file = written(tmp_path / "a.svs")
    replace(tmp_path / "a.svs", content := os.urandom(SIZE))
    assert b"".join([chunk async for chunk in SiteReader(reader).read(slide, file)]) == content


async def test_a_slide_is_the_same_for_a_later_run_until_a_file_is_replaced(tmp_path: Path) -> None:
    slide, _ = written(tmp_path / "a.svs")

    async def look() -> str:
        reader = SharedReader()
        try:
            return await SiteReader(reader).check(slide)
        finally:
            reader.close()

    before = await look()
    assert await look() == before
    replace(tmp_path / "a.svs", os.urandom(SIZE))
    assert await look() != before


def test_inodes_that_are_made_up_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SMB, FUSE and memory cards give a file another one whenever the kernel has forgotten it."""
    written(tmp_path / "a.svs")
    info = (tmp_path / "a.svs").stat()
    for kind, counts in ((None, True), ("ext4", True), ("nfs4", True), ("cifs", False), ("fuse.sshfs", False)):
        monkeypatch.setattr(identity, "file_system_of", lambda _, kind=kind: kind)
        assert (identity_of(info)[0] == info.st_ino) is counts


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "REMEMBERED", 3)
    known = FileIdentities()
    for number in range(5):
        assert known.is_same("in hand", (1, 1))
        assert known.is_same(number, (1, 1))
    assert not known.is_same("in hand", (1, 2))
    assert known.is_same(0, (2, 2))
