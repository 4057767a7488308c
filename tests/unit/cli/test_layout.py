"""The board as lines: every width and height, few sites and many."""

from __future__ import annotations

import re

import pytest
from support.boards import SetClock, failed, paused, progress, sent, started

from pmarep.cli.render.cells import ASCII, UNICODE, Glyphs, Line, bar, cut, cut_path, joined, plain, sparkline, width_of
from pmarep.cli.render.layout import board_lines
from pmarep.cli.render.live import LiveRun
from pmarep.cli.render.words import done_of, time_left
from pmarep.events import Event, SiteState, SlideStarted, SourceWaiting, State

SLIDE = "2026/研究/" * 9 + "スライド 12.mrxs"


def run(*names: str, events: tuple[Event, ...] = (), seconds: int = 30) -> LiveRun:
    """A run of half a minute; site number N has sent N MiB/s, and two slides are under way everywhere."""
    clock = SetClock()
    found = LiveRun(clock)
    for event in [
        *started(*names),
        *(SlideStarted(site=name, slide=slide) for name in names for slide in ("a", SLIDE)),
    ]:
        found.handle(event)
    for event in events:
        found.handle(event)
    for second in range(1, seconds + 1):
        clock.now = second
        for number, name in enumerate(names, 1):
            found.handle(progress(name, number * second, number, 1000))
    return found


def shown(run: LiveRun, width: int = 80, height: int = 23, glyphs: Glyphs = UNICODE) -> list[str]:
    return [plain(line) for line in board_lines(run, width, height, glyphs)]


TROUBLE: tuple[Event, ...] = (
    failed("tokyo", "x.svs", "the disk is full"),
    paused("site01", "https://site01.example/ refused the connection; is the server running, and the port right?"),
    SiteState(site="site02", state=State.STOPPED, reason="the password is wrong"),
    SiteState(site="site03", state=State.DONE),
    SiteState(site="site04", state=State.CONNECTING),
    SiteState(site="site05", state=State.RUNNING, reason="waiting for it to answer, for 30s now"),
    SourceWaiting(slides=40, seconds=35),
)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("number", [1, 2, 5, 20, 60])
@pytest.mark.parametrize("trouble", [False, True])
def test_it_fits_every_window(number: int, trouble: bool, glyphs: Glyphs) -> None:
    names = ["tokyo", *(f"site{one:02}" for one in range(1, number))]
    known = tuple(event for event in TROUBLE if getattr(event, "site", "tokyo") in names)
    found = run(*names, events=known if trouble else (), seconds=12)
    for width in (10, 20, 31, 40, 60, 63, 64, 80, 99, 100, 130, 200, 400):
        for height in (1, 2, 3, 4, 5, 11, 23, 49):
            lines = board_lines(found, width, height, glyphs)
            assert len(lines) <= height
            assert max(map(width_of, lines), default=0) <= width, (width, height)
            if glyphs is ASCII:
                drawn = "".join(plain(line) for line in lines).replace("スライド", "").replace("研究", "")
                assert drawn.isascii()


def test_two_sites_are_panels_with_everything_in_80_columns() -> None:
    found = run("tokyo", "saopaulo", events=(failed("saopaulo", "x.svs", "the disk is full"), sent("tokyo", "b")))
    lines = shown(found)
    assert len(lines) == 14
    saopaulo, tokyo = lines[:6], lines[6:12]
    assert re.fullmatch(r"╭─ saopaulo ─+ running ─╮", saopaulo[0])
    assert re.fullmatch(r"│ ━+─+    6%  60.0 MiB/1.0 GiB  0 of 6 slides  1 failed │", saopaulo[1])
    assert re.fullmatch(r"│  2\.0 MiB/s +[▁-█]+  mean 2\.0 MiB/s +7m50s left  2 requests +│", saopaulo[2])
    assert re.fullmatch(r"│ sending a \+1 +│", saopaulo[3])
    assert re.fullmatch(r"│ 30s ago: failed x\.svs: the disk is full +│", saopaulo[4])
    assert re.fullmatch(r"│ ━+─+    3%  30.0 MiB/1.0 GiB  1 of 6 slides │", tokyo[1])
    assert lines[12].rstrip().endswith("total 4%, 90.0 MiB/2.0 GiB, 1 of 12 slides, 3.0 MiB/s, 16m left, 1 failed")
    assert lines[13] == "elapsed 30s; 2 running"


def test_panels_stand_side_by_side_where_there_is_room() -> None:
    lines = shown(run("a", "b", "c", "d"), 200, 49)
    assert len(lines) == 14
    assert lines[0].count("╭") == 2  # two and two, not three and one
    assert len(shown(run(*(f"site{n}" for n in range(20))), 200, 49)) == 44


def test_twenty_sites_are_rows_in_80_columns_with_all_figures() -> None:
    lines = shown(run(*(f"site{n:02}" for n in range(20))))
    assert len(lines) == 23
    assert lines[0].split() == ["site", "done", "slides", "rate", "left", "req"]
    assert re.fullmatch(r"site00 ━+─+   3% 30.0 MiB/1.0 GiB +0/6 +1\.0 MiB/s [▁-█]{8} +16m +2", lines[1]), lines[1]
    assert re.fullmatch(r"total +━+─+ +31% +6\.2/19\.5 GiB +0/120 +210 MiB/s .* +16m +40", lines[21])


def test_at_40_columns_the_figures_stay_and_the_bar_goes() -> None:
    lines = shown(run("tokyo", "saopaulo"), 40)
    assert not any("━" in line for line in lines)
    assert re.fullmatch(r"tokyo      3% +0/6  1\.0 MiB/s     16m *", lines[1])
    assert re.fullmatch(r"total      4% +0/12  3\.0 MiB/s     16m *", lines[5])


