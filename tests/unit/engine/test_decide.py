"""What is decided about a slide, as time goes by at the site."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from pmarep.engine import Existing, Options
from pmarep.engine.decide import Action, Decision, decide, destination
from pmarep.engine.remote import LISTING_SECONDS, Remote
from pmarep.journal import Journal, signature
from pmarep.pmacore import NotFound, PermissionDenied, PmaCore, Refused, RemoteFile
from pmarep.sites import Site
from pmarep.slides import Slide, SlideFile
from pmarep.uploaders import Clock

SLIDE = Slide("x.svs", "Aperio SVS", Path("/cases"), (SlideFile("x.svs", 10, 1),))
SITE = Site(name="a", url="http://pma.example/", username="u", target="Slides/in")
AT = destination(SITE, "", SLIDE)


class FakeClock(Clock):
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class FakeCore:
    """A site with files of 10 bytes in its target folder."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.listed = 0

    async def directories(self, path: str) -> list[str]:
        return ["Slides/in"]

    async def slides(self, path: str) -> list[str]:
        self.listed += 1
        return list(self.there)

    async def slide_files(self, path: str) -> list[RemoteFile]:
        return [RemoteFile(path=path, size=10)]


class Looking:
    def __init__(self, journal: Journal) -> None:
        self.clock = FakeClock()
        self.core = FakeCore()
        self.journal = journal
        self._core = cast(PmaCore, self.core)
        self._remote = Remote(self._core, self.clock)

    async def __call__(self, slide: Slide = SLIDE, **options: Any) -> Decision:
        return await decide(
            slide, AT, self._core, self._remote, self.journal, Options(sources=(Path("/cases"),), **options)
        )


@pytest.fixture
async def look(tmp_path: Path) -> AsyncIterator[Looking]:
    journal = Journal(tmp_path / "state")
    yield Looking(journal)
    journal.close()


async def test_a_listing_is_believed_for_a_minute(look: Looking) -> None:
    assert (await look()).action is Action.SEND
    look.core.there = ["Slides/in/x.svs"]  # meanwhile somebody else has put one there, of another size
    other = Slide("x.svs", "Aperio SVS", Path("/cases"), (SlideFile("x.svs", 11, 1),))
    look.clock.now += LISTING_SECONDS
    assert (await look(other)).action is Action.SEND
    assert look.core.listed == 1
    look.clock.now += 0.001
    assert (await look(other)).action is Action.CONFLICT
    assert look.core.listed == 2


@pytest.mark.parametrize("existing", list(Existing))
async def test_an_upload_of_which_nothing_had_arrived_claims_no_slide_of_others(
    look: Looking, existing: Existing
) -> None:
    changed = Slide("x.svs", "Aperio SVS", Path("/cases"), (SlideFile("x.svs", 11, 2),))
    await look.journal.sending(AT.place, signature(changed), 1, "{}")
    look.core.there = ["Slides/in/x.svs"]
    wanted = {Existing.FAIL: Action.CONFLICT, Existing.SKIP: Action.SKIP, Existing.OVERWRITE: Action.REPLACE}
    assert (await look(changed, existing=existing)).action is wanted[existing]


@pytest.mark.parametrize("what", ["a file", "a part", "an overwrite", "broken", "nothing there"])
async def test_what_is_ours_is_finished(look: Looking, what: str) -> None:
    await look.journal.sending(AT.place, signature(SLIDE), 1, "{}", replaces=what == "an overwrite")
    if what == "a file":
        await look.journal.file_sent(AT.place, "x.svs")
    elif what == "a part":
        await look.journal.part_sent(AT.place, "x.svs", 1, "tag")
    elif what == "broken":
        await look.journal.broken(AT.place, signature(SLIDE))
    if what != "nothing there":
        look.core.there = ["Slides/in/x.svs"]
    decision = await look()
    assert decision.action is (Action.SEND if what == "broken" else Action.RESUME)
    assert decision.over == (None if what == "nothing there" else "Slides/in/x.svs")


async def test_the_same_size_but_changed_since(look: Looking) -> None:
    await look.journal.sent(AT.place, "of an older version")
    look.core.there = ["Slides/in/x.svs"]
    assert (await look()).action is Action.SKIP
    entry = await look.journal.entry(AT.place)
    assert entry is not None
    assert entry.signature == "of an older version"
    assert (await look(existing=Existing.OVERWRITE)).action is Action.REPLACE


@pytest.mark.parametrize(
    ("words", "exists"),
    [
        ("A slide with this name already exists", True),
        ("The file 'Slides/in/full of space.svs' exists", True),
        ("HTTP status 409", True),
        ("Overwriting is not allowed", True),
        ("There is already a file of this name; existing files are kept", True),
        ("duplicate name", True),
        ("The quota is exceeded already", False),
        ("The folder Slides/in does not exist", False),
        ("The folder doesn't exist", False),
        ("Not enough space to overwrite it", False),
        ("existing/already exists.svs: not taken", False),
        ("HTTP status 507", False),
        ("too large: 11 bytes already", False),
        ("no reason given", False),
    ],
)
def test_which_refusals_say_that_a_slide_exists(words: str, exists: bool) -> None:
    from pmarep.engine.shipping import _says_that_it_exists

    names = ["Slides/in/full of space.svs", "existing/already exists.svs"]
    assert _says_that_it_exists(Refused(f"transfer/Upload was refused: {words}"), names) is exists
    assert not _says_that_it_exists(PermissionDenied(words), names)
    assert not _says_that_it_exists(NotFound(words), names)
