"""What became of slides: counted, said and recorded alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.slides import make_slide

from pmarep.clock import Clock
from pmarep.engine import Options
from pmarep.engine.discovery.slide_list import SlideList
from pmarep.engine.site.report import SiteReport
from pmarep.engine.slide.job import Outcome
from pmarep.events import SlideStatus
from pmarep.sites import Site
from pmarep.slides import Slide, SlideFile
from pmarep.uploaders import TransferCounts


def listed(slides: list[Slide]) -> SlideList:
    slide_list = SlideList()
    slide_list.write(slides)
    slide_list.admit(len(slides), sum(slide.size for slide in slides))
    return slide_list


SITE = Site(name="a", url="http://pma.example/", username="u", target="Slides/in")


async def test_a_cancelled_report_has_recorded_all_that_it_has_reported() -> None:
    slides = [make_slide(f"{n}.svs", 5) for n in range(10)]
    announced, recorded = [], []

    class AuditLog:
        async def record(self, line: dict[str, Any], *, on_disk: bool) -> None:
            recorded.append((line["slide"], line["status"]))
            if len(recorded) == 3:
                raise asyncio.CancelledError

    context = SimpleNamespace(
        options=Options(sources=(Path("/cases"),)),
        clock=Clock(),
        audit=AuditLog(),
        record=None,
        known=None,
        at_all_sites=None,
        listener=lambda event: announced.append((event.slide, event.status.value)),
        slide_list=listed(slides),
    )
    account = SiteReport(SITE, cast(Any, None), cast(Any, context))
    with pytest.raises(asyncio.CancelledError):
        await account.record_known(slides, SlideStatus.SKIPPED)
    assert recorded == announced == [(f"{n}.svs", "skipped") for n in range(3)]
    summary = account.summary(early=False)
    assert (summary.skipped, summary.failed) == (3, 7)


async def test_what_has_been_recorded_as_sent_and_fails_after_all_is_recorded_again() -> None:
    """The server may restart between the two, and have given the id of the upload to another slide."""
    slide = make_slide("x.svs", 5)
    recorded = []

    class AuditLog:
        async def record(self, line: dict[str, Any], *, on_disk: bool) -> None:
            recorded.append((line["slide"], line["status"]))

    class Digests:
        async def sha256(self, slide: Slide, file: SlideFile) -> bytes:
            return b"digest"

    context = SimpleNamespace(
        options=Options(sources=(Path("/cases"),)),
        clock=Clock(),
        audit=AuditLog(),
        record=None,
        known=None,
        at_all_sites=None,
        digests=Digests(),
        digests_of=lambda _slide: Digests(),
        listener=lambda event: None,
        slide_list=listed([slide]),
    )
    account = SiteReport(SITE, cast(Any, None), cast(Any, context))
    await account.record_arrival(slide, SlideStatus.SENT, TransferCounts(), 0.0)
    assert recorded == [("x.svs", "sent")]
    await account.record_outcome(slide, Outcome(SlideStatus.FAILED, "it is another's"), TransferCounts(), 0.0)
    assert recorded[1:] == [("x.svs", "failed")]


async def test_what_was_not_looked_at_is_counted_apart_and_unfinished_bytes_are_recorded() -> None:
    slides = [make_slide(f"{n}.svs", 5) for n in range(6)]
    recorded: list[Any] = []
    record = SimpleNamespace(add_event=recorded.append, add_unfinished=lambda *line: recorded.append(line))
    context = SimpleNamespace(
        options=Options(sources=(Path("/cases"),)),
        clock=Clock(),
        audit=None,
        record=record,
        at_all_sites=None,
        listener=lambda event: None,
        slide_list=listed(slides),
    )
    report = SiteReport(SITE, cast(Any, None), cast(Any, context))
    refused = Outcome(SlideStatus.FAILED, "another is there", needs_decision=True)
    await report.record_outcome(slides[0], refused, TransferCounts(), 0.0)
    assert recorded.pop().needs_decision
    await report.record_outcome(slides[1], Outcome(SlideStatus.SENT), TransferCounts(), 0.0)
    report.add_unfinished(slides[2], TransferCounts(bytes=3, resumed=1))
    assert recorded[1:] == [("a", "2.svs", 3, 1)]
    summary = report.summary(early=False)
    assert (summary.failed, summary.not_looked_at, summary.needs_decision, summary.not_begun) == (5, 3, 1, 0)
    early = report.summary(early=True)
    assert (early.failed, early.not_looked_at, early.not_begun) == (2, 0, 3)


async def test_a_slide_that_is_taken_back_is_not_at_every_site() -> None:
    """Its files must not be listed: whoever deletes them by the list has nothing left."""
    slide = replace(make_slide("x.svs", 5), number=0)
    notes: list[tuple[str, int, str | None]] = []
    context = SimpleNamespace(
        options=Options(sources=(Path("/cases"),)),
        clock=Clock(),
        audit=None,
        record=None,
        at_all_sites=SimpleNamespace(note=lambda *note: notes.append(note)),
        listener=lambda event: None,
        slide_list=listed([slide]),
    )
    report = SiteReport(SITE, cast(Any, None), cast(Any, context))
    await report.record_outcome(slide, Outcome(SlideStatus.SENT, proof="these files"), TransferCounts(), 0.0)
    await report.record_retraction(slide, "damaged")
    assert notes == [("a", 0, "these files"), ("a", 0, None)]
