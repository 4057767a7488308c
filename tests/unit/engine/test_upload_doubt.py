"""What the journal says of a slide whose upload id turns out to be another slide's at the very end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.clocks import FakeClock

from pmarep.engine.options import Verify
from pmarep.engine.slide.announce import UploadAnnouncer
from pmarep.engine.slide.announced_upload import AnnouncedUpload
from pmarep.engine.slide.decide import destination
from pmarep.engine.slide.job import SlideJob
from pmarep.engine.slide.upload import SlideUploader
from pmarep.pmacore import AnnounceAgain, Announcement
from pmarep.sites import Site
from pmarep.slides import Slide, SlideFile
from pmarep.state.journal import Journal
from pmarep.state.records import BROKEN, SENT, signature
from pmarep.uploaders import UploadIdLease, UploadIds

SLIDE = Slide("x.svs", "Aperio SVS", Path("/cases"), (SlideFile("x.svs", 10_000, 1),))
AT = destination(Site(name="a", url="http://pma.example/", username="u", target="Slides/in"), "", SLIDE)


class Case:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.held = UploadIdLease("7", SLIDE)
        self.upload = AnnouncedUpload(Announcement.read({"Id": 7}, "x"), self.held, frozenset(), {})

        async def status(_id: object) -> Any:
            return SimpleNamespace(complete={})

        async def inspect(_slide: Slide, _level: Verify) -> str:
            return "now"

        async def read_back(_slide: Slide, _files: object) -> None:
            pass

        async def look_for(_folder: str, _slide: Slide) -> None:
            pass

        async def arrived(*_: object) -> None:
            pass

        clock = FakeClock()
        self.verifier = SimpleNamespace(inspect=inspect, read_back=read_back)
        context = cast(Any, SimpleNamespace(core=SimpleNamespace(upload_status=status, logins=1), journal=journal))
        listings = cast(Any, SimpleNamespace(look_for=look_for))
        events = cast(Any, SimpleNamespace(slide_arrived=arrived))
        self.announcer = UploadAnnouncer(context, listings, cast(Any, self.verifier), clock, UploadIds(clock), events)
        self.uploader = SlideUploader(
            context, listings, cast(Any, self.verifier), Verify.SIZE, self.announcer, keeps_others=True, events=events
        )

    async def state(self) -> tuple[str, str | None]:
        entry = await self.journal.entry(AT.place)
        assert entry is not None
        return entry.state, entry.stamp


@pytest.fixture
async def case(tmp_path: Path) -> AsyncIterator[Case]:
    journal = Journal(tmp_path / "state")
    yield Case(journal)
    journal.close()


async def test_an_id_given_again_while_the_journal_is_written(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next attempt, and the next run, would find that it has been sent."""
    sent = case.journal.record_sent

    async def and_lost(*arguments: Any, **more: Any) -> None:
        await sent(*arguments, **more)
        case.held.revoked_since, case.held._answered = 1.0, 2.0

    monkeypatch.setattr(case.journal, "record_sent", and_lost)
    with pytest.raises(AnnounceAgain):
        await case.uploader._verify_and_record(SlideJob(SLIDE, 0.0), AT, case.upload)
    assert (await case.state())[0] == BROKEN


@pytest.mark.parametrize("right", [True, False])
async def test_a_second_look_that_is_broken_off_is_not_forgotten(case: Case, right: bool) -> None:
    """By a kill, the end of the run, or of the attempt of the slide that has raised the doubt."""
    await case.journal.record_sent(AT.place, signature(SLIDE), "now")
    seen = []

    async def look_again(_slide: Slide) -> bool:
        seen.append(await case.state())
        return right

    case.verifier.look_again = look_again
    await case.announcer._look_again(SLIDE, AT)
    assert seen == [(BROKEN, "now")]
    assert await case.state() == (SENT if right else BROKEN, "now")
