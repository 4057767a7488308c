"""What is said to be ours where a site says less than others: no times of its files, or no bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.slides import make_slide

from pmarep.engine.options import Existing, Options
from pmarep.engine.slide.action import Action
from pmarep.engine.slide.decide import decide, destination
from pmarep.engine.slide.ownership import ContentCheck, diagnose
from pmarep.engine.slide.verify import ContentMatch, Found, SlideVerifier
from pmarep.pmacore import NotArrived, PermissionDenied, Refused, RemoteFile
from pmarep.sites import Site
from pmarep.slides import Slide
from pmarep.state.journal import Journal
from pmarep.state.records import BROKEN, DIFFERS, SENT, UNREADABLE, signature

SLIDE = make_slide("x.svs", 10_000)
AT = destination(Site(name="a", url="http://pma.example/", username="u", target="Slides/in"), "", SLIDE)


class Looking:
    """An SlideVerifier that finds what it is told; `there` None: nothing can be read back."""

    def __init__(self) -> None:
        self.there: Found | None = Found(ContentMatch.OTHER)
        self.stamp_now: str | None = "now"
        self.sizes = self.opens = True

    async def stamp(self, _slide: Slide) -> str | None:
        return self.stamp_now

    async def has_sizes(self, _slide: Slide) -> bool:
        return self.sizes

    async def refusal_to_open(self, _slide: Slide) -> Refused | None:
        return None if self.opens else Refused("unreadable")

    async def what_is_there(self, _slide: Slide, *, begun: bool = False) -> Found:
        if self.there is None:
            raise PermissionDenied("Download is not permitted")
        return self.there


class Case:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.site = Looking()

    async def judged(self, *, just_sent: bool = False) -> tuple[str | None, str | None, str | None]:
        """What is said; then the state and the stamp that the journal has."""
        verifier = cast(SlideVerifier, self.site)
        diagnosis = await diagnose(NotArrived("wrong"), SLIDE, AT, verifier, self.journal, just_sent=just_sent)
        entry = await self.journal.entry(AT.place)
        return (diagnosis, None, None) if entry is None else (diagnosis, entry.state, entry.stamp)


@pytest.fixture
async def case(tmp_path: Path) -> AsyncIterator[Case]:
    journal = Journal(tmp_path / "state")
    yield Case(journal)
    journal.close()


MENDED, REPLACED = "wrong; the next run sends it again", "wrong; pmarep push --existing overwrite replaces it"


@pytest.mark.parametrize(
    ("sent", "now", "sizes", "diagnosis", "state"),
    [
        ("now", "now", True, MENDED, BROKEN),
        ("before", "now", True, REPLACED, DIFFERS),
        (None, "now", True, REPLACED, DIFFERS),
        (None, None, True, REPLACED, DIFFERS),
        ("now", "now", False, REPLACED, DIFFERS),
    ],
)
async def test_other_bytes_are_damage_only_where_nobody_has_written(
    case: Case, sent: str | None, now: str | None, sizes: bool, diagnosis: str, state: str
) -> None:
    await case.journal.record_sent(AT.place, signature(SLIDE), sent)
    case.site.stamp_now, case.site.sizes = now, sizes
    for _ in range(2):
        assert (await case.judged())[:2] == (diagnosis, state)


@pytest.mark.parametrize("beginning", [0, 10, 5000])
@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("known", ["sent", "broken", "seen", "different", "nothing"])
async def test_a_beginning_is_ours_where_we_have_sent_it(case: Case, known: str, beginning: int, opens: bool) -> None:
    if known != "nothing":
        await getattr(case.journal, f"record_{known}")(AT.place, signature(SLIDE))
    case.site.there, case.site.opens = Found(ContentMatch.TRUNCATED, beginning=beginning), opens
    mine = known in ("sent", "broken") or (beginning > 4096 and not opens)
    for _ in range(2):
        assert (await case.judged())[:2] == ((MENDED, BROKEN) if mine else (REPLACED, DIFFERS))


@pytest.mark.parametrize("opens", [True, False])
async def test_a_slide_with_all_its_bytes_is_not_sent_again(case: Case, opens: bool) -> None:
    case.site.there, case.site.opens = Found(ContentMatch.SAME), opens
    await case.journal.record_sent(AT.place, signature(SLIDE), "now")
    diagnosis, state, stamp = await case.judged()
    assert (state, stamp) == ((SENT, "now") if opens else (UNREADABLE, "now"))
    assert diagnosis is None if opens else "its bytes are there, but wrong" in str(diagnosis)


async def test_what_cannot_be_read_back_is_ours_where_nobody_has_written(case: Case) -> None:
    case.site.there = None
    await case.journal.record_sent(AT.place, signature(SLIDE), "now")
    assert await case.judged() == (MENDED, BROKEN, "now")
    await case.journal.record_sent(AT.place, signature(SLIDE), "before")
    diagnosis, state, stamp = await case.judged()
    assert (state, stamp) == (BROKEN, None)
    assert "cannot be read back" in str(diagnosis)
    assert "--existing overwrite" in str(diagnosis)


async def test_nothing_is_claimed_where_a_site_does_not_say_when_its_files_were_written(case: Case) -> None:
    case.site.stamp_now = None
    assert await case.judged(just_sent=True) == (REPLACED, DIFFERS, None)
    case.site.there = None
    diagnosis, _, _ = await case.judged(just_sent=True)
    assert "--existing overwrite" in str(diagnosis)


async def test_an_unfinished_upload_stays_what_it_is(case: Case) -> None:
    await case.journal.record_announced(AT.place, signature(SLIDE), 1, "{}")
    await case.journal.record_part_sent(AT.place, "x.svs", 1, "tag")
    before = await case.journal.entry(AT.place)
    diagnosis, _, _ = await case.judged()
    assert "unfinished" in str(diagnosis)
    assert await case.journal.entry(AT.place) == before


class LargerSlide:
    """A PmaCore and a RemoteListing that show another slide in the place of ours."""

    async def slide_files(self, path: str) -> list[RemoteFile]:
        return [RemoteFile.read({"Path": path, "Size": 12_345, "LastModified": "/Date(1700000000000)/"}, "x")]

    async def slide_in(self, _folder: str, path: str) -> str:
        return path


WANTED = {Existing.FAIL: Action.CONFLICT, Existing.SKIP: Action.SKIP, Existing.OVERWRITE: Action.REPLACE}


@pytest.mark.parametrize("opens", [False, True])
@pytest.mark.parametrize("existing", list(Existing))
async def test_another_slide_in_the_place_of_an_unfinished_upload(case: Case, existing: Existing, opens: bool) -> None:
    """A bucket shows no half files, so it is nothing of ours: what a person has said counts."""
    await case.journal.record_announced(
        AT.place, signature(SLIDE), 7, '{"Id": 7, "UploadType": 1, "Urls": ["https://s3/x"]}'
    )
    options, there = Options(sources=(Path("/cases"),), existing=existing), cast(Any, LargerSlide())
    decision = await decide(SLIDE, AT, there, there, case.journal, options)
    case.site.opens = opens
    if decision.doubtful:
        site = cast(SlideVerifier, case.site)
        decision = await ContentCheck(SLIDE, AT, site, case.journal, options, cast(Any, None)).decide(decision)
    assert decision.action is WANTED[existing]
    assert decision.left is (existing is Existing.SKIP)
    assert ("--existing overwrite" in decision.reason) is (existing is Existing.FAIL)
    assert "12345 bytes there" in decision.reason


@pytest.mark.parametrize("known", ["sent", "sending"])
async def test_the_result_of_a_content_check_is_reported_once(case: Case, known: str) -> None:
    if known == "sent":
        await case.journal.record_sent(AT.place, signature(SLIDE), "before")
    else:
        await case.journal.record_announced(AT.place, signature(SLIDE), 7, '{"Id": 7}')
    options, there = Options(sources=(Path("/cases"),)), cast(Any, LargerSlide())
    decision = await decide(SLIDE, AT, there, there, case.journal, options, look=True)
    assert decision.doubtful
    site = cast(SlideVerifier, case.site)
    decision = await ContentCheck(SLIDE, AT, site, case.journal, options, cast(Any, None)).decide(decision)
    assert decision.reason.count("another slide of this name is there") == 1
    assert decision.reason.count("--existing overwrite") == 1


@pytest.mark.parametrize("existing", list(Existing))
async def test_an_announcement_that_nobody_understands_is_no_reason_to_fail_for_ever(
    case: Case, existing: Existing
) -> None:
    """As another version of pmarep may have left it."""
    await case.journal.record_announced(AT.place, signature(SLIDE), 7, '{"Key": 7}')
    options, there = Options(sources=(Path("/cases"),), existing=existing), cast(Any, LargerSlide())
    decision = await decide(SLIDE, AT, there, there, case.journal, options)
    site = cast(SlideVerifier, case.site)
    decision = await ContentCheck(SLIDE, AT, site, case.journal, options, cast(Any, None)).decide(decision)
    assert decision.action is WANTED[existing]
