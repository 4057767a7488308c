"""What is decided about a slide, as time goes by at the site."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.clocks import JumpingClock
from support.slides import make_slide

from pmarep.engine import Existing, Options
from pmarep.engine.remote_listing import LISTING_SECONDS, RemoteListing
from pmarep.engine.slide.action import Action
from pmarep.engine.slide.decide import Decision, decide, destination
from pmarep.engine.slide.stamp import stamp_of
from pmarep.pmacore import PmaCore, RemoteFile
from pmarep.sites import Site
from pmarep.slides import Slide
from pmarep.state.journal import Journal
from pmarep.state.records import signature

SLIDE = make_slide("x.svs", 10)
SITE = Site(name="a", url="http://pma.example/", username="u", target="Slides/in")
AT = destination(SITE, "", SLIDE)


class FakeCore:
    """A site with files of 10 bytes in its target folder."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.listed = 0
        self.modified: str | None = None
        self.leftovers: list[str] = []

    async def directories(self, path: str) -> list[str]:
        return ["Slides/in"]

    async def slides(self, path: str) -> list[str]:
        self.listed += 1
        return list(self.there)

    async def slide_files(self, path: str) -> list[RemoteFile]:
        return [RemoteFile(path=each, size=10, lastmodified=self.modified) for each in (path, *self.leftovers)]


class Looking:
    def __init__(self, journal: Journal) -> None:
        self.clock = JumpingClock(1000.0)
        self.core = FakeCore()
        self.journal = journal
        self._core = cast(PmaCore, self.core)
        self._listings = RemoteListing(self._core, self.clock)

    async def __call__(self, slide: Slide = SLIDE, **options: Any) -> Decision:
        return await decide(
            slide, AT, self._core, self._listings, self.journal, Options(sources=(Path("/cases"),), **options)
        )


@pytest.fixture
async def look(tmp_path: Path) -> AsyncIterator[Looking]:
    journal = Journal(tmp_path / "state")
    yield Looking(journal)
    journal.close()


async def test_a_listing_is_believed_for_a_minute(look: Looking) -> None:
    assert (await look()).action is Action.SEND
    look.core.there = ["Slides/in/x.svs"]  # meanwhile somebody else has put one there, of another size
    other = make_slide("x.svs", 11)
    look.clock.now += LISTING_SECONDS
    assert (await look(other)).action is Action.SEND
    assert look.core.listed == 1
    look.clock.now += 0.001
    assert (await look(other)).action is Action.CONFLICT
    assert look.core.listed == 2


@pytest.mark.parametrize("what", ["nothing", "a file", "a part", "an overwrite", "broken", "unreadable"])
@pytest.mark.parametrize("existing", list(Existing))
@pytest.mark.parametrize("fresh", [False, True])
async def test_an_unfinished_upload_gives_no_right_over_what_is_at_the_site(
    look: Looking, what: str, existing: Existing, fresh: bool
) -> None:
    """The site does not say when it was written, so that it has to be read back."""
    await remember(look.journal, what)
    if what != "unreadable" or fresh:
        assert (await look(existing=existing, fresh=fresh)).sends
    look.core.there = ["Slides/in/x.svs"]
    look.clock.now += LISTING_SECONDS + 1
    decision = await look(existing=existing, fresh=fresh)
    assert decision.doubtful
    assert not decision.sends


async def remember(journal: Journal, what: str, stamp: str | None = None) -> None:
    """What an earlier run has written of SLIDE."""
    here = signature(SLIDE)
    await journal.record_announced(AT.place, here, 1, "{}", replaces=what == "an overwrite", stamp=stamp)
    if what == "a file":
        await journal.record_file_sent(AT.place, "x.svs")
    elif what == "a part":
        await journal.record_part_sent(AT.place, "x.svs", 1, "tag")
    elif what == "broken":
        await journal.record_broken(AT.place, here, stamp)
    elif what == "unreadable":
        await journal.record_unreadable(AT.place, here, stamp)


@pytest.mark.parametrize(
    ("what", "action"), [("an overwrite", Action.RESUME), ("broken", Action.SEND), ("a file", None), ("nothing", None)]
)
async def test_slides_with_an_unchanged_stamp_are_recognised(look: Looking, what: str, action: Action | None) -> None:
    """What a person has let us replace, and what we have found damaged."""
    look.core.there, look.core.modified = ["Slides/in/x.svs"], "/Date(1700000000123+0200)/"
    stamp = stamp_of(AT.path, await look.core.slide_files(AT.path))
    await remember(look.journal, what, stamp)
    decision = await look()
    assert decision.doubtful is (action is None)
    assert action in (None, decision.action)
    assert decision.over == "Slides/in/x.svs"
    look.core.modified = "/Date(1700000000123+0100)/"  # winter
    assert (await look()).action is decision.action
    look.core.modified = "/Date(1700000000124+0200)/"
    assert (await look()).doubtful


@pytest.mark.parametrize("options", [{"existing": Existing.OVERWRITE}, {"fresh": True}])
@pytest.mark.parametrize("size", [10, 11])
async def test_what_the_journal_knows_is_looked_at_where_a_person_says_so(
    look: Looking, options: dict[str, Any], size: int
) -> None:
    slide = make_slide("x.svs", size)
    await look.journal.record_sent(AT.place, signature(slide))
    look.core.there = ["Slides/in/x.svs"]
    assert (await look(slide)).action is Action.SKIP
    decision = await look(slide, **options)
    if size == 10:
        assert decision.action is Action.SKIP
    else:
        assert decision.doubtful if "fresh" in options else decision.action is Action.REPLACE


async def test_the_same_size_but_changed_since(look: Looking) -> None:
    await look.journal.record_sent(AT.place, "of an older version")
    look.core.there = ["Slides/in/x.svs"]
    assert (await look()).action is Action.SKIP
    entry = await look.journal.entry(AT.place)
    assert entry is not None
    assert entry.signature == "of an older version"
    assert (await look(existing=Existing.OVERWRITE)).action is Action.REPLACE


@pytest.mark.parametrize("existing", list(Existing))
async def test_leftovers_beside_a_slide_of_ours_do_no_harm(look: Looking, existing: Existing) -> None:
    """A recheck says the same: else it would be sent again in each run with --existing overwrite."""
    look.core.there, look.core.leftovers = ["Slides/in/x.svs"], ["Slides/in/x/Data0002.dat"]
    await look.journal.record_sent(AT.place, signature(SLIDE))
    decision = await look(existing=existing, fresh=True)
    assert (decision.action, decision.same, decision.doubtful) == (Action.SKIP, True, False)


async def test_a_slide_with_more_files_that_nobody_knows_is_another_one(look: Looking) -> None:
    look.core.there, look.core.leftovers = ["Slides/in/x.svs"], ["Slides/in/x/Data0002.dat"]
    assert (await look()).action is Action.CONFLICT
    await look.journal.record_sent(AT.place, "as it was before it changed here")
    assert (await look()).action is Action.CONFLICT
