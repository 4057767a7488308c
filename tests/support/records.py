"""Make records of runs that nobody ran: many slides at several sites, of which some fail."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pmarep.events import (
    Event,
    Notice,
    Progress,
    SiteState,
    SiteSummary,
    SlideFinished,
    SlideRetracted,
    SlideStarted,
    SlideStatus,
    SourceProblem,
    State,
    Summary,
    VerifiedBy,
)
from pmarep.slides import Slide, SlideFile
from pmarep.state.run_record import RunRecord

ODD_NAMES = (
    "<script>alert(1)</script>.svs",
    "a\"quote' & 100% #1 + [x].svs",
    "Müller, Jörg.svs",
    "佐藤 花子.mrxs",
    "=HYPERLINK(1).svs",
    "\u202egnp.svs",
    "new\nline.svs",
    "latin\udcff.svs",
    "$(touch pwned) `id`.svs",
    "-rf.svs",
    "{{data}} ]]> <!-- .svs",
    "x" * 200 + ".svs",
)
SITES = {"tokyo": "https://tokyo.example/", "saopaulo": "https://sp.example/core/", "ghent": "https://ghent.example/"}

ABOUT: dict[str, Any] = {
    "pmarep": "1.2.3", "machine": "scanner-pc", "platform": "linux", "pid": 1, "command": "push",
    "sources": ["/data/cases 2026"], "to": "", "verify": "size", "existing": "fail", "include": [], "exclude": [],
    "newer_than": None, "min_size": 0, "follow_links": False, "config": None,
    "sites": [{"name": name, "url": url, "target": "Slides/in"} for name, url in SITES.items()],
}  # fmt: skip


def made_up_slides(number: int, seed: int = 1) -> list[Slide]:
    """Slides in folders, the first of them with odd names."""
    chance = random.Random(seed)
    slides = []
    for index in range(number):
        name = ODD_NAMES[index] if index < len(ODD_NAMES) else f"S26-{chance.randrange(10**5):05}_{index}.svs"
        folder = f"2026-{1 + index * 12 // number:02}" if index >= len(ODD_NAMES) else "odd"
        slides.append(made_up_slide(f"{folder}/{name}", int(chance.lognormvariate(20, 1))))
    return slides


def made_up_slide(path: str, size: int = 5) -> Slide:
    folder, _, name = path.rpartition("/")
    return Slide(path, "Aperio SVS", Path(ABOUT["sources"][0]) / folder, (SlideFile(name, size, 1),))


async def made_up_run(
    folder: Path, slides: int, *, started: datetime, number: int = 7, finished: bool = True, **about: Any
) -> RunRecord:
    """Write the record of a run of two hours: ghent stops in the middle, 1 of 40 slides fails at sao paulo."""
    record = RunRecord(folder, number, started, {**ABOUT, **about}, failed=_fail)
    found = made_up_slides(slides)
    chance = random.Random(2)
    for site in SITES:
        record.hear(SiteState(time=started, site=site, state=State.RUNNING))
    record.add_slides(found)
    known = range(slides // 2, slides)
    record.add_known("tokyo", known, SlideStatus.SKIPPED, VerifiedBy.LISTING, started + timedelta(seconds=3))
    seconds = 7200
    events: list[Event] = []
    counts = {site: dict.fromkeys(SlideStatus, 0) for site in SITES}
    counts["tokyo"][SlideStatus.SKIPPED] = len(known)
    for site in SITES:
        upto = {"tokyo": slides // 2, "saopaulo": slides, "ghent": slides // 3}[site]
        for index, slide in enumerate(found[:upto]):
            moment = started + timedelta(seconds=5 + index * seconds / slides)
            failed = site == "saopaulo" and index % 40 == 3
            error = "the server cannot read the slide (Unsupported file); it is not sent again unless it changes"
            events.append(SlideStarted(time=moment, site=site, slide=slide.path))
            events.append(
                SlideFinished(
                    time=moment + timedelta(seconds=4), site=site, slide=slide.path, seconds=chance.uniform(1, 90),
                    status=SlideStatus.FAILED if failed else SlideStatus.SENT, bytes=slide.size,
                    error=error if failed else None, verified_by=None if failed else VerifiedBy.SIZE,
                )
            )  # fmt: skip
            counts[site][SlideStatus.FAILED if failed else SlideStatus.SENT] += 1
    stop = started + timedelta(seconds=seconds / 3)
    events.append(SlideStarted(time=stop, site="ghent", slide=found[slides // 3].path))
    events.append(SlideRetracted(time=stop, site="tokyo", slide=found[0].path, error="its content is another"))
    refused = "Connection refused; trying again"
    events.append(SiteState(time=stop - timedelta(minutes=10), site="ghent", state=State.PAUSED, reason=refused))
    events.append(
        SiteState(time=stop, site="ghent", state=State.STOPPED, reason="ghent.example has not answered for 10m00s")
    )
    sent: Counter[str] = Counter()
    paused = stop - timedelta(minutes=10)
    for second in range(10, seconds, 10):
        time = started + timedelta(seconds=second)
        for site, mean in (("tokyo", 9e6), ("saopaulo", 4e6), ("ghent", 20e6)):
            if site != "ghent" or time < stop:
                rate = 0.0 if site == "ghent" and time >= paused else mean * chance.uniform(0.7, 1.1)
                sent[site] += int(10 * rate)
                done = {"bytes_done": sent[site], "bytes_sent": sent[site], "bytes_total": 10**12}
                events.append(Progress(time=time, site=site, rate=rate, connections=8, **done))
    for event in sorted(events, key=lambda event: event.time):
        record.add_event(event) if isinstance(event, SlideFinished) else record.hear(event)
    end = started + timedelta(seconds=seconds)
    detail = "half/Slidedat.ini is missing"
    record.hear(SourceProblem(time=started, path="odd/half.mrxs", why="incomplete", detail=detail))
    record.hear(Notice(time=started, text="ghent: the certificate is not checked (verify_tls = false)"))
    if finished:
        for site in ("tokyo", "saopaulo"):
            record.hear(SiteState(time=end, site=site, state=State.DONE))
        sites = {
            site: SiteSummary(
                sent=counts[site][SlideStatus.SENT], skipped=counts[site][SlideStatus.SKIPPED],
                failed=slides - counts[site][SlideStatus.SENT] - counts[site][SlideStatus.SKIPPED],
            )
            for site in SITES
        }  # fmt: skip
        record.hear(Summary(time=end, exit_code=1, seconds=float(seconds), sites=sites, source_problems=1))
    await record.close()
    return record


def _fail(why: str) -> None:
    raise AssertionError(why)
