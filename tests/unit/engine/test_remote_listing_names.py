"""Folders and main files whose names not every server keeps: believed when they are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from support.clocks import JumpingClock
from support.slides import make_slide

from pmarep.engine.remote_listing import SHOWN_AFTER, Listing, RemoteListing
from pmarep.pmacore import PmaCore, Refused
from pmarep.slides import Slide


class FakeCore:
    """Makes of each name what `keep` says, and shows what is new after `late` further questions."""

    def __init__(self, keep: Callable[[str], str] = lambda name: name, late: int = 0) -> None:
        self._keep = keep
        self._late = late
        self.there: dict[str, int] = {}
        self.asked: list[str] = []
        self.files: list[str] = []

    async def directories(self, path: str) -> list[str]:
        self.asked.append(path)
        shown = [one for one, since in self.there.items() if since <= 0 and one.rpartition("/")[0] == path]
        self.there = {one: since - 1 for one, since in self.there.items()}
        return shown

    async def slides(self, path: str) -> list[str]:
        self.asked.append(path)
        return [f"{path}/{name}" for name in self.files]

    async def create_directory(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        self.there.setdefault(f"{above}/{self._keep(name)}", self._late)


def drop_ends(name: str) -> str:
    return name.rstrip(". ")


def slide(main: str, *others: str) -> Slide:
    return make_slide(main, 1, *others)


def remote_of(core: FakeCore) -> RemoteListing:
    return RemoteListing(cast(PmaCore, core), JumpingClock())


async def test_a_server_that_keeps_them_is_asked_once() -> None:
    core = FakeCore()
    remote = remote_of(core)
    for number in range(5):
        one = slide(f"{number}.svs")
        await remote.make_way("R/Surname, A.", one)
        await remote.look_for("R/Surname, A.", one)
    assert list(core.there) == ["R/Surname, A."]
    assert core.asked.count("R") == 2  # what is there, and what is there now


async def test_a_new_folder_that_is_listed_late_is_waited_for() -> None:
    core = FakeCore(late=len(SHOWN_AFTER))
    await remote_of(core).make_way("R/a.", slide("s.svs"))
    assert core.there


@pytest.mark.parametrize("folder", ["R/a.", "R/b/a ", "R/a./b"])
async def test_a_server_that_drops_the_ends_of_folder_names_is_refused(folder: str) -> None:
    core = FakeCore(drop_ends)
    with pytest.raises(Refused, match=r"does not keep the name .* and shows .*; rename it"):
        await remote_of(core).make_way(folder, slide("s.svs"))


async def test_a_new_folder_that_is_never_listed_is_refused() -> None:
    with pytest.raises(Refused, match="and does not show it"):
        await remote_of(FakeCore(lambda name: "_hidden_")).make_way("R/a.", slide("s.svs"))


async def test_the_folders_of_a_slide() -> None:
    core = FakeCore()
    await remote_of(core).make_way("R/x", slide("A..mrxs", "A./Data0.dat", "A./b/c. /d.dat", "plain/e.dat"))
    assert list(core.there) == ["R/x", "R/x/A.", "R/x/A./b", "R/x/A./b/c. "]
    with pytest.raises(Refused, match=r"R/x/A\."):
        await remote_of(FakeCore(drop_ends)).make_way("R/x", slide("A..mrxs", "A./Data0.dat"))


async def test_a_main_file() -> None:
    core = FakeCore()
    remote, one = remote_of(core), slide("IM1.")
    await remote.make_way("R/x", one)
    core.files = ["IM1"]
    with pytest.raises(Refused, match="shows R/x/IM1 instead"):
        await remote.look_for("R/x", one)
    core.files = ["IM1", "im1."]
    await remote.look_for("R/x", one)


async def test_a_place_that_another_slide_has() -> None:
    core = FakeCore()
    core.there["R/x"] = 0
    core.files = ["im1"]
    with pytest.raises(Refused, match="shows R/x/im1 instead"):
        await remote_of(core).make_way("R/x", slide("IM1."))
    assert Listing(["R/x/a.svs"]).taken("R/x/A.SVS") is None


async def test_names_that_all_keep_cost_nothing() -> None:
    core = FakeCore()
    core.there["R/x"] = 0
    remote, one = remote_of(core), slide("Größe 1.2 (b).svs", "n/Data0.dat")
    await remote.make_way("R/x", one)
    asked = list(core.asked)
    await remote.look_for("R/x", one)
    assert core.asked == asked == ["R"]
