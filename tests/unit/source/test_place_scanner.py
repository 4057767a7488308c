"""What a server lists as slides with their files."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import cast

import pytest
from support.fake_core import FakeCore, file
from support.pulls import place

from pmarep.engine.options import Options
from pmarep.pmacore import PmaCore
from pmarep.slides import LeftOut, Slide, Why
from pmarep.source.place import PlaceScanner


def found(core: FakeCore) -> list[Slide | LeftOut]:
    at = place("https://ghent.example/", "R", "ghent")

    async def go() -> list[Slide | LeftOut]:
        async with aclosing(PlaceScanner(at, cast(PmaCore, core), Options(sources=(at,)), set()).find()) as things:
            return [one async for one in things]

    return asyncio.run(go())


def test_files_that_are_spelled_another_way_than_their_folder() -> None:
    slide, composed = "R/Cafe\u0301/a.mrxs", "r/CAF\xc9"
    core = FakeCore(
        {"R": [], "R/Cafe\u0301": [slide]}, {slide: [file(f"{composed}/a/b.dat"), file(f"{composed}/a.mrxs")]}
    )
    (one,) = found(core)
    assert isinstance(one, Slide)
    assert (one.folder, one.path) == ("ghent:/R/Cafe\u0301", "Cafe\u0301/a.mrxs")
    assert [file.path for file in one.files] == ["a/b.dat", "a.mrxs"]


@pytest.mark.parametrize("name", ["R/b/../../x", "Q/b", "R/b//c", "R/b\\..\\c", "R/./b", "Rb/c"])
def test_a_file_outside_the_folder_of_its_slide_leaves_the_slide_out(name: str) -> None:
    (one,) = found(FakeCore({"R": ["R/a.svs"]}, {"R/a.svs": [file(name), file("R/a.svs")]}))
    assert isinstance(one, LeftOut)
    assert (one.path, one.why, one.files) == ("a.svs", Why.BAD_NAME, 2)
