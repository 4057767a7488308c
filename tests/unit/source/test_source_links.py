"""A file, or a folder on the way to it, that becomes a link after the walk has looked: nothing of it is read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.corpus import tree

from pmarep.errors import SourceError
from pmarep.slides import Slide, find_slides
from pmarep.source import LocalFiles, SharedReader, SiteReader
from pmarep.source.scanner import roots_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make links there")

SECRET = b"what only root can read"


def file_becomes_a_link(cases: Path) -> None:
    (cases / "d" / "a.svs").unlink()
    (cases / "d" / "a.svs").symlink_to("../../private/a.svs")


def folder_becomes_a_link(cases: Path) -> None:
    (cases / "d").rename(cases / "e")
    (cases / "d").symlink_to("../private", target_is_directory=True)


@pytest.mark.parametrize("becomes_a_link", [file_becomes_a_link, folder_becomes_a_link])
async def test_what_becomes_a_link_out_of_the_source(tmp_path: Path, becomes_a_link: Callable[[Path], None]) -> None:
    """Size and time of a file that one cannot read can be seen, and so be imitated."""
    cases = tree(tmp_path / "cases", "d/a.svs", content=b"x" * len(SECRET))
    tree(tmp_path / "private", "a.svs", content=SECRET)
    for path in (cases / "d" / "a.svs", tmp_path / "private" / "a.svs"):
        os.utime(path, ns=(10**18, 10**18))
    (slide,) = find_slides(cases)
    assert isinstance(slide, Slide)
    becomes_a_link(cases)
    for roots, wanted in ((roots_of([cases]), None), (None, SECRET)):
        reader = SharedReader(files=LocalFiles(roots))
        try:
            if wanted is None:
                with pytest.raises(SourceError, match="has become a link out of SRC"):
                    await anext(SiteReader(reader).read(slide, slide.main))
            else:
                assert await anext(SiteReader(reader).read(slide, slide.main)) == wanted
        finally:
            reader.close()


async def test_links_within_the_sources_are_read(tmp_path: Path) -> None:
    cases = tree(tmp_path / "cases", "a.svs", content=b"12345")
    (cases / "b.svs").symlink_to("a.svs")
    (tmp_path / "today").symlink_to("cases", target_is_directory=True)
    for source in (cases, tmp_path / "today", cases / "b.svs"):
        reader = SharedReader(files=LocalFiles(roots_of([source])))
        for slide in find_slides(source):
            assert isinstance(slide, Slide)
            assert await anext(SiteReader(reader).read(slide, slide.main)) == b"12345"
        reader.close()
