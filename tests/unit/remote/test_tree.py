"""Folders and slides below a place: in order, each once, and what is not told is said."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, cast

import pytest

from pmarep.pmacore import NotFound, PermissionDenied, PmaCore, ProtocolError, Refused, RemoteFile, Unreachable
from pmarep.remote.tree import MOST_LEVELS, Found, RemoteFolder, RemoteSlide, RemoteTree, Unlisted


class FakeCore:
    """Folders with their slides and slides with their files, by virtual path; an error in their place is raised."""

    def __init__(self, folders: dict[str, Any], files: dict[str, Any] | None = None) -> None:
        self.folders = folders
        self.files = files or {}
        self.asked = 0
        self.most = 0

    async def _answer(self, found: Any) -> Any:
        self.asked += 1
        self.most = max(self.most, self.asked)
        await asyncio.sleep(0)
        self.asked -= 1
        if isinstance(found, Exception):
            raise found
        return found

    async def root_directories(self) -> Any:
        return await self._answer([path for path in self.folders if "/" not in path])

    async def directories(self, path: str) -> Any:
        return await self._answer([one for one in self.folders if one.rpartition("/")[0] == path])

    async def slides(self, path: str) -> Any:
        return await self._answer(self.folders[path])

    async def slide_files(self, path: str) -> Any:
        return await self._answer(self.files.get(path, [file(path)]))


def file(path: str, size: int = 7) -> RemoteFile:
    return RemoteFile.read({"Path": path, "Size": size}, "GetFilenames")


def walk(core: FakeCore, path: str = "R", **options: Any) -> list[Found]:
    async def go() -> list[Found]:
        async with aclosing(RemoteTree(cast(PmaCore, core)).walk(RemoteFolder(path), **options)) as found:
            return [one async for one in found]

    return asyncio.run(go())


def find(core: FakeCore, path: str) -> RemoteFolder | RemoteSlide:
    return asyncio.run(RemoteTree(cast(PmaCore, core)).find(path))


def test_slides_first_then_each_folder_with_what_is_in_it() -> None:
    core = FakeCore({"R": ["R/b.svs", "R/A.svs"], "R/y": [], "R/X": ["R/X/c.svs"], "R/X/z": ["R/X/z/d.svs"]})
    paths = [one.path for one in walk(core)]
    assert paths == ["R/A.svs", "R/b.svs", "R/X", "R/X/c.svs", "R/X/z", "R/X/z/d.svs", "R/y"]
    assert [one.path for one in walk(core, recursive=False)] == ["R/A.svs", "R/b.svs", "R/X", "R/y"]
    assert walk(core, files=False)[0] == RemoteSlide("R/A.svs")


def test_the_main_file_of_a_slide_comes_last_however_the_server_spells_it() -> None:
    files = [file("R/M.mrxs", 3), file("R/m/b", 5), file("R/m/a", 1)]
    (slide,) = walk(FakeCore({"R": ["R/m.mrxs"]}, {"R/m.mrxs": files}))
    assert isinstance(slide, RemoteSlide)
    assert [one.path for one in slide.files] == ["R/m/a", "R/m/b", "R/M.mrxs"]
    assert slide.size == 9


def test_the_top_is_the_root_directories() -> None:
    core = FakeCore({"R": ["R/a.svs"], "Q": []})
    assert [one.path for one in walk(core, "")] == ["Q", "R", "R/a.svs"]


@pytest.mark.parametrize("error", [Refused("no"), PermissionDenied("no"), NotFound("gone"), ProtocolError("odd")])
def test_a_folder_or_slide_that_is_refused_is_said_and_the_rest_comes(error: Exception) -> None:
    core = FakeCore({"R": ["R/a.svs", "R/b.svs"], "R/x": error, "R/y": ["R/y/c.svs"]}, {"R/a.svs": error})
    found = walk(core)
    assert [(type(one), one.path) for one in found] == [
        (Unlisted, "R/a.svs"),
        (RemoteSlide, "R/b.svs"),
        (RemoteFolder, "R/x"),
        (Unlisted, "R/x"),
        (RemoteFolder, "R/y"),
        (RemoteSlide, "R/y/c.svs"),
    ]


def test_a_server_that_is_away_ends_the_walk() -> None:
    with pytest.raises(Unreachable):
        walk(FakeCore({"R": ["R/a.svs"]}, {"R/a.svs": Unreachable("away")}))


@pytest.mark.parametrize("name", ["R/..", "../../x.svs", "R/a/b.svs", "Q/a.svs", "/etc/passwd", "R/"])
def test_a_name_that_lies_elsewhere_is_said_and_not_followed(name: str) -> None:
    (found,) = walk(FakeCore({"R": [name]}))
    assert isinstance(found, Unlisted)
    assert "answers with" in str(found.error)


def test_a_slide_whose_main_file_is_not_among_its_files_is_said() -> None:
    (found,) = walk(FakeCore({"R": ["R/a.svs"]}, {"R/a.svs": [file("R/b.svs")]}))
    assert isinstance(found, Unlisted)


def test_a_folder_within_itself_ends_somewhere() -> None:
    class Endless(FakeCore):
        async def directories(self, path: str) -> Any:
            return [f"{path}/R"]

        async def slides(self, path: str) -> Any:
            return []

    found = walk(Endless({"R": []}))
    assert len(found) == MOST_LEVELS + 1
    assert isinstance(found[-1], Unlisted)


def test_some_requests_go_ahead_and_not_more() -> None:
    core = FakeCore({"R": [f"R/{number}.svs" for number in range(50)]})
    assert len(walk(core)) == 50
    assert core.most == 8


def test_what_is_asked_for_is_found_as_the_server_spells_it() -> None:
    core = FakeCore({"Root": [], "Root/Mu\u0308nchen": ["Root/Mu\u0308nchen/X.svs"]})
    assert find(core, "") == RemoteFolder("")
    assert find(core, "ROOT") == RemoteFolder("Root")
    assert find(core, "root/m\u00fcnchen") == RemoteFolder("Root/Mu\u0308nchen")
    slide = find(core, "root/m\u00fcnchen/x.SVS")
    assert isinstance(slide, RemoteSlide)
    assert (slide.path, len(slide.files)) == ("Root/Mu\u0308nchen/X.svs", 1)


@pytest.mark.parametrize("path", ["Q", "R/q", "R/a.svs/b", "R/q/b"])
def test_what_is_not_there_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        find(FakeCore({"R": ["R/a.svs"]}), path)
