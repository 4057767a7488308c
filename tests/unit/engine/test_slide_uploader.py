"""The upload of one slide to one site, from its announcement to the journal's `sent`, with a scripted PMA.core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from support.clocks import JumpingClock
from support.scripted_core import ScriptedCore, refusal

from pmarep.engine.options import Verify
from pmarep.engine.remote_listing import RemoteListing
from pmarep.engine.slide.action import Action
from pmarep.engine.slide.announce import UploadAnnouncer
from pmarep.engine.slide.decide import Decision, destination
from pmarep.engine.slide.job import SlideJob
from pmarep.engine.slide.upload import ANNOUNCEMENTS, SlideUploader
from pmarep.engine.slide.verify import Fingerprints, SlideVerifier
from pmarep.errors import PmarepError
from pmarep.events import SlideStatus
from pmarep.pmacore import NotFound, Overtaken, Refused
from pmarep.retry import Retry
from pmarep.sites import Site
from pmarep.slides import Slide, SlideFile
from pmarep.source import SharedReader, SiteReader
from pmarep.state.journal import Journal
from pmarep.state.records import SENDING, SENT, Entry
from pmarep.uploaders import Digests, RequestScheduler, TransferCounts, UploadContext, UploadIds

FILES = {"x/Data0.dat": b"0" * 3000, "x/Data1.dat": b"1" * 2000, "x.mrxs": b"m" * 1000}
SEND = Decision(Action.SEND, "not there")


class Events:
    """Keeps what a site would be told, and the state that the journal has of the slide at that moment."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.restarted: list[int] = []
        self.arrived: list[tuple[SlideStatus, str]] = []

    def slide_announced(self, slide: Slide) -> None:
        pass

    def slide_restarted(self, slide: Slide, lost: int, reason: str) -> None:
        self.restarted.append(lost)

    async def slide_arrived(self, job: SlideJob, status: SlideStatus, attempt: TransferCounts) -> None:
        self.arrived.append((status, (await self._bench.entry()).state))


class Bench:
    """An uploader with everything that it needs but a server; `posted` are the files that came there."""

    def __init__(self, folder: Path) -> None:
        files = []
        for name, content in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
            files.append(SlideFile(name, len(content), (folder / name).stat().st_mtime_ns))
        self.slide = Slide("x.mrxs", "3DHISTECH MIRAX", folder, tuple(files))
        self.at = destination(Site(name="a", url="https://pma.example/core/", username="u", target="S"), "", self.slide)
        self.posted: list[str] = []
        self.complete: set[str] = set()
        self.on_post: Callable[[str], object] = lambda _file: None
        self.ids = 0
        self.script = ScriptedCore(GetFiles=[], GetDirectories=["S"], GetImageInfo={}, CreateDirectory=True)
        self.script.answers["GetFilenames"] = [
            {"Path": f"S/{file.path}", "Size": file.size} for file in self.slide.files
        ]
        self.script.answers["transfer/Download"] = refusal("no right", 403)
        self.script.answers["transfer/Upload"] = self._announced
        for number in range(1, 10):
            self.script.answers[f"transfer/Upload/{number}"] = self._file_or_status
        self.core = self.script.core()
        clock, reader = JumpingClock(), SharedReader()
        self.journal, self.digests, self.reader = Journal(folder / "state"), Digests(reader), reader
        self.scheduler = RequestScheduler(4, [], Retry(attempts=1), clock)
        self.source = SiteReader(reader)
        self.events = Events(self)
        events = cast(Any, self.events)
        listings = RemoteListing(self.core, clock)
        verifier = SlideVerifier(
            "a", self.core, self.source, self.digests, clock, Fingerprints(), lambda _: self.at.path, events
        )
        context = UploadContext(self.core, cast(Any, None), self.scheduler, self.source, self.digests, self.journal)
        announcer = UploadAnnouncer(context, listings, verifier, clock, UploadIds(clock), events)
        self.uploader = SlideUploader(context, listings, verifier, Verify.SIZE, announcer, True, events)
        self.job = SlideJob(self.slide, 0.0)

    def _announced(self) -> object:
        self.ids += 1
        return {"Id": self.ids, "UploadType": 0}

    def _file_or_status(self) -> object:
        request = self.script.requests[-1]
        if request.method == "GET":
            return {"Files": [{"Path": path, "Complete": path in self.complete} for path in FILES]}
        file = request.url.params["path"]
        if (answer := self.on_post(file)) is not None:
            return answer
        self.posted.append(file)
        self.complete.add(file)
        return httpx.Response(204)

    async def entry(self) -> Entry:
        entry = await self.journal.entry(self.at.place)
        assert entry is not None
        return entry

    async def upload(self, decision: Decision = SEND) -> None:
        await self.uploader.upload(self.job, self.at, decision)

    async def close(self) -> None:
        self.source.close()
        await self.core.close()
        self.digests.close()
        self.reader.close()
        self.journal.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.core.login()  # as a site does before its first slide
    yield bench
    await bench.close()


