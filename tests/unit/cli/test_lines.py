"""Plain lines: what a cron mail, a log or a pipe gets."""

from __future__ import annotations

import pytest
from support.boards import SetClock, failed, paused, progress, started

from pmarep.cli.render import LinesOutput
from pmarep.events import (
    Event,
    Notice,
    RunStarted,
    SiteState,
    SiteSummary,
    SlideDeleted,
    SlideExtra,
    SlideFinished,
    SlidePlanned,
    SlideRestarted,
    SlideStarted,
    SlideStatus,
    SourceProblem,
    SourceWaiting,
    State,
    Summary,
)

MIB = 1024 * 1024
NASTY = "[b]\x1b[2Jあ\r\n.svs"
SHOWN = r"[b]\x1b[2Jあ\x0d\x0a.svs"


def finished(status: SlideStatus, error: str | None = None) -> SlideFinished:
    return SlideFinished(site="tokyo", slide=NASTY, status=status, bytes=3 * MIB, seconds=65, error=error)


EVENTS: list[tuple[Event, str]] = [
    (RunStarted(sites=["tokyo", "b"], slides=2, bytes=MIB), "2 slides, 1.0 MiB, to tokyo, b"),
    (RunStarted(sites=["b"], slides=1, bytes=0, scanning=True), "1 slide, 0 B so far, still looking, to b"),
    (Notice(text="the journal was damaged"), "note: the journal was damaged"),
    (Notice(text="asleep", passing=True), "note: asleep"),
    (SourceProblem(path=NASTY, why="incomplete", detail="no x"), f"not sent: {SHOWN}: no x (incomplete)"),
    (SourceWaiting(slides=3, seconds=9.8), "3 slides are still being written or just copied; looking again in 10s"),
    (SourceWaiting(slides=1, seconds=90), "1 slide is still being written or just copied; looking again in 1m30s"),
    (
        SlidePlanned(site="b", slide="a", action="send", reason="not there", to="S/a", bytes=1),
        "b: would send a to S/a (not there)",
    ),
    (
        SlidePlanned(site="b", slide="a", action="replace", reason="other size", to="S/a", bytes=1),
        "b: would replace a at S/a (other size)",
    ),
    (
        SlidePlanned(site="b", slide="a", action="skip", reason="there", to="S/a", bytes=0),
        "b: would skip a at S/a (there)",
    ),
    (
        SlidePlanned(site="b", slide="a", action="conflict", reason="other size", to="S/a", bytes=0),
        "b: would not send a to S/a (other size)",
    ),
    (
        SlideExtra(site="b", slide=NASTY, to="S/a", files=2, bytes=MIB, reason="only listed"),
        f"b: not in the source: {SHOWN} (2 files, 1.0 MiB; only listed)",
    ),
    (
        SlideExtra(site="b", slide="a", to="S/a", files=0, bytes=0, reason="why", planned=True),
        "b: would delete a (size not told; the source has it not)",
    ),
    (
        SlideDeleted(site="b", slide=NASTY, to="S/a", files=1, bytes=7),
        f"b: deleted {SHOWN} (1 file, 7 B; not in the source)",
    ),
    (SlideRestarted(site="b", slide="a", bytes=7, reason="it ended"), "b: a: 7 B have to be sent again: it ended"),
    (SiteState(site="b", state=State.STOPPED, reason="gone\x07"), r"b: stopped: gone\x07"),
    (finished(SlideStatus.SENT), f"tokyo: sent {SHOWN} (3.0 MiB in 1m05s)"),
    (finished(SlideStatus.SKIPPED), f"tokyo: skipped {SHOWN}"),
    (finished(SlideStatus.FAILED, "two\nlines"), rf"tokyo: failed {SHOWN}: two\x0alines"),
]


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_an_event_is_one_line_without_control_codes(
    event: Event, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    LinesOutput(quiet=False, verbose=True).handle(event)
    printed = capsys.readouterr().out
    if not (isinstance(event, SlidePlanned) or getattr(event, "planned", False)):  # a plan may be compared with another
        time, printed = printed[:21], printed[21:]
        assert time == f"{event.time.astimezone():%Y-%m-%d %H:%M:%S}  "
    assert printed == line + "\n"


def test_quiet_says_only_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    output = LinesOutput(quiet=True, verbose=False)
    for event, _ in EVENTS:
        output.handle(event)
    good = Summary(exit_code=0, seconds=1, sites={"tokyo": SiteSummary(sent=1)})
    output.handle(good)
    printed = capsys.readouterr().out.splitlines()
    expected = [["note:", "the"], ["not", "sent:"], ["b:", "stopped:"], ["tokyo:", "failed"]]
    assert [line.split()[2:4] for line in printed] == expected


def test_skipped_slides_and_steps_are_for_the_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    output = LinesOutput(quiet=False, verbose=False)
    output.handle(finished(SlideStatus.SKIPPED))
    output.handle(SlideStarted(site="tokyo", slide="a"))
    output.handle(SlideRestarted(site="tokyo", slide="a", bytes=0, reason="it ended"))  # nothing is lost
    output.handle(SiteState(site="tokyo", state=State.RUNNING))
    assert capsys.readouterr().out == ""


def test_every_half_minute_there_is_a_line_for_each_site(capsys: pytest.CaptureFixture[str]) -> None:
    clock = SetClock()
    output = LinesOutput(quiet=False, verbose=False, clock=clock)
    for event in started("tokyo", "b"):
        output.handle(event)
    output.handle(failed("tokyo", "x"))
    capsys.readouterr()
    for second in range(1, 92):
        clock.now = second
        if second == 45:
            output.handle(paused("b", "it refused"))
        if second == 80:
            output.handle(SiteState(site="tokyo", state=State.DONE))
        output.handle(progress("tokyo", second, 1))
        output.handle(progress("b", 5, 0))
    printed = [line[21:] for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        "tokyo: 31 %, 31.0 MiB of 100 MiB, 0 of 6 slides, 1 failed, 1.0 MiB/s, 1m09s left",
        "b: 5 %, 5.0 MiB of 100 MiB, 0 of 6 slides, 0 B/s",
        "b: paused: it refused (trying again)",
        "tokyo: 61 %, 61.0 MiB of 100 MiB, 0 of 6 slides, 1 failed, 1.0 MiB/s, 39s left",
        "b: 5 %, 5.0 MiB of 100 MiB, 0 of 6 slides, paused for 16s",
        "b: 5 %, 5.0 MiB of 100 MiB, 0 of 6 slides, paused for 46s",
    ]


def test_a_verification_has_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    clock = SetClock()
    output = LinesOutput(quiet=False, verbose=False, clock=clock)
    for event in (*started("tokyo"), SlideFinished(site="tokyo", slide="a", status=SlideStatus.VERIFIED)):
        output.handle(event)
    capsys.readouterr()
    for second in (1, 40):
        clock.now = second
        output.handle(progress("tokyo", 0))
    assert capsys.readouterr().out[21:] == "tokyo: 16 %, 1 of 6 slides\n"


def test_the_summary_is_a_line_per_site_and_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    sites = {
        "tokyo": SiteSummary(sent=2, bytes_sent=20 * MIB, seconds=10),
        "b": SiteSummary(failed=2, error="down"),
    }
    LinesOutput(quiet=False, verbose=False).handle(Summary(exit_code=1, seconds=10, sites=sites))
    assert capsys.readouterr().out.splitlines() == [
        "tokyo  2 sent, 0 skipped, 0 failed; 20.0 MiB in 10s; 2.0 MiB/s",
        "b      0 sent, 0 skipped, 2 failed; 0 B in 0s; STOPPED, see above",
        "2 slides did not arrive; see above, then run it again to send the rest",
    ]
