"""What `pmarep status` makes of the journal and the records: names of sites, and what is to be gone on with."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pmarep.cli.site_targets import Target, name_of
from pmarep.cli.status.output import print_lines
from pmarep.cli.status.overview import Overview, RecordedRun, UnfinishedSlide, latest, to_go_on
from pmarep.slides.shard import Shard
from pmarep.state.records import RemotePath, Run
from pmarep.state.run_groups import grouped
from pmarep.state.run_progress import RunProgress, RunState, SiteProgress
from pmarep.state.state_folders import StateFolder

DONE = {"exit_code": 0, "sites": {"tokyo": {"sent": 1, "skipped": 0, "failed": 0}}}
FAILED = {"exit_code": 1, "sites": {"tokyo": {"sent": 0, "skipped": 0, "failed": 1}}}
UNDECIDED = {"exit_code": 1, "sites": {"tokyo": {"sent": 0, "skipped": 0, "failed": 2, "needs_decision": 2}}}
MOMENT = datetime(2026, 11, 27, 22, 0, tzinfo=UTC)


ROOT = Path("/state")


def folder_of(shard: Shard | None) -> StateFolder:
    return StateFolder(ROOT if shard is None else ROOT / shard.folder, ROOT, shard)


def recorded(number: int, state: RunState, summary: dict[str, Any] | None = None, **changes: Any) -> RecordedRun:
    keys: dict[str, Any] = {
        "command": "push",
        "arguments": ("push", "/my cases", f"--{number}"),
        "scope": "a",
        "to": "",
        "sources": (),
    } | changes
    site = SiteProgress("https://t/", "S", "running", None, 1, 1, 0, 1, 1024, 3072, 1024.0)
    keys["shard"] = shard = Shard.parse(keys["shard"]) if "shard" in keys else None
    progress = RunProgress(number, state, MOMENT, MOMENT, pid=4711, slides=9, sites={"tokyo": site}, **keys)
    named = list(keys["sources"]) or ["/my cases"]
    return RecordedRun(Run(number, MOMENT.timestamp(), named, summary), progress, folder_of(shard))


@pytest.mark.parametrize(
    ("runs", "numbers"),
    [
        ([recorded(1, RunState.KILLED)], [1]),
        ([recorded(1, RunState.ENDED, FAILED)], [1]),
        ([recorded(1, RunState.ENDED, DONE)], []),
        ([recorded(1, RunState.ENDED, UNDECIDED)], []),
        ([recorded(1, RunState.ENDED, DONE | {"error": "interrupted"})], [1]),
        ([recorded(1, RunState.RUNNING)], []),
        ([recorded(2, RunState.ENDED, DONE), recorded(1, RunState.KILLED)], []),
        ([recorded(2, RunState.RUNNING), recorded(1, RunState.KILLED)], []),
        ([recorded(2, RunState.ENDED, DONE, scope="b"), recorded(1, RunState.KILLED)], [1]),
        ([recorded(2, RunState.ENDED, FAILED), recorded(1, RunState.KILLED)], [2]),
        ([recorded(1, RunState.ENDED, FAILED, command="verify")], []),
        ([recorded(1, RunState.KILLED, command="verify")], [1]),
        ([recorded(1, RunState.KILLED, arguments=())], []),
    ],
)
def test_the_runs_to_resume_are_the_unfinished_ones_that_no_later_run_replaces(
    runs: list[RecordedRun], numbers: list[int]
) -> None:
    assert [number for _, number in to_go_on(runs)] == numbers


def test_slides_belong_to_the_most_special_target() -> None:
    targets = [Target("https://a/", "S", "all"), Target("https://a/", "S/in", "tokyo"), Target("https://b/", "S", "b")]
    targets.append(Target("https://a/", "S/in", "as it was called before"))
    names = [name_of(RemotePath("https://a/", path), targets) for path in ("S/in/x.svs", "S/inn/x.svs", "T/x.svs")]
    assert names == ["tokyo", "all", None]


def test_runs_that_go_on_and_were_killed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: MOMENT.timestamp() + 61)
    runs = [recorded(2, RunState.RUNNING), recorded(1, RunState.KILLED)]
    print_lines(Overview([[one] for one in runs], [], {runs[1].key: ("push", "/my cases", "--sites", "tokyo")}), "")
    moment = MOMENT.astimezone().isoformat(" ", "seconds")
    assert capsys.readouterr().out.splitlines() == [
        "push /my cases: running for 1m01s (process 4711)",
        "  SITE   STATE    SLIDES            BYTES               RATE",
        "  tokyo  running  3 of 9, 1 failed  1.0 KiB of 3.0 KiB  1.0 KiB/s, 2s left",
        f"  as of {moment}",
        "0 partly sent",
        "last runs (pmarep report NUMBER has more of one):",
        f"  2  {moment}  /my cases: goes on; tokyo 1 sent 1 skipped 1 failed",
        f"  1  {moment}  /my cases: was killed, or the machine went down; last heard of at {moment}; "
        "tokyo 1 sent 1 skipped 1 failed",
        "    to go on: pmarep push '/my cases' --sites tokyo",
    ]


def test_what_a_site_does_not_take_is_not_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    summary = {"exit_code": 0, "sites": {"tokyo": {"sent": 1, "skipped": 0, "failed": 0, "excluded": 4}}}
    runs = [recorded(2, RunState.RUNNING), recorded(1, RunState.ENDED, summary)]
    for one in runs:
        assert one.progress is not None
        one.progress.sites["tokyo"].excluded = 4
    print_lines(Overview([[one] for one in runs]), "")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("  tokyo  running  3 of 5, 1 failed  ")
    assert [line.endswith(" (4 excluded by the site book)") for line in lines[-2:]] == [True, True]


def test_a_place_ends_in_one_colon(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        recorded(number, state, sources=("tokyo:",)) for number, state in ((2, RunState.RUNNING), (1, RunState.KILLED))
    ]
    print_lines(Overview([[one] for one in runs]), "")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("push tokyo: running for ")
    assert [line.partition("tokyo:")[2][:5] for line in lines[-2:]] == [" goes", " was "]


def test_why_a_run_has_to_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"exit_code": 1, "sites": {}, "source": {"empty": ["/my cases"], "may_be_empty": False}}
    blind = {"exit_code": 1, "sites": {"tokyo": {"sent": 0, "skipped": 0, "failed": 6, "not_looked_at": 6}}}
    runs = [
        recorded(3, RunState.ENDED, nothing),
        recorded(2, RunState.ENDED, UNDECIDED, scope="b", to="second"),
        recorded(1, RunState.ENDED, blind, scope="c"),
        recorded(0, RunState.ENDED, {"exit_code": 1, "sites": {}, "source_problems": 2}, scope="d", command="pull"),
    ]
    print_lines(Overview([[one] for one in runs], [], {}, latest(runs)), "")
    moment = MOMENT.astimezone().isoformat(" ", "seconds")
    assert capsys.readouterr().out.splitlines()[2:] == [
        f"  3  {moment}  /my cases: exit 1; no slide is in /my cases; is its drive mounted?",
        f"  2  {moment}  /my cases --to second: exit 1; tokyo 0 sent 0 skipped 2 failed",
        "    2 slides need a decision, or a push refuses the same again: where another",
        "    slide is there, --existing overwrite would replace it and --existing skip leave it",
        f"  1  {moment}  /my cases: exit 1; tokyo 0 sent 0 skipped 6 failed (6 not looked at)",
        f"  0  {moment}  /my cases: pull, exit 1; 2 places or folders could not be looked at",
    ]


def test_slides_with_the_most_bytes_at_a_site_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    slides = [
        UnfinishedSlide(RemotePath("https://t/", f"S/{n}.svs"), "tokyo", time.time(), kept=n // 6 * 9 * 2**20, left=5)
        for n in range(7)
    ]
    print_lines(Overview([], slides), "")
    named = [line for line in capsys.readouterr().out.splitlines() if " to send)" in line]
    assert len(named) == 5
    assert named[0] == "  tokyo  S/6.svs  (9.0 MiB kept, 5 B to send)"


KILLED, ENDED = RunState.KILLED, RunState.ENDED


@pytest.mark.parametrize(
    ("runs", "left"),
    [
        ([recorded(1, KILLED, shard="1/2"), recorded(1, ENDED, DONE, shard="2/2")], ["1/2"]),
        ([recorded(1, KILLED, shard="1/2"), recorded(1, KILLED, shard="2/2")], ["1/2", "2/2"]),
        ([recorded(2, ENDED, DONE, shard="1/2"), recorded(1, KILLED, shard="1/2")], []),
        ([recorded(2, ENDED, DONE), recorded(1, KILLED, shard="1/2")], []),
        ([recorded(2, ENDED, DONE, shard="1/2"), recorded(1, KILLED)], ["None"]),
        ([recorded(2, ENDED, DONE, shard="1/2"), recorded(2, ENDED, DONE, shard="2/2"), recorded(1, KILLED)], []),
        ([recorded(2, ENDED, DONE, shard="1/3"), recorded(1, KILLED, shard="1/2")], ["1/2"]),
    ],
)
def test_which_shards_are_to_be_gone_on_with(runs: list[RecordedRun], left: list[str]) -> None:
    assert [str(one.shard) for one in runs if one.key in to_go_on(runs)] == left


def test_a_group_has_the_last_run_of_each_shard() -> None:
    names = ["1/2 c", "1/2 b", "whole", "2/2 b", "1/3", "1/2 a", "2/2 a"]

    def about(name: str) -> tuple[str, Shard | None]:
        return "scope", None if name == "whole" else Shard.parse(name[:3])

    assert grouped(names, about) == [["1/2 c", "2/2 b"], ["1/2 b", "2/2 a"], ["whole"], ["1/3"], ["1/2 a"]]


def test_shards_are_shown_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    row = [
        recorded(7, ENDED, DONE, shard="3/4"),
        recorded(1, KILLED, shard="1/4"),
        recorded(2, ENDED, FAILED, shard="2/4"),
    ]
    print_lines(Overview([row], [], to_go_on(row), latest(row)), "")
    moment = MOMENT.astimezone().isoformat(" ", "seconds")
    assert capsys.readouterr().out.splitlines() == [
        "0 partly sent",
        "last runs (pmarep report NUMBER has more of one; of a shard with --state-dir DIR/shard-K-of-N):",
        f"  3 of 4 shards  {moment}  /my cases: 1 exit 0, 1 killed, 1 exit 1; nothing is known here of 4/4; "
        "tokyo 2 sent 1 skipped 2 failed",
        f"    1/4: was killed, or the machine went down; last heard of at {moment}; tokyo 1 sent 1 skipped 1 failed",
        "      to go on: pmarep push '/my cases' --1",
        "    2/4: exit 1; tokyo 0 sent 0 skipped 1 failed",
        "      to go on: pmarep push '/my cases' --2",
    ]
