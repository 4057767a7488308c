"""The list of slides: on disk, in order, for several readers; and names that two sources share."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.engine.discovery import slide_list as slide_list_module
from pmarep.engine.discovery.collisions import NameCollisions, collision_keys
from pmarep.engine.discovery.disk_list import DiskList, pack_found, unpack_found
from pmarep.engine.discovery.slide_list import KEPT_FILES, SiteSlides, SlideCursor, SlideList
from pmarep.slides import LeftOut, Slide, SlideFile, Why


def make(number: int, files: int = 1, folder: str = "/cases") -> Slide:
    parts = [SlideFile(f"m{number}/Data{part:04}.dat", 10, 5) for part in range(files - 1)]
    return Slide(f"m{number}.mrxs", "3DHISTECH MIRAX", Path(folder), (*parts, SlideFile(f"m{number}.mrxs", 1, 5)))


# On Linux a name may have bytes that are no text; Python has them as lone surrogates.
TEXT = st.text(st.characters(exclude_characters="\0"), min_size=1)
FILES = st.builds(
    SlideFile,
    TEXT,
    st.integers(0, 2**63),
    st.integers(-(2**70), 2**70),
    st.none() | TEXT,
)
SLIDES = st.builds(Slide, TEXT, TEXT, TEXT.map(Path), st.lists(FILES, min_size=1, max_size=5).map(tuple))
FOUND = SLIDES | st.builds(LeftOut, TEXT, st.sampled_from(Why), TEXT)


@given(st.lists(st.lists(FOUND, max_size=5), max_size=5))
def test_a_disk_list_gives_back_what_it_was_given(batches: list[list[Slide | LeftOut]]) -> None:
    listed = DiskList(pack_found, unpack_found)
    everything: list[Slide | LeftOut] = []
    for batch in batches:
        listed.extend(batch)
        everything += batch
        assert len(listed) == len(everything)
        assert [listed[index] for index in reversed(range(len(listed)))] == everything[::-1]
    assert list(listed) == everything
    for first in range(len(everything)):
        for count in range(1, len(everything) + 2):
            assert listed.read(first, count) == everything[first : first + count]
    listed.close()


def test_a_disk_list_reads_few_large_things_at_once() -> None:
    slides = [make(number, files=100) for number in range(50)]
    listed = DiskList(pack_found, unpack_found)
    listed.extend(slides)
    some = listed.read(10, 40)
    assert some == slides[10 : 10 + len(some)]
    assert 1 <= len(some) < 20
    listed.close()


def test_a_disk_list_has_no_more_than_it_was_given() -> None:
    listed = DiskList(pack_found, unpack_found)
    listed.extend([make(0)])
    for index in (1, -1):
        with pytest.raises(IndexError):
            listed[index]
    listed.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there it has a name, and nobody else can open it")
def test_the_temporary_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    listed, collisions = DiskList[str](lambda one: (one,), lambda packed: str(packed[0])), NameCollisions[int]()
    listed.extend(["patient"])
    assert listed[0] == "patient"
    assert list(tmp_path.iterdir()) == []
    listed.close()
    collisions.close()


def test_several_sites_read_each_at_its_own_pace_while_it_grows() -> None:
    async def check() -> None:
        slide_list = SlideList()
        slides = [make(number) for number in range(10)]
        fast, slow = SlideCursor(SiteSlides(slide_list, "tokyo")), SlideCursor(SiteSlides(slide_list, "tokyo"))
        early = asyncio.create_task(fast.take())
        await asyncio.sleep(0)
        slide_list.write(slides[:4])
        assert not early.done()
        slide_list.admit(4, 4)
        assert await early == slides[0]
        assert [await fast.take() for _ in range(3)] == slides[1:4]
        late = [asyncio.create_task(fast.take()) for _ in range(8)]
        assert await slow.take() == slides[0]
        slide_list.write(slides[4:])
        slide_list.admit(6, 6)
        slide_list.finish()
        assert await asyncio.gather(*late) == [*slides[4:], None, None]
        assert [await slow.take() for _ in range(11)] == [*slides[1:], None, None]
        assert (len(slide_list), slide_list.bytes) == (10, 10)
        slide_list.close()

    asyncio.run(check())


def test_slides_that_one_site_has_read_are_not_read_again_by_the_next() -> None:
    async def check() -> None:
        slide_list = SlideList()
        slide_list.write([make(number) for number in range(50)])
        slide_list.admit(50, 50)
        sites = [SlideCursor(SiteSlides(slide_list, "tokyo")) for _ in range(3)]
        for _ in range(50):
            first, *others = [await site.take() for site in sites]
            assert all(other is first for other in others)
        slide_list.close()

    asyncio.run(check())


def test_a_catalogue_of_many_files_is_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As objects, 1000 slides of 25 files have 6 MB and more."""
    kept = 2000
    monkeypatch.setattr(slide_list_module, "KEPT_FILES", kept)

    async def check() -> None:
        slide_list = SlideList()
        tracemalloc.start()
        for start in range(0, 1000, 100):
            slide_list.write([make(start + number, 25) for number in range(100)])
        slide_list.admit(1000, 1000)
        slide_list.finish()
        cursor = SlideCursor(SiteSlides(slide_list, "tokyo"))
        count = 0
        while (slide := await cursor.take()) is not None:
            assert (slide.path, len(slide.files)) == (f"m{count}.mrxs", 25)
            count += 1
        assert count == 1000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        slide_list.close()
        assert peak < kept * 700

    asyncio.run(check())


def test_a_slide_larger_than_all_that_is_kept() -> None:
    async def check() -> None:
        slide_list = SlideList()
        slide_list.write([make(0, KEPT_FILES + 5), make(1, KEPT_FILES + 5)])
        slide_list.admit(2, 2)
        for number in (0, 1, 0):
            assert await slide_list.has(number)
            assert len(slide_list.found(number).files) == KEPT_FILES + 5
        slide_list.close()

    asyncio.run(check())


def in_folder(path: str, *names: str) -> Slide:
    return Slide(path, "x", Path("/x"), tuple(SlideFile(name, 1, 1) for name in names))


def test_the_names_of_two_sources() -> None:
    collisions = NameCollisions[int]()

    def claim(source: int, slide: Slide) -> int | None:
        return collisions.claim((key, source) for key in collision_keys(slide))

    assert claim(0, in_folder("a/Größe.svs", "Größe.svs")) is None
    assert claim(0, in_folder("m.mrxs", "m/Data.dat", "m.mrxs")) is None
    assert claim(0, in_folder("a/Größe.svs", "Größe.svs")) is None  # looked at again
    assert claim(1, in_folder("a/GRÖSSE.svs", "GRÖSSE.svs")) is None  # another name on Windows too
    assert claim(1, in_folder("a/GRÖßE.SVS", "GRÖßE.SVS")) == 0
    assert claim(1, in_folder("M/data.vsi", "x.ets", "DATA.DAT", "data.vsi")) == 0
    assert claim(2, in_folder("M/x.ets", "x.ets")) is None  # the one before got nothing
    assert claim(1, in_folder("b/Größe.svs", "Größe.svs")) is None
    assert claim(2, in_folder("b/größe.svs", "größe.svs")) == 1
    collisions.close()
