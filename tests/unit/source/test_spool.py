"""What stays in the spool and what goes, for sites of different pace."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmarep.errors import UsageError
from pmarep.source import FileVersion
from pmarep.source.place import spool as spools
from pmarep.source.place.page_file import PAGE, PageFile, SpoolError
from pmarep.source.place.spool import SMALLEST_SPOOL, Need, Spool, keys_of, spool_size
from pmarep.source.place.wants import PIECE, WINDOW, Wants

FAST, SLOW, THIRD = 1, 2, 3
PAGES = 4


def version(name: str = "a", pages: int = 100) -> FileVersion:
    return FileVersion(f"ghent:/Slides/{name}.svs", pages * PAGE, 1, f"ghent:/Slides/{name}.svs")


A, B = version("a"), version("b")


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    monkeypatch.setattr(spools, "SMALLEST_SPOOL", 0)
    spool = Spool(tmp_path, PAGES * PAGE)
    spool.join(FAST)
    spool.join(SLOW)
    yield spool
    spool.close()


def put(spool: Spool, index: int, need: Need = Need.NOW, of: FileVersion = A, *, with_others: bool = False) -> bool:
    number = spool.begin((of, index), need)
    if number is None:
        return False
    spool.write(number, bytes([index]) * PAGE)
    spool.end((of, index), with_others=with_others)
    return True


def there(spool: Spool, of: FileVersion = A) -> list[int]:
    return [index for index in range(100) if spool.has((of, index))]


async def test_it_gives_back_what_was_put_in_across_pages(spool: Spool) -> None:
    for index in range(3):
        assert put(spool, index)
    assert spool.read(A, PAGE - 2, 4) == b"\0\0\1\1"
    assert spool.read(A, PAGE - 1, PAGE + 2) == b"\0" + b"\1" * PAGE + b"\2"


async def test_pages_that_everybody_had_go_first_and_not_before_room_is_needed(spool: Spool) -> None:
    for index in range(PAGES):
        put(spool, index)
    for site in (FAST, SLOW):
        spool.had(site, (A, 1))
    assert there(spool) == [0, 1, 2, 3]
    assert put(spool, 9, Need.LATER)
    assert there(spool) == [0, 2, 3, 9]


async def test_the_slow_site_keeps_the_longest_run_of_what_it_comes_to_next(spool: Spool) -> None:
    for index in range(20):
        put(spool, index)
        spool.had(FAST, (A, index))
    assert there(spool) == [0, 1, 2, 19]


async def test_what_more_sites_still_want_stays_longer(spool: Spool) -> None:
    spool.join(THIRD)
    for index in range(PAGES):
        put(spool, index)
        spool.had(FAST, (A, index))
    spool.had(SLOW, (A, 1))
    spool.had(THIRD, (A, 0))
    for new in (9, 10, 11, 12):
        put(spool, new)
        assert there(spool) == {9: [1, 2, 3, 9], 10: [2, 3, 9, 10], 11: [2, 9, 10, 11], 12: [9, 10, 11, 12]}[new]


async def test_it_knows_what_went_while_a_site_wanted_it(spool: Spool) -> None:
    for index in range(PAGES):
        put(spool, index)
        spool.had(FAST, (A, index))
    spool.had(SLOW, (A, 0))
    for index in (9, 10):
        put(spool, index)
    assert there(spool) == [1, 2, 9, 10]
    assert [index for index in range(100) if spool.is_lost((A, index))] == [3]
    assert not spool.is_lost((B, 3))


async def test_unread_pages_are_evicted_only_for_a_page_that_is_waited_for(spool: Spool) -> None:
    for index in range(PAGES):
        put(spool, index)
    assert not put(spool, 9, Need.LATER)
    assert not put(spool, 9, Need.SOON)
    assert put(spool, 9, Need.NOW)
    assert there(spool) == [0, 1, 2, 9]


async def test_pages_that_are_needed_together_do_not_go_for_each_other(spool: Spool) -> None:
    for index in range(PAGES):
        put(spool, index)
    for index in (7, 8, 9):
        put(spool, index, with_others=True)
    assert there(spool) == [0, 7, 8, 9]


async def test_a_page_that_is_read_stays(spool: Spool) -> None:
    for index in range(PAGES):
        put(spool, index)
    keys = keys_of(A, 0, PAGES * PAGE)
    spool.hold(keys)
    assert not put(spool, 9)
    spool.release(keys[-1:])
    assert put(spool, 9)
    assert there(spool) == [0, 1, 2, 9]


async def test_a_site_that_is_done_with_a_slide_is_not_waited_for(spool: Spool) -> None:
    spool.name(A.slide, 7)
    put(spool, 0)
    spool.done(SLOW, A.slide, 7)
    spool.had(FAST, (A, 0))
    for index in range(3):
        put(spool, index, of=B)
    assert put(spool, 1, Need.LATER)  # it comes later, and is wanted by one site only
    assert there(spool) == [1]
    spool.had(FAST, (A, 1))
    assert put(spool, 3, Need.LATER, of=B)
    assert there(spool) == []


async def test_a_site_that_has_left_is_not_waited_for(spool: Spool) -> None:
    for index in range(PAGES):
        put(spool, index)
    spool.had(FAST, (A, 0))
    spool.leave(SLOW)
    assert put(spool, 9, Need.LATER)
    assert there(spool) == [1, 2, 3, 9]


async def test_room_ahead_is_half_where_sites_are_behind(spool: Spool) -> None:
    assert spool.room_ahead() == PAGES
    for index in range(PAGES):
        put(spool, index)
    assert spool.room_ahead() <= 0
    for index in range(PAGES):
        spool.had(FAST, (A, index))
    assert spool.room_ahead() == PAGES // 2


async def test_only_plenty_is_downloaded_ahead_where_others_have_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SMALLEST_SPOOL", 0)
    monkeypatch.setattr(spools, "PLENTY", 3)
    spool = Spool(tmp_path, 10 * PAGE)
    for site in (FAST, SLOW):
        spool.join(site)
    for index in range(9):
        put(spool, index)
    assert spool.room_ahead() == 1  # which is free
    put(spool, 9)
    for index in range(8):
        spool.had(FAST, (A, index))
    assert spool.room_ahead() == 3 - 2
    assert put(spool, 10, Need.LATER)  # what was begun in time is kept
    spool.close()


def test_the_file_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    file = PageFile(tmp_path)
    file.write(3, b"x" * PAGE)
    named = list(tmp_path.iterdir())
    assert all(one.stat().st_mode & 0o077 == 0 for one in named)
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_is_known_before_there_are_pages(tmp_path: Path) -> None:
    file = PageFile(tmp_path / "none")  # which makes nothing
    with pytest.raises(SpoolError, match=r"cannot make the spool in .*none: No such file"):
        file.make()
    file.close()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PageFile(tmp_path)

    class Full:
        def seek(self, _position: int = 0) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        fileno = seek  # on POSIX, it is written at positions

        def close(self) -> None:
            pass

    monkeypatch.setattr(file, "_file", Full())
    with pytest.raises(SpoolError) as found:
        file.write(0, b"x")
    assert str(found.value) == (
        f"cannot write the spool in {tmp_path}: No space left on device; --spool-size makes it smaller, "
        "--spool DIR puts it elsewhere"
    )


def test_its_size_fits_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1_000_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda _folder: Usage)
    assert spool_size(tmp_path, None) == 800_000_000
    assert spool_size(tmp_path, SMALLEST_SPOOL) == SMALLEST_SPOOL
    with pytest.raises(UsageError, match=r"the spool needs 1.9 GiB in .*, and 954 MiB are free; --spool DIR"):
        spool_size(tmp_path, 2_000_000_000)
    with pytest.raises(UsageError, match=r"the spool needs 64.0 MiB at least, and --spool-size says 977 KiB"):
        spool_size(tmp_path, 1_000_000)
    Usage.free = 80_000_000
    assert spool_size(tmp_path, None) == SMALLEST_SPOOL
    Usage.free = 60_000_000
    with pytest.raises(UsageError, match=r"the spool needs 64.0 MiB in .*, and 57.2 MiB are free"):
        spool_size(tmp_path, None)


def order(wants: Wants, settled: set[tuple[FileVersion, int]], most: int = PIECE) -> list[tuple[str, int, int]]:
    """Everything that is to be downloaded, in order."""
    found: list[tuple[str, int, int]] = []
    while (piece := wants.take_urgent() or wants.take_ahead(most)) is not None:
        of, first, last = piece
        settled.update((of, index) for index in range(first, last))
        found.append((of.path[-5], first, last))
    return found


def wants_of(settled: set[tuple[FileVersion, int]]) -> Wants:
    return Wants(lambda of, index: (of, index) in settled)


def test_pages_waited_for_are_downloaded_before_pages_being_read_and_announced_ones() -> None:
    short = version("a", 3)
    settled = {(short, 1)}
    wants = wants_of(settled)
    wants.announce(FAST, short.slide, [short])
    wants.announce(SLOW, B.slide, [version("b", 2)])
    wants.read(B, 10, 12)
    wants.read(B, 50, 51)
    wants.wait(B, 50)
    assert order(wants, settled) == [("b", 50, 51), ("b", 10, 12), ("a", 0, 1), ("a", 2, 3), ("b", 0, 2)]


def test_what_would_go_again_before_its_time_comes_when_it_is_read() -> None:
    settled: set[tuple[FileVersion, int]] = set()
    short = version("a", 7)
    wants = Wants(lambda of, index: (of, index) in settled, is_to_wait=lambda _of, index: 2 <= index < 5)
    wants.announce(SLOW, short.slide, [short])
    assert order(wants, settled) == [("a", 0, 2), ("a", 5, 7)]
    wants.read(short, 0, 7)
    assert order(wants, settled) == [("a", 2, 5)]


def test_a_part_that_is_needed_as_a_whole_is_complete_before_the_next() -> None:
    settled: set[tuple[FileVersion, int]] = set()
    wants = wants_of(settled)
    for first in (0, 20):
        wants.read(A, first, first + 20, whole=True)
        wants.wait(A, first)
    for first, last in [(0, 8), (8, 16), (16, 20), (20, 28), (28, 36), (36, 40)]:
        assert wants.take_urgent() == (A, first, last)
        settled.update((A, index) for index in range(first, last))
    assert wants.take_urgent() is None


def test_only_a_part_that_is_needed_as_a_whole_needs_its_pages_together() -> None:
    wants = Wants(lambda *_: False)
    wants.read(A, 0, 10)
    wants.read(A, 4, 6, whole=True)
    assert [index for index in range(10) if wants.is_needed_with_others(A, index)] == [4, 5]
    assert not wants.is_needed_with_others(B, 4)


def test_a_long_read_is_downloaded_as_a_piece_first_and_then_a_window() -> None:
    settled: set[tuple[FileVersion, int]] = set()
    wants = wants_of(settled)
    wants.read(A, 0, 100)
    wants.wait(A, 0)
    wants.read(B, 0, 1)
    wants.wait(B, 0)
    assert wants.take_urgent() == (A, 0, PIECE)
    settled.update((A, index) for index in range(PIECE))
    assert wants.take_urgent() == (B, 0, 1)
    settled.add((B, 0))
    assert [first for _, first, _ in order(wants, settled)] == list(range(PIECE, WINDOW, PIECE))
    wants.end_wait(A, 0)
    wants.moved(A, 50)
    assert [first for _, first, _ in order(wants, settled)] == list(range(WINDOW, 100, PIECE))


def test_an_evicted_page_that_is_waited_for_is_downloaded_again() -> None:
    settled: set[tuple[FileVersion, int]] = set()
    wants = wants_of(settled)
    wants.read(A, 0, 4)
    order(wants, settled)
    settled.discard((A, 2))
    assert order(wants, settled) == []
    wants.wait(A, 2)
    assert order(wants, settled) == [("a", 2, 3)]


def test_slides_that_sites_are_done_with_are_not_downloaded() -> None:
    wants = Wants(lambda _of, _index: False)
    for site in (FAST, SLOW):
        wants.announce(site, A.slide, [A])
        wants.announce(site, B.slide, [B])
    wants.done(FAST, A.slide)
    wants.leave(SLOW)
    piece = wants.take_ahead(PIECE)
    assert piece is not None
    assert piece[0] == B
