"""Several places listed at once: each in its order, what is asked about slides, and what ends one place only."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from support.fake_core import FakeCore

from pmarep.errors import CredentialsError
from pmarep.places.listing import AHEAD, ListedSlide, PlaceListing, Row, Wanted
from pmarep.pmacore import NotFound, PmaCore, Refused, Unreachable
from pmarep.remote.tree import RemoteFolder, Unlisted
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.place import Place, needed_place

BOOK = """
[sites.tokyo]
url = "https://tokyo.example/"
username = "u"
target = "R/in"
"""


@pytest.fixture
def book(tmp_path: Any) -> SiteBook:
    path = tmp_path / "sites.toml"
    path.write_text(BOOK)
    return SiteBook.parse(BookText.read(path))


def listed(core: FakeCore, place: Place, **wanted: Any) -> tuple[PlaceListing, list[Row]]:
    async def go() -> tuple[PlaceListing, list[Row]]:
        listing = PlaceListing(place)
        filling = asyncio.create_task(listing.fill(cast(PmaCore, core), Wanted(**wanted)))
        rows = [row async for row in listing.rows()]
        await filling
        return listing, rows

    return asyncio.run(go())


def test_slides_are_asked_about_many_at_once_and_stay_in_order(book: SiteBook) -> None:
    slides = [f"R/in/{number:02}.svs" for number in range(30)]
    core = FakeCore({"R": [], "R/in": slides, "R/in/x": []}, not_readable={"R/in/07.svs"})
    listing, rows = listed(core, needed_place("tokyo:", book), check=True, fingerprint=True)
    assert listing.at == RemoteFolder("R/in")
    *found, folder = rows
    assert folder == RemoteFolder("R/in/x")
    assert [row.slide.path for row in found if isinstance(row, ListedSlide)] == slides
    for row in found:
        assert isinstance(row, ListedSlide)
        readable = row.slide.path != "R/in/07.svs"
        assert (row.readable, row.fingerprint) == (readable, f"of {row.slide.path}" if readable else None)
        assert isinstance(row.problem, Refused) is not readable
    assert 8 < core.most <= 16


def test_a_refusal_about_one_slide_leaves_the_others_listed(book: SiteBook) -> None:
    core = FakeCore({"R": [], "R/in": ["R/in/a.svs", "R/in/b.svs"]}, {"R/in/a.svs": Refused("no")})
    core.no_fingerprint = Refused("later")
    _, rows = listed(core, needed_place("tokyo:", book), fingerprint=True)
    unlisted, slide = rows
    assert isinstance(unlisted, Unlisted)
    assert isinstance(slide, ListedSlide)
    assert str(slide.untold) == "later"


@pytest.mark.parametrize("error", [Unreachable("away"), CredentialsError("no password")])
def test_an_error_of_the_server_ends_the_listing_of_its_place(book: SiteBook, error: Exception) -> None:
    core = FakeCore({"R": [], "R/in": []})
    core.no_login = error
    listing, rows = listed(core, needed_place("tokyo:", book))
    assert (listing.at, listing.error, rows) == (None, error, [])


def test_a_place_that_is_not_there(book: SiteBook) -> None:
    listing, rows = listed(FakeCore({"R": [], "R/in": [], "R/in/case 1": []}), needed_place("tokyo:case_1", book))
    assert rows == []
    assert isinstance(listing.error, NotFound)
    assert 'did you mean "case 1"?' in str(listing.error)


def test_a_bug_is_not_waited_for_for_ever(book: SiteBook) -> None:
    core = FakeCore({"R": [], "R/in": ["R/in/a.svs"]}, {"R/in/a.svs": ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        listed(core, needed_place("tokyo:", book))


def test_nobody_asks_far_ahead_of_who_reads(book: SiteBook) -> None:
    core = FakeCore({"R": [], "R/in": [f"R/in/{number:04}.svs" for number in range(1000)]})

    async def go() -> int:
        listing = PlaceListing(needed_place("tokyo:", book))
        filling = asyncio.create_task(listing.fill(cast(PmaCore, core), Wanted()))
        async for _ in listing.rows():
            break
        for _ in range(5000):
            await asyncio.sleep(0)
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        return core.asked_for

    assert asyncio.run(go()) < AHEAD + 50
