"""Folders and slides below a place: in order, each once, and what is not told is said."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, cast

import pytest
from support.fake_core import FakeCore, file

from pmarep.pmacore import NotFound, PermissionDenied, PmaCore, ProtocolError, Refused, Unreachable
from pmarep.remote.tree import MOST_LEVELS, Found, RemoteFolder, RemoteSlide, RemoteTree, Unlisted


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


def test_names_that_are_one_on_windows_do_not_stand_for_each_other() -> None:
    core = FakeCore({"R": ["R/a.svs", "R/A.svs"], "R/x": ["R/x/1.svs"], "R/X": ["R/X/2.svs"]})
    assert find(core, "R/A.svs").path == "R/A.svs"
    assert find(core, "R/X/2.svs").path == "R/X/2.svs"
    for path in ("R/a.SVS", "r/A.SVS", "R/x/2.svs"):
        with pytest.raises(NotFound):
            find(core, path)


def test_the_nearest_names_are_told() -> None:
    core = FakeCore({"Slides": ["Slides/liver.svs"], "Slides/case 1": []})
    for path, near in (("Slide", "Slides"), ("Slides/case1", "case 1"), ("slides/livre.svs", "liver.svs")):
        with pytest.raises(NotFound, match=f'did you mean "{near}"'):
            find(core, path)


def test_folders_are_listed_ahead() -> None:
    folders: dict[str, Any] = {"R": []} | {f"R/{number:02}": [f"R/{number:02}/a.svs"] for number in range(20)}
    core = FakeCore(folders)
    found = walk(core, files=False)
    assert [one.path for one in found if isinstance(one, RemoteSlide)] == [f"R/{n:02}/a.svs" for n in range(20)]
    assert core.most == 8


def test_a_walk_that_is_broken_off_leaves_nothing_running() -> None:
    core = FakeCore({"R": [], "R/a": ["R/a/1.svs", "R/a/2.svs"], "R/b": [], "R/c": []})

    async def go() -> int:
        async with aclosing(RemoteTree(cast(PmaCore, core)).walk(RemoteFolder("R"))) as found:
            async for one in found:
                if isinstance(one, RemoteSlide):
                    break
        return len(asyncio.all_tasks())

    assert asyncio.run(go()) == 1
