"""Slides are deleted only as they were listed, and are gone only when the server no longer lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest
from support.clocks import SkippingClock
from support.fake_core import FakeCore, file

from pmarep.errors import PmarepError
from pmarep.pmacore import NotFound, PermissionDenied, PmaCore, Refused, Unreachable
from pmarep.remote.removal import BATCH, Candidate, Removed, SlideRemover
from pmarep.remote.tree import RemoteSlide


def listed(core: FakeCore, *paths: str) -> list[Candidate]:
    """The candidates as a listing would have them now."""
    return [Candidate.of(RemoteSlide(path, tuple(core.files.get(path, [file(path)])))) for path in paths]


def remove(
    core: FakeCore, candidates: Sequence[Candidate], folder: str = "R/in", begun: list[str] | None = None
) -> list[Removed]:
    async def begins(slide: RemoteSlide) -> None:
        if begun is not None:
            begun.append(slide.path)

    async def go() -> list[Removed]:
        remover = SlideRemover(cast(PmaCore, core), folder, SkippingClock(), begins)
        found = []
        try:
            async with aclosing(remover.remove(candidates)) as removed:
                async for one in removed:
                    found.append(one)
        except PmarepError as error:
            found.append(Removed(Candidate(""), RemoteSlide(""), error))
        return found

    return asyncio.run(go())


def core_with(*slides: str) -> FakeCore:
    folders: dict[str, Any] = {"R": []}
    for slide in slides:
        folders.setdefault(slide.rpartition("/")[0], []).append(slide)
    return FakeCore(folders)


def test_slides_go_in_order_and_each_is_told_before() -> None:
    paths = [f"R/in/{folder}/{number:03}.svs" for folder in "ab" for number in range(BATCH)]
    core, begun = core_with(*paths, "R/in/a/stays.svs"), list[str]()
    found = remove(core, listed(core, *paths), begun=begun)
    assert [one.candidate.path for one in found] == paths
    assert {one.error for one in found} == {None}
    assert sorted(begun) == sorted(core.deletions) == sorted(paths)
    assert core.folders["R/in/a"] == ["R/in/a/stays.svs"]


def test_a_deletion_whose_answer_was_lost_is_one() -> None:
    core = core_with("R/in/a.svs")
    candidates = listed(core, "R/in/a.svs")
    core.refuses["R/in/a.svs"] = "lost"
    (one,) = remove(core, candidates)
    assert (one.error, one.before) == (None, False)


def test_a_server_that_answers_and_deletes_nothing_is_told() -> None:
    core = core_with("R/in/a.svs", "R/in/b.svs")
    core.refuses["R/in/a.svs"] = "keeps"
    first, second = remove(core, listed(core, "R/in/a.svs", "R/in/b.svs"))
    assert "still lists it" in str(first.error)
    assert second.error is None


def test_a_listing_may_lag_behind() -> None:
    class Late(FakeCore):
        shows = 3

        async def slides(self, path: str) -> Any:
            self.shows -= 1
            return ["R/in/a.svs"] if self.shows >= 0 else await super().slides(path)

    core = Late({"R": [], "R/in": ["R/in/a.svs"]})
    (one,) = remove(core, listed(core, "R/in/a.svs"))
    assert one.error is None


def test_a_folder_that_may_not_be_listed_any_more_proves_nothing() -> None:
    """Also where it is no longer among the folders above: a server that hides it has not deleted its slides."""

    class Hiding(FakeCore):
        async def slides(self, path: str) -> Any:
            return await self._answer(PermissionDenied("not for you") if path == "R/in/x" else [])

        async def directories(self, path: str) -> Any:
            return await self._answer([])

    core = Hiding({"R": [], "R/in": [], "R/in/x": ["R/in/x/a.svs"]})
    core.refuses["R/in/x/a.svs"] = "keeps"
    (one,) = remove(core, listed(core, "R/in/x/a.svs"))
    assert str(one.error) == "not for you"


def test_a_refusal_is_not_waited_for() -> None:
    core = core_with("R/in/a.svs")
    core.refuses["R/in/a.svs"] = PermissionDenied("you may not")
    (one,) = remove(core, listed(core, "R/in/a.svs"))
    assert str(one.error) == "you may not"
    assert core.asked_for == 3  # its files, the deletion, the listing


@pytest.mark.parametrize(
    "now",
    [
        [file("R/in/a.svs", 8)],
        [file("R/in/a.svs"), file("R/in/b.dat")],
        [type(file("x")).read({"Path": "R/in/a.svs", "Size": 7, "LastModified": "/Date(5)/"}, "")],
    ],
)
def test_another_slide_that_came_to_its_name_stays(now: list[Any]) -> None:
    core = core_with("R/in/a.svs")
    candidates = listed(core, "R/in/a.svs")
    core.files["R/in/a.svs"] = now
    (one,) = remove(core, candidates)
    assert "have changed there since it was listed" in str(one.error)
    assert core.deletions == []


def test_one_that_was_unreadable_when_it_was_listed_and_is_not_now_stays() -> None:
    core = core_with("R/in/a.svs")
    (one,) = remove(core, [Candidate("R/in/a.svs")])
    assert "have changed" in str(one.error)
    core.files["R/in/a.svs"] = Refused("broken")
    (one,) = remove(core, [Candidate("R/in/a.svs")])
    assert (one.error, core.deletions) == (None, ["R/in/a.svs"])


def test_one_that_is_gone_already_is_not_deleted() -> None:
    core = core_with("R/in/b.svs")
    core.files["R/in/a.svs"] = NotFound("none")
    (one,) = remove(core, [Candidate("R/in/a.svs", 1, 7, "x")])
    assert (one.error, one.before, core.deletions) == (None, True, [])


def test_one_whose_files_are_refused_now_and_that_is_still_there_stays() -> None:
    core = core_with("R/in/a.svs")
    core.files["R/in/a.svs"] = Refused("not now")
    (one,) = remove(core, [Candidate("R/in/a.svs", 1, 7, "x")])
    assert (str(one.error), core.deletions) == ("not now", [])


@pytest.mark.parametrize("path", ["R/a.svs", "R/inn/a.svs", "Q/in/a.svs", "R/in"])
def test_nothing_outside_of_the_folder_is_touched(path: str) -> None:
    core = core_with(path)
    (one,) = remove(core, listed(core, path))
    assert core.deletions == []
    assert one.error is not None


def test_a_folder_that_goes_with_its_last_slide() -> None:
    class Bucket(FakeCore):
        async def delete_slide(self, path: str) -> None:
            await super().delete_slide(path)
            del self.folders["R/in/x"]

    core = Bucket({"R": [], "R/in": [], "R/in/x": ["R/in/x/a.svs"]})
    (one,) = remove(core, listed(core, "R/in/x/a.svs"))
    assert one.error is None


def test_a_folder_that_is_not_told_any_more_proves_nothing() -> None:
    class Silent(FakeCore):
        async def slides(self, path: str) -> Any:
            raise PermissionDenied("no listing")

    core = Silent({"R": [], "R/in": ["R/in/a.svs"]})
    (one,) = remove(core, listed(core, "R/in/a.svs"))
    assert str(one.error) == "no listing"


def test_a_server_that_goes_away_ends_it_and_what_was_deleted_is_said() -> None:
    paths = [f"R/in/{number:03}.svs" for number in range(3 * BATCH)]
    core = core_with(*paths)
    core.refuses[paths[BATCH]] = Unreachable("away")
    *found, end = remove(core, listed(core, *paths))
    assert isinstance(end.error, Unreachable)
    done = [one for one in found if one.error is None]
    assert BATCH <= len(done) < BATCH + 4
    assert set(core.deletions) == {one.candidate.path for one in found}
