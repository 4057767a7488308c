"""The list of files at all sites: the last word about a slide counts, and files that have changed are not in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.slides import slide_at

from pmarep.engine import Options, replicate
from pmarep.engine.at_all_sites import VerifiedAtAllSites, empty_list
from pmarep.engine.discovery.slide_list import SlideList
from pmarep.errors import UsageError
from pmarep.reading import SharedReader


async def listed(folder: Path, notes: list[tuple[str, int, bool]], change: str = "") -> list[str]:
    slide_list, reader = SlideList(), SharedReader()
    for name in ("0.svs", "1.svs"):
        (folder / name).write_bytes(b"x")
    slide_list.write([slide_at(folder / "0.svs"), slide_at(folder / "1.svs")])
    slide_list.admit(2, 2)
    verified = VerifiedAtAllSites(folder / "list", ["a", "b"])
    for note in notes:
        verified.note(*note)
    if change:
        (folder / change).write_bytes(b"yy")
    await verified.write(slide_list, reader)
    reader.close()
    slide_list.close()
    found = (folder / "list").read_bytes().split(b"\0")[:-1]
    assert verified.slides == len(found)
    assert all(os.path.isabs(path) for path in found)  # noqa: PTH117
    return [Path(os.fsdecode(path)).name for path in found]


BOTH = [("a", 1, True), ("a", 0, True), ("b", 0, True), ("b", 1, True)]


async def test_every_site_has_to_have_it(tmp_path: Path) -> None:
    assert await listed(tmp_path, []) == []
    assert await listed(tmp_path, BOTH[:3]) == ["0.svs"]
    assert await listed(tmp_path, BOTH) == ["0.svs", "1.svs"]


async def test_the_last_word_counts(tmp_path: Path) -> None:
    assert await listed(tmp_path, [*BOTH, ("b", 0, False)]) == ["1.svs"]


async def test_what_has_changed_since_is_not_listed(tmp_path: Path) -> None:
    assert await listed(tmp_path, BOTH, change="0.svs") == ["1.svs"]


async def test_a_list_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the list of --at-all-sites"):
        empty_list(tmp_path)
    options = Options(sources=(tmp_path,), at_all_sites=tmp_path / "none" / "list")
    with pytest.raises(UsageError, match="No such file"):
        await replicate(options, [], passwords=None, state_dir=tmp_path, listener=print)  # type: ignore[arg-type]
