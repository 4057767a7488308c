from __future__ import annotations

import errno
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pmarep.errors import SourceAway, SourceError
from pmarep.slides import Slide, SlideFile
from pmarep.source import CHUNK, FileVersion, SharedReader, SiteReader
from pmarep.source.files import open_version


@pytest.fixture
async def source() -> AsyncIterator[SiteReader]:
    reader = SharedReader()
    source = SiteReader(reader)
    yield source
    source.close()
    reader.close()


def slide_of(path: Path) -> tuple[Slide, SlideFile]:
    stat = path.stat()
    file = SlideFile(path.name, stat.st_size, stat.st_mtime_ns)
    return Slide(path.name, "Aperio SVS", path.parent, (file,)), file


def written(folder: Path, content: bytes) -> Path:
    path = folder / "a.svs"
    path.write_bytes(content)
    return path


async def read(source: SiteReader, path: Path, start: int = 0, length: int | None = None) -> list[bytes]:
    return [chunk async for chunk in source.read(*slide_of(path), start, length)]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
async def test_a_whole_file(source: SiteReader, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    chunks = await read(source, written(tmp_path, content))
    assert b"".join(chunks) == content
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    assert len(chunks) == -(-size // CHUNK)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 3 * CHUNK), st.integers(0, 3 * CHUNK))
async def test_any_range(tmp_path: Path, one: int, other: int) -> None:
    start, end = sorted((one, other))
    content = bytes(range(251)) * (3 * CHUNK // 251 + 1)
    reader = SharedReader()
    source = SiteReader(reader)
    try:
        assert b"".join(await read(source, written(tmp_path, content), start, end - start)) == content[start:end]
    finally:
        reader.close()


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def shrink(path: Path) -> None:
    os.truncate(path, 10)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def other_file(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(os.urandom(path.stat().st_size))
    new.replace(path)


@pytest.mark.parametrize("change", [grow, shrink, touch, other_file, Path.unlink])
@pytest.mark.parametrize("size", [0, 50, 2 * CHUNK + 50])
async def test_a_change_before(source: SiteReader, tmp_path: Path, change: object, size: int) -> None:
    path = written(tmp_path, os.urandom(size))
    slide, file = slide_of(path)
    assert callable(change)
    if size == 0 and change in (shrink, other_file):
        touch(path)
    else:
        change(path)
    with pytest.raises(SourceError, match=r"a\.svs"):
        assert [chunk async for chunk in source.read(slide, file)] == []
    with pytest.raises(SourceError, match=r"a\.svs"):
        await source.check(slide)


@pytest.mark.parametrize("change", [grow, shrink, touch, other_file, Path.unlink])
async def test_a_change_in_the_middle_comes_before_the_last_chunk(
    source: SiteReader, tmp_path: Path, change: object
) -> None:
    """So the request that carries the file never becomes complete."""
    assert callable(change)
    path = written(tmp_path, os.urandom(4 * CHUNK))
    got = 0

    async def read_and_change() -> None:
        nonlocal got
        async for chunk in source.read(*slide_of(path)):
            got += len(chunk)
            if got == 2 * CHUNK:
                change(path)

    with pytest.raises(SourceError, match=r"a\.svs"):
        await read_and_change()
    assert got < 4 * CHUNK


@pytest.mark.parametrize("call", ["fstat", "stat"])
@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, 0])
async def test_a_network_drive_that_fails_is_an_error_of_the_source(
    source: SiteReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """So it fails this slide, and no other."""
    path = written(tmp_path, b"x")
    slide, file = slide_of(path)
    error = OSError(code, os.strerror(code)) if code else OSError()

    def fail(*_args: object, **_options: object) -> os.stat_result:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(os if call == "fstat" else type(path), call, fail)
        with pytest.raises(SourceError, match=r"cannot read .*a\.svs: "):
            assert [chunk async for chunk in source.read(slide, file)] == []
    assert [chunk async for chunk in source.read(slide, file)] == [b"x"]


class CodedError(OSError):
    def __init__(self, code: int, winerror: int | None) -> None:
        super().__init__(code, os.strerror(code))
        self.winerror = winerror


GONE = CodedError(errno.ENOENT, 2)
NO_NETWORK = CodedError(errno.EINVAL, 59)


@pytest.mark.parametrize(
    ("opening", "looking", "away"),
    [
        (CodedError(errno.EINVAL, None), NO_NETWORK, True),
        (CodedError(errno.ENOENT, None), NO_NETWORK, True),
        (CodedError(errno.EINVAL, None), None, True),
        (CodedError(errno.EINVAL, None), GONE, False),
        (CodedError(errno.ENOENT, None), GONE, False),
        (CodedError(errno.EACCES, None), None, False),
        (CodedError(errno.EINVAL, 59), None, True),
        (CodedError(errno.EINVAL, 87), None, False),
    ],
)
def test_a_network_drive_that_is_away_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: OSError, looking: OSError | None, away: bool
) -> None:
    """open() goes through the C library, which knows no codes of Windows; stat() does not."""
    slide, file = slide_of(written(tmp_path, b"x"))

    def failing(error: OSError | None) -> Callable[..., None]:
        def fail(*_args: object, **_options: object) -> None:
            if error is not None:
                raise error

        return fail

    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        patched.setattr(Path, "open", failing(opening))
        patched.setattr(Path, "stat", failing(looking))
        with pytest.raises(SourceError) as caught:
            open_version(FileVersion.of(slide, file))
    assert isinstance(caught.value, SourceAway) == away


def test_an_invalid_argument_is_no_network_drive_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide, file = slide_of(written(tmp_path, b"x"))

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SourceError) as caught:
        open_version(FileVersion.of(slide, file))
    assert not isinstance(caught.value, SourceAway)


async def test_check_looks_at_every_file(source: SiteReader, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    files = []
    for name in ("m/1.dat", "m/2.dat", "m.mrxs"):
        (tmp_path / name).write_bytes(b"x")
        files.append(SlideFile(name, 1, (tmp_path / name).stat().st_mtime_ns))
    slide = Slide("m.mrxs", "3DHISTECH MIRAX", tmp_path, tuple(files))
    await source.check(slide)
    touch(tmp_path / "m" / "2.dat")
    with pytest.raises(SourceError, match=r"2\.dat changed"):
        await source.check(slide)


async def test_the_name_on_the_disk_may_differ_from_the_announced_one(source: SiteReader, tmp_path: Path) -> None:
    (tmp_path / "DATA.DAT").write_bytes(b"abc")
    file = SlideFile("Data.dat", 3, (tmp_path / "DATA.DAT").stat().st_mtime_ns, local_name="DATA.DAT")
    slide = Slide("m.mrxs", "3DHISTECH MIRAX", tmp_path, (file,))
    assert [chunk async for chunk in source.read(slide, file)] == [b"abc"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at Linux's /proc")
async def test_a_reader_that_stops_early_closes_the_file(source: SiteReader, tmp_path: Path) -> None:
    path = written(tmp_path, os.urandom(3 * CHUNK))
    chunks = source.read(*slide_of(path))
    await anext(chunks)
    await chunks.aclose()
    held = [os.fspath(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.exists()]
    assert str(path) not in held