def test_troubled_sites_are_seen_in_a_low_window() -> None:
    names = [f"site{n:02}" for n in range(20)]
    found = run(*names, events=(paused("site13"), SiteState(site="site17", state=State.DONE), failed("site11", "x")))
    lines = shown(found, 80, 11)
    assert [line.split()[0] for line in lines[1:5]] == ["site13", "site11", "site00", "site01"]
    assert "paused 30s" in lines[1]
    assert lines[-3] == "+ 13 sites: 12 running, 1 done"
    assert lines[-2].startswith("total")
    assert lines[-1].startswith("elapsed 30s; 18 running, 1 paused, 1 done")


def test_rows_have_details_below_where_there_is_room() -> None:
    found = run("tokyo", "b", "c", "d", events=(paused("b", "it refused the connection"),))
    lines = shown(found)
    assert lines[1].startswith("b ")
    assert lines[2].rstrip() == "    30s ago: it refused the connection"
    assert any(line.rstrip() == "    sending a +1" for line in lines)


def test_a_paused_site_says_when_it_is_tried_again() -> None:
    found = run("tokyo", events=(paused("tokyo", "it refused", 100),))
    assert "paused 30s, next try in 1m10s ─╮" in shown(found)[0]
    found = run("tokyo", events=(paused("tokyo", "it refused", 20),))
    assert "paused 30s, trying again now ─╮" in shown(found)[0]


def test_a_stopped_site_says_why_and_a_done_one_is_full() -> None:
    found = run("tokyo", "b", events=(SiteState(site="tokyo", state=State.STOPPED, reason="wrong password"),))
    lines = shown(found)
    assert " stopped ─╮" in lines[0]
    assert "wrong password" in lines[4]
    found.handle(SiteState(site="b", state=State.DONE))
    lines = shown(found)
    assert re.search(r"│ ━+  100%  1.0/1.0 GiB", lines[7])
    assert "total 100%" in lines[12]
    assert "MiB/s" not in lines[12]


def test_young_slides_are_one_line() -> None:
    found = run("tokyo", events=(SourceWaiting(slides=40, seconds=35),))
    assert shown(found, 120)[-1] == "elapsed 30s; 40 slides still being written or just copied, looking again in 5s"


def test_healthy_bars_have_not_the_colour_of_errors() -> None:
    def styles(lines: list[Line]) -> set[str]:
        return {style for line in lines for text, style in line if UNICODE.filled in text}

    assert styles(board_lines(run("tokyo", "b"), 80, 23, UNICODE)) == {"cyan"}
    found = run("tokyo", "b", events=(SiteState(site="b", state=State.STOPPED, reason="x"),))
    assert styles(board_lines(found, 80, 23, UNICODE)[:6]) == {"red"}


def test_names_are_printable_and_cut() -> None:
    name = "[red]\x1b[2J" + "長" * 100
    lines = shown(run(name, "b"), 80)
    assert all(line.isprintable() for line in lines)
    assert any(line.startswith(r"╭─ [red]\x1b[2J長長") for line in lines)


def test_a_bar_is_full_only_at_the_end() -> None:
    assert plain(bar(0, 10, "", UNICODE)) == "─" * 10
    assert plain(bar(0.001, 10, "", UNICODE)) == "━" + "─" * 9
    assert plain(bar(0.999, 10, "", UNICODE)) == "━" * 9 + "─"
    assert plain(bar(1, 10, "", ASCII)) == "#" * 10


def test_sparklines_grow_to_their_highest_value() -> None:
    assert sparkline([0, 1, 2, 4], 6, UNICODE) == "  ▁▃▅█"
    assert sparkline([0, 0], 2, UNICODE) == "▁▁"
    assert sparkline([1, 2], 4, ASCII) == "    "
    assert sparkline([], 4, UNICODE) == "    "


def test_texts_are_cut_at_their_end_and_paths_at_their_beginning() -> None:
    assert cut("abcdef", 4, UNICODE) == "abc…"
    assert cut("あいう", 4, UNICODE) == "あ…"
    assert cut("abcdef", 5, ASCII) == "ab..."
    assert cut("abc", 0, UNICODE) == ""
    assert cut_path("a/b/c.svs", 6, UNICODE) == "…c.svs"
    assert width_of([(cut_path("あ" * 10, 6, UNICODE), "")]) <= 6
    assert joined(["a", "b", "c"], 20, UNICODE) == "a, b, c"
    assert joined(["a.svs", "b.svs", "c.svs"], 16, UNICODE) == "a.svs, b.svs +1"
    assert joined(["long/name.svs", "b"], 9, UNICODE) == "…e.svs +1"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""), (0.2, "1s"), (59, "59s"), (119, "1m59s"), (123, "2m05s"), (599, "10m00s"), (630, "10m"),
        (3599, "1h00m"),        (7261, "2h01m"), (86400 * 3, "3d"), (1e12, ">99d"),
    ],
)  # fmt: skip
def test_the_time_left_is_no_finer_than_it_is_known(seconds: float | None, said: str) -> None:
    assert time_left(seconds) == said


def test_bytes_done_have_a_unit_of_their_own_where_it_differs() -> None:
    assert done_of(0, 100) == "0/100 B"
    assert done_of(1200 * 1024**2, 3 * 1024**3) == "1.2/3.0 GiB"
    assert done_of(50 * 1024**2, 120 * 1024**3) == "50.0 MiB/120 GiB"
    assert done_of(0, 0) == "0/0 B"
    assert done_of(0, 3 * 1024**3) == "0/3.0 GiB"
