"""Results of `prepare`: how they are read, examined, kept and remembered."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from support.corpus import tiny_tiff, write_cws, write_mirax, write_vsi
from support.corpus_dicom import write_dicom, write_dicomdir
from support.corpus_zarr import write_zarr
from support.fork_server import PATIENCE

from pmarep.errors import SourceError
from pmarep.slides import Slide, find_slides
from pmarep.slides.model import SlideFile
from pmarep.source import FileVersion
from pmarep.source.prepared import (
    KnownResults,
    NoRoomError,
    NotPrepared,
    PreparedFiles,
    PreparedSlide,
    Result,
    ResultCache,
    ResultError,
)
from pmarep.source.prepared.known import result_key
from pmarep.source.prepared.result import examine
from pmarep.state.records import signature

KIB = 1024


def slide_in(folder: Path) -> Slide:
    """The one slide in a folder."""
    [slide] = [one for one in find_slides(folder) if isinstance(one, Slide)]
    return slide


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "cases"
    folder.mkdir()
    return folder


def prepared(slide: Slide, folder: Path) -> PreparedSlide:
    return PreparedSlide(slide.path, slide.format, folder, slide.files, 7, source=slide, command="c")


# PreparedFiles


@pytest.fixture
def files(tmp_path: Path) -> PreparedFiles:
    (tmp_path / "results" / "1-a").mkdir(parents=True)
    return PreparedFiles(tmp_path / "results")


def test_a_result_is_read(files: PreparedFiles, tmp_path: Path) -> None:
    path = tmp_path / "results" / "1-a" / "x.svs"
    path.write_bytes(b"clean")
    version = FileVersion(str(path), 5, path.stat().st_mtime_ns)
    files.check(version)
    handle = files.open(version)
    assert handle.read(0, 5) == b"clean"
    handle.close()
    path.unlink()
    for call in (files.open, files.check):
        with pytest.raises(NotPrepared):
            call(version)


@pytest.mark.parametrize("how", ["as it is", "by ..", "by a link", "by a folder that is a link"])
async def test_no_file_of_the_source_is_opened(files: PreparedFiles, tmp_path: Path, source: Path, how: str) -> None:
    raw = source / "x.svs"
    raw.write_bytes(tiny_tiff(100))
    results = tmp_path / "results"
    (results / "1-a" / "x.svs").symlink_to(raw)
    (results / "1-b").symlink_to(source)
    path = {
        "as it is": raw,
        "by ..": results / ".." / "cases" / "x.svs",
        "by a link": results / "1-a" / "x.svs",
        "by a folder that is a link": results / "1-b" / "x.svs",
    }[how]
    info = raw.stat()
    with pytest.raises(SourceError):
        files.open(FileVersion(str(path), info.st_size, info.st_mtime_ns))
    slide = slide_in(source)
    for look in (files.check_slide, files.check_content, files.label_images):
        with pytest.raises(SourceError, match="was not made by prepare"):
            await look(slide)
        with pytest.raises(SourceError, match="was not made by prepare"):
            await look(prepared(slide, source))


# examine


def write_svs(folder: Path) -> None:
    (folder / "Müller & Söhne #1.svs").write_bytes(tiny_tiff(100))


FORMATS: dict[str, Callable[[Path], object]] = {
    "svs": write_svs,
    "mirax": lambda folder: write_mirax(folder / "m.mrxs"),
    "vsi": lambda folder: write_vsi(folder / "v.vsi"),
    "dicom": write_dicom,
    "dicomdir": write_dicomdir,
    "zarr": lambda folder: write_zarr(folder / "z.zarr"),
    "cws": write_cws,
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_a_copy_of_a_slide_is_a_result(tmp_path: Path, source: Path, write: Callable[[Path], object]) -> None:
    (source / "deep").mkdir()
    write(source / "deep")
    slide = slide_in(source)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        shutil.copytree(source / "deep", folder, copy_function=shutil.copyfile)
    one, two = (examine(folder, slide) for folder in folders)
    assert slide.path.endswith(f"/{one.path}")
    assert {file.path: file.size for file in one.files} == {file.path: file.size for file in slide.files}
    assert signature(one) == signature(two)
    for file in one.files:
        assert one.local(file).stat().st_mtime_ns == file.mtime_ns


def test_other_bytes_of_the_same_size_are_another_version(tmp_path: Path, source: Path) -> None:
    write_svs(source)
    slide = slide_in(source)
    found = []
    for name in ("one", "two"):
        shutil.copytree(source, tmp_path / name)
        with next((tmp_path / name).iterdir()).open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            file.write(name[:1].encode())
        found.append(examine(tmp_path / name, slide))
    assert found[0].size == found[1].size
    assert signature(found[0]) != signature(found[1])


def test_a_file_that_nobody_may_write_to_is_a_result(tmp_path: Path, source: Path) -> None:
    write_svs(source)
    shutil.copytree(source, tmp_path / "out")
    copy = next((tmp_path / "out").iterdir())
    copy.chmod(0o400)
    examine(tmp_path / "out", slide_in(source))


@pytest.mark.parametrize("write", [FORMATS["mirax"], FORMATS["dicom"]], ids=["mirax", "dicom"])
def test_what_is_no_file_of_the_result_does_not_stay(
    tmp_path: Path, source: Path, write: Callable[[Path], object]
) -> None:
    """A script's copy for safety is the raw slide, and no size of the cache would be of it."""
    write(source)
    out = tmp_path / "out"
    shutil.copytree(source, out)
    before = set(out.rglob("*"))
    (out / "more").mkdir()
    for name in ("before.bak", "more/log.xyz", ".hidden"):
        (out / name).write_bytes(b"PATIENT")
    (out / "link").symlink_to("more")
    found = examine(out, slide_in(source))
    assert {path for path in out.rglob("*") if path.is_file()} == {found.local(file) for file in found.files}
    assert before <= set(out.rglob("*"))