async def test_the_main_file_comes_last_and_the_journal_hears_of_the_end(bench: Bench) -> None:
    await bench.upload()
    assert set(bench.posted[:-1]) == {"x/Data0.dat", "x/Data1.dat"}
    assert bench.posted[-1] == "x.mrxs"
    assert (await bench.entry()).state == SENT
    assert bench.events.arrived == [(SlideStatus.SENT, SENDING)]  # said before the journal says so
    assert (bench.job.attempt.bytes, bench.scheduler.bytes_acknowledged, bench.scheduler.bytes_in_flight) == (
        6000,
        6000,
        0,
    )


async def test_a_companion_that_fails_keeps_the_main_file_back(bench: Bench) -> None:
    bench.on_post = lambda file: refusal("no", 400) if file == "x/Data1.dat" else None
    with pytest.raises(Refused):
        await bench.upload()
    assert "x.mrxs" not in bench.posted
    assert (await bench.entry()).state == SENDING
    assert not bench.events.arrived


async def test_what_an_earlier_run_has_sent_is_not_sent_again(bench: Bench) -> None:
    bench.on_post = lambda file: refusal("no", 400) if file == "x.mrxs" else None
    with pytest.raises(Refused):
        await bench.upload()
    bench.on_post, bench.posted, bench.job = lambda _file: None, [], SlideJob(bench.slide, 0.0)
    await bench.upload(Decision(Action.RESUME, "partly sent", await bench.entry()))
    assert bench.posted == ["x.mrxs"]
    assert (bench.job.attempt.bytes, bench.job.attempt.resumed, bench.ids) == (1000, 5000, 1)
    assert (await bench.entry()).state == SENT


async def test_an_upload_that_the_server_has_forgotten_is_announced_again(bench: Bench) -> None:
    forgotten = ["x.mrxs"]
    bench.on_post = lambda file: refusal("unknown upload", 404) if file in forgotten and forgotten.pop() else None
    await bench.upload()
    assert (bench.ids, bench.events.restarted) == (2, [5000])
    assert sorted(bench.posted) == sorted([*FILES, "x/Data0.dat", "x/Data1.dat"])
    assert (bench.job.attempt.bytes, bench.scheduler.bytes_acknowledged) == (6000, 6000)
    assert (await bench.entry()).state == SENT


async def test_it_is_not_announced_for_ever(bench: Bench) -> None:
    bench.on_post = lambda _file: refusal("unknown upload", 404)
    with pytest.raises(NotFound):
        await bench.upload()
    assert bench.ids == ANNOUNCEMENTS
    assert (await bench.entry()).state == SENDING


async def test_a_session_that_ends_in_the_middle_puts_the_upload_in_doubt(bench: Bench) -> None:
    """Its id may mean another upload by then, so all of it is sent again."""
    ended: list[str] = []

    def end(file: str) -> object:
        if file != "x.mrxs" or ended:
            return None
        ended.append(file)
        bench.script.answers["Ping"] = False
        return refusal("Invalid session")

    bench.on_post = end
    await bench.upload()
    assert (bench.ids, bench.core.logins, bench.events.restarted) == (2, 2, [5000])
    assert (bench.job.attempt.bytes, (await bench.entry()).state) == (6000, SENT)


async def test_a_slide_that_came_to_its_name_meanwhile_is_left_alone(bench: Bench) -> None:
    def come(file: str) -> None:
        bench.script.answers["GetFiles"] = ["S/x.mrxs"]

    bench.on_post = come
    with pytest.raises(Overtaken):
        await bench.upload()
    assert "x.mrxs" not in bench.posted
    assert not bench.events.arrived


async def test_a_cancelled_upload_keeps_what_was_acknowledged(bench: Bench) -> None:
    reached = asyncio.Event()

    async def still_free(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    object.__setattr__(bench.uploader, "listings", SimpleNamespace(slide_just_now=still_free))
    uploading = asyncio.create_task(bench.upload())
    await reached.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert (await bench.entry()).files == {"x/Data0.dat", "x/Data1.dat"}
    assert not bench.uploader.announcer.ids._held


@pytest.mark.parametrize("wrong", [{"Path": "S/x.mrxs", "Size": 999}, {"Path": "S/x.mrxs", "Size": 0}])
async def test_what_has_another_size_at_the_end_is_not_recorded_as_sent(bench: Bench, wrong: object) -> None:
    bench.script.answers["GetFilenames"] = [wrong]
    with pytest.raises(PmarepError):
        await bench.upload()
    assert (await bench.entry()).state != SENT
    assert not bench.events.arrived