def copy_with(copy: Callable[..., object]) -> Callable[[Path, Path], object]:
    def write(source: Path, out: Path) -> None:
        shutil.copy(source / "m.mrxs", out)
        shutil.copytree(source / "m", out / "m", copy_function=copy)

    return write


def without_a_file(source: Path, out: Path) -> None:
    copy_with(shutil.copy)(source, out)
    (out / "m" / "Data0001.dat").unlink()


def with_a_link(source: Path, out: Path) -> None:
    shutil.copy(source / "m.mrxs", out)
    (out / "m").symlink_to(source / "m")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda source, out: shutil.copy(source / "m.mrxs", out), "its folder m/ is missing"),
        (without_a_file, "missing: m/Data0001.dat"),
        (with_a_link, "a link that leads out"),
        (copy_with(os.symlink), "missing: m/Slidedat.ini"),
        (copy_with(os.link), "Slidedat.ini as a link to another file; it has to copy"),
        (lambda source, out: shutil.copy(source / "m.mrxs", out / "m.svs"), "has left m.svs, where m.mrxs was to be"),
        (lambda source, out: shutil.copy(source / "m.mrxs", out / ".m.mrxs"), "nothing that is a slide"),
        (lambda source, out: shutil.copytree(source, out / "x"), "has left x/m.mrxs, where m.mrxs was to be"),
    ],
    ids=["no folder", "a file less", "folder is a link", "links", "hard links", "ending", "hidden", "folder"],
)
def test_half_a_slide_and_parts_of_the_source_are_no_result(
    tmp_path: Path, source: Path, write: Callable[[Path, Path], object], words: str
) -> None:
    FORMATS["mirax"](source)
    (tmp_path / "out").mkdir()
    before = {path: path.stat() for path in source.rglob("*")}
    write(source, tmp_path / "out")
    with pytest.raises(ResultError, match=re.escape(words)):
        examine(tmp_path / "out", slide_in(source))
    for path, info in before.items():
        assert (path.stat().st_mtime_ns, path.stat().st_mode) == (info.st_mtime_ns, info.st_mode)


# ResultCache


def result(cache: ResultCache, content: bytes) -> str:
    folder = cache.work_folder()
    (folder / "x.svs").write_bytes(content)
    return cache.keep(folder, len(content))


def names(cache: ResultCache) -> set[str]:
    return {path.name for path in cache.results.iterdir()}


async def test_what_was_used_longest_ago_goes_first_and_nothing_that_is_held(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache", 30 * KIB)
    kept = [result(cache, bytes(10 * KIB)) for _ in range(3)]
    for age, name in enumerate(reversed(kept)):
        os.utime(cache.results / name, (1e9 - age, 1e9 - age))
    assert cache.hold(kept[0])
    os.utime(cache.results / kept[0], (1, 1))
    cache.free(await cache.reserve(5 * KIB))
    assert names(cache) == {kept[0], kept[2]}
    with pytest.raises(NoRoomError, match=r"prepare needs room for 31.0 KiB, and the cache has 30.0 KiB"):
        await cache.reserve(31 * KIB)
    cache.close()


async def test_a_reservation_waits_for_what_is_held_here(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache", 10 * KIB)
    name = result(cache, bytes(10 * KIB))
    assert cache.hold(name)
    waiting = asyncio.create_task(cache.reserve(8 * KIB))
    while not cache._turn.locked():
        await asyncio.sleep(0)
    assert not waiting.done()
    cache.release(name)
    await waiting
    assert names(cache) == set()
    assert not cache.hold(name)
    cache.close()


async def test_room_that_is_given_back_during_a_look_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pmarep.source.prepared.cache.LOOK_SECONDS", 2 * PATIENCE)
    cache = ResultCache(tmp_path / "cache", 10 * KIB)
    other = await cache.reserve(6 * KIB)
    look, loop = cache._look, asyncio.get_running_loop()

    def look_slowly() -> object:
        found = look()
        loop.call_soon_threadsafe(cache.free, other)  # as where a command fails
        return found

    monkeypatch.setattr(cache, "_look", look_slowly)
    async with asyncio.timeout(PATIENCE):
        await cache.reserve(8 * KIB)
    cache.close()


async def test_what_another_run_holds_stays(tmp_path: Path) -> None:
    first, second = (ResultCache(tmp_path / "cache", 10 * KIB) for _ in range(2))
    name = result(first, bytes(6 * KIB))
    first.hold(name)
    second._released.notify()
    looked = await second._make_room(8 * KIB)
    assert (looked.excess > 0, looked.removed, looked.awaited) == (True, False, True)
    first.close()  # as by its end: nobody holds it now
    await second.reserve(8 * KIB)
    assert names(second) == set()
    second.close()
    assert list((tmp_path / "cache" / "runs").iterdir()) == []


async def test_nobody_waits_for_what_a_killed_run_held(tmp_path: Path) -> None:
    first, second = (ResultCache(tmp_path / "cache", 10 * KIB) for _ in range(2))
    first.hold(result(first, bytes(6 * KIB)))
    first._lock.release()  # as a kill does
    async with asyncio.timeout(PATIENCE):
        await second.reserve(8 * KIB)
    assert names(second) == set()
    second.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_folders_that_others_could_read_become_private(tmp_path: Path) -> None:
    for name in ("results", "runs"):
        (tmp_path / "cache" / name).mkdir(parents=True, mode=0o755)
    cache = ResultCache(tmp_path / "cache", 10 * KIB)
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "cache").iterdir()} == {
        "results": 0o700, "runs": 0o700,
    }  # fmt: skip
    cache.close()


async def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ResultCache(tmp_path / "cache", 10 * KIB)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(NoRoomError, match=r"its disk is full; make room there"):
        await cache.reserve(KIB)
    cache.close()


async def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows where another program reads it. To try again and again would never end."""
    cache = ResultCache(tmp_path / "cache", 10 * KIB)
    name = result(cache, bytes(10 * KIB))
    monkeypatch.setattr("pmarep.source.prepared.cache.remove_tree", lambda _: None)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NoRoomError, match=f"{name} cannot be removed; make room there"):
            await cache.reserve(KIB)
    monkeypatch.undo()
    cache.free(await cache.reserve(KIB))
    assert names(cache) == set()
    cache.close()


@pytest.mark.parametrize(("platform", "kept"), [("win32", True), ("linux", False)])
def test_a_virus_scanner_that_reads_a_new_result_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, kept: bool
) -> None:
    cache = ResultCache(tmp_path / "cache", None)
    rename, refusals = Path.rename, [PermissionError(13, "Access is denied")] * 3

    def refused(path: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return rename(path, target)

    work = cache.work_folder()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        patch.setattr(sys, "platform", platform)
        patch.setattr("pmarep.source.prepared.cache.KEEP_PAUSE_SECONDS", 0.0)
        with nullcontext() if kept else pytest.raises(PermissionError):
            assert cache.keep(work, 0) in names(cache)
    cache.close()


def test_what_a_killed_run_has_left_is_removed(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache", None)
    work = cache.work_folder()
    (work / "half.svs").write_bytes(b"PATIENT")
    (work / "link").symlink_to(tmp_path)
    cache._lock.release()  # as a kill does
    ResultCache(tmp_path / "cache", None).close()
    assert list((tmp_path / "cache" / "runs").iterdir()) == []
    assert tmp_path.is_dir()


# KnownResults


def test_results_are_remembered(tmp_path: Path, source: Path) -> None:
    write_svs(source)
    slide = slide_in(source)
    file = tmp_path / "results.sqlite"
    found = Result("10-a", "x\udcff.svs", "Aperio SVS", (SlideFile("x\udcff.svs", 3, 4, "X.svs"),))
    known = KnownResults(file)
    key = result_key(slide, "c")
    known.put(key, found)
    known.close()
    for read_only in (True, False):
        known = KnownResults(file, read_only=read_only)
        assert known.find([key, "other"]) == {key: found}
        known.put("more", found)
        known.close()
    assert file.stat().st_mode & 0o077 == 0
    known = KnownResults(file, read_only=True)
    assert set(known.find(["more"])) == {"more"}
    known.close()


def test_the_key_is_of_the_command_the_files_and_their_folder(source: Path) -> None:
    write_svs(source)
    slide = slide_in(source)
    later = replace(slide, files=(replace(slide.main, mtime_ns=1),))
    elsewhere = replace(slide, folder=source / "other")
    keys = [result_key(slide, "c"), result_key(slide, "d"), result_key(later, "c"), result_key(elsewhere, "c")]
    assert len(set(keys)) == 4
    assert result_key(replace(slide, number=3), "c") == keys[0]


@pytest.mark.parametrize("content", [b"no database" * 100, b""])
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "results.sqlite"
    file.write_bytes(content)
    for read_only in (True, False):
        known = KnownResults(file, read_only=read_only)
        assert known.find(["a"]) == {}
        known.close()
