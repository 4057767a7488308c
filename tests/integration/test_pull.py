"""What a pull brings, and what it leaves alone: from real sandboxes, in the test's own process."""

from __future__ import annotations

import asyncio
import errno
import json
import math
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.cloud import KINDS, StartCloud
from support.corpus import wild_names
from support.pulls import place, pull, put
from support.push_cli import contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Drop, EndSessions, Hold, IgnoreRanges, Sandbox
from pmarep.engine import Existing
from pmarep.errors import TargetBusyError, UsageError
from pmarep.events import (
    Event,
    Notice,
    SlidePlanned,
    SlideRestarted,
    SlideStarted,
    SlideStatus,
    SourceProblem,
)
from pmarep.pull import disk, file_download
from pmarep.pull.folder_lock import hold_folder
from pmarep.pull.partial_file import PartialFile

MIB = 1024**2
MRXS = {
    "m.mrxs": b"main",
    "m/Slidedat.ini": b"[GENERAL]\n",
    "m/Data0000.dat": os.urandom(70_000),
    "m/sub/Index & 1.dat": b"index",
    "m/empty.dat": b"",
}


@pytest.fixture(autouse=True)
def _nothing_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine asks for nothing twice."""
    monkeypatch.setattr(file_download, "STUCK_SECONDS", math.inf)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def statuses(report: Any) -> dict[str, SlideStatus]:
    return {name: event.status for name, event in report.finished("tokyo").items()}


async def test_slides_with_all_their_files_and_times(sandbox: Sandbox, here: Path) -> None:
    wild = {f"{number}/{name}.svs": name.encode() for number, name in enumerate(wild_names()) if name[-1] not in ". "}
    wild = {name: content for name, content in wild.items() if not set(name) & set('<>:"|?*\\')}
    files = put(sandbox, {**MRXS, "deep/er/a.svs": b"a", **wild})
    os.utime(sandbox.data / "Slides/in/m.mrxs", (1_700_000_000, 1_700_000_000))
    report = await pull([place(sandbox)], here)
    assert (report.code, report.error("tokyo")) == (0, "")
    assert contents(here) == files
    assert (here / "m.mrxs").stat().st_mtime == 1_700_000_000
    assert report.summary.sites["tokyo"].bytes_sent == sum(map(len, files.values()))
    assert sandbox.open_sessions == 0

    asked = len(sandbox.requests)
    again = await pull([place(sandbox)], here)
    assert set(statuses(again).values()) == {SlideStatus.SKIPPED}
    assert not [one for one in sandbox.requests[asked:] if "Download" in one.path]


async def test_a_single_slide_and_a_filtered_folder_are_pulled(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {**MRXS, "sub/a.svs": b"a", "sub/b.svs": b"b", "sub/old/c.svs": b"c"})
    await pull([place(sandbox, "Slides/IN/M.mrxs")], here)
    assert contents(here) == MRXS
    asked = len(sandbox.requests)
    report = await pull([place(sandbox, "Slides/in/sub")], here / "2", include=("*.svs",), exclude=("old/", "x*"))
    assert set(contents(here / "2")) == {"a.svs", "b.svs"}
    assert not [one for one in sandbox.requests[asked:] if "old" in one.path]
    assert [event.text for event in report.events if isinstance(event, Notice)] == ["--exclude 'x*' matches no slide"]


@pytest.mark.parametrize("root", KINDS)
async def test_from_a_cloud_a_broken_download_goes_on(cloud_sandbox: StartCloud, here: Path, root: str) -> None:
    cloud, content = cloud_sandbox(), os.urandom(3 * MIB)
    cloud.side(root).put("in/x.svs", content)
    cloud.side(root).faults.add(Drop(2 * MIB), method="GET", path=r"x\.svs", times=1)
    report = await pull([place(cloud.sandbox, f"{root}/in")], here)
    assert contents(here) == {"x.svs": content}
    assert not [event for event in report.events if isinstance(event, SlideRestarted)]
    assert report.finished("tokyo")["x.svs"].bytes == len(content)


async def test_a_server_that_sends_whole_files_only(sandbox: Sandbox, here: Path) -> None:
    files = put(sandbox, {"x.svs": os.urandom(3 * MIB)})
    sandbox.faults.add(IgnoreRanges(), path="Download")
    sandbox.faults.add(Drop(2 * MIB + 5), path="Download", times=1)
    report = await pull([place(sandbox)], here)
    assert contents(here) == files
    (again,) = [event for event in report.events if isinstance(event, SlideRestarted)]
    assert (again.bytes, again.reason) == (2 * MIB + 5, "the server sends whole files only")
    assert report.finished("tokyo")["x.svs"].bytes == 3 * MIB


def part_of(folder: Path) -> Path:
    """The file that is not whole yet."""
    (part,) = folder.glob("*.part")
    return part


async def broken_off(sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A run that leaves the first 5 MiB of x.svs."""
    monkeypatch.setattr(file_download, "RANGE", 64 * MIB)
    content = put(sandbox, {"x.svs": os.urandom(8 * MIB + 7)})["x.svs"]
    sandbox.faults.add(Drop(MIB), path="Download", times=5)
    sandbox.faults.add(CannedResponse.refusal("Locked"), path="Download", after=5)
    report = await pull([place(sandbox)], here)
    assert report.code == 1
    assert "Locked" in report.error("tokyo")
    assert not (here / "x.svs").exists()
    assert part_of(here).read_bytes() == content[: 5 * MIB]
    sandbox.faults.clear()
    return content


async def test_the_next_run_goes_on(sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = await broken_off(sandbox, here, monkeypatch)
    report = await pull([place(sandbox)], here)
    assert contents(here) == {"x.svs": content}
    done = report.finished("tokyo")["x.svs"]
    assert (done.bytes, done.resumed_bytes) == (len(content) - 5 * MIB, 5 * MIB)


async def test_after_an_interrupt_the_next_run_goes_on(sandbox: Sandbox, here: Path) -> None:
    files, hold = put(sandbox, {"x.svs": os.urandom(3 * MIB + 7)}), Hold()
    sandbox.faults.add(Drop(MIB), path="Download", times=2)
    sandbox.faults.add(hold, path="Download", after=2)
    run = asyncio.create_task(pull([place(sandbox)], here))
    while not hold.reached.is_set():
        await asyncio.sleep(0.001)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    sandbox.faults.clear()
    report = await pull([place(sandbox)], here)
    assert contents(here) == files
    assert report.finished("tokyo")["x.svs"].resumed_bytes == 2 * MIB


async def test_the_next_run_goes_on_where_there_is_room_for_the_rest(
    sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = await broken_off(sandbox, here, monkeypatch)
    monkeypatch.setattr(disk, "LOOK_SECONDS", 0)  # it looks before and after the file is opened

    taken_by_others = 0

    def usage(_: object) -> SimpleNamespace:
        size = sum(one.stat().st_size for one in here.glob("*.part"))
        return SimpleNamespace(free=len(content) - size - (taken_by_others if size > 5 * MIB else 0))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    put(sandbox, {"y.svs": b"y"})
    report = await pull([place(sandbox)], here)
    assert (report.code, contents(here).get("y.svs")) == (1, None)
    assert "has 3.0 MiB free, and 3.0 MiB are still to come" in (report.summary.error or "")
    (sandbox.data / "Slides/in/y.svs").unlink()

    taken_by_others = 1
    sandbox.faults.add(Drop(MIB), path="Download", times=1)
    report = await pull([place(sandbox)], here)
    assert "has 2.0 MiB free, and 2.0 MiB are still to come" in (report.summary.error or "")
    taken_by_others = 0
    report = await pull([place(sandbox)], here)
    assert (report.code, contents(here)) == (0, {"x.svs": content})


async def test_only_what_was_synced_is_believed(sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = await broken_off(sandbox, here, monkeypatch)
    with part_of(here).open("ab") as file:
        file.write(bytes(1000))  # as after a power failure
    await pull([place(sandbox)], here)
    assert contents(here) == {"x.svs": content}


@pytest.mark.parametrize("change", ["content", "gone"])
async def test_a_partial_file_whose_source_has_changed_begins_again(
    sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    content = await broken_off(sandbox, here, monkeypatch)
    file = sandbox.data / "Slides/in/x.svs"
    if change == "content":
        file.write_bytes(content[::-1])
        os.utime(file, (1_700_000_000, 1_700_000_000))
    else:
        file.unlink()
    report = await pull([place(sandbox)], here)
    assert report.code == 0
    assert contents(here) == ({"x.svs": content[::-1]} if change == "content" else {})


async def test_a_slide_that_is_replaced_while_it_is_pulled(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {"x.svs": b"old" * 1000, "y.svs": b"y"})

    def replace(event: Event) -> None:
        if isinstance(event, SlideStarted) and event.slide == "x.svs":
            put(sandbox, {"x.svs": b"newer" * 1000})

    report = await pull([place(sandbox)], here, on_event=replace)
    assert report.code == 0
    assert contents(here) == {"x.svs": b"newer" * 1000, "y.svs": b"y"}


async def test_a_slide_that_is_replaced_by_one_of_the_same_sizes(
    sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No mixture of both comes: the site's list is looked at again when all files are here."""
    put(sandbox, MRXS)
    new = {name: content[::-1] for name, content in MRXS.items()}
    finish = PartialFile.finish

    def finish_and_replace(part: PartialFile) -> None:
        finish(part)
        if part.path.name == "Data0000.dat" and not replaced:
            replaced.append(put(sandbox, new))
            for name in new:
                os.utime(sandbox.data / "Slides/in" / name, (1_700_000_000, 1_700_000_000))

    replaced: list[Any] = []
    monkeypatch.setattr(PartialFile, "finish", finish_and_replace)
    report = await pull([place(sandbox)], here)
    assert (report.code, report.error("tokyo")) == (0, "")
    assert contents(here) == new


async def test_the_main_file_gets_its_name_last_and_after_all_are_whole(
    sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(sandbox, MRXS)
    named: list[str] = []
    commit = PartialFile.commit

    def note(part: PartialFile) -> None:
        assert len(list(here.rglob("*.part"))) + len(named) == len(MRXS)
        commit(part)
        named.append(part.path.relative_to(here).as_posix())

    monkeypatch.setattr(PartialFile, "commit", note)
    assert (await pull([place(sandbox)], here)).code == 0
    assert (named[-1], set(named)) == ("m.mrxs", set(MRXS))


async def test_a_slide_that_never_stands_still(sandbox: Sandbox, here: Path) -> None:
    """Its listing is another each time, as of a slide that is just being written."""
    put(sandbox, {"x.svs": b"x", "y.svs": b"y"})
    sandbox.faults.add(CannedResponse(200, "x" * 50, "application/octet-stream"), path="Download.*x.svs")
    report = await pull([place(sandbox)], here)
    assert statuses(report) == {"x.svs": SlideStatus.FAILED, "y.svs": SlideStatus.PULLED}
    assert "not with those that it lists" in report.error("tokyo")


async def test_trouble_that_passes(sandbox: Sandbox, here: Path) -> None:
    files = put(sandbox, {f"{number}.svs": os.urandom(50_000) for number in range(20)})
    sandbox.faults.add(CannedResponse.iis(503), every=7)
    sandbox.faults.add(EndSessions(), after=20, times=2)
    sandbox.faults.add(Drop(10_000), path="Download", every=5)
    report = await pull([place(sandbox)], here, patience=600.0)
    assert (report.code, report.error("tokyo")) == (0, "")
    assert contents(here) == files


async def test_a_slide_whose_download_is_refused_fails_and_leaves_no_file(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {**MRXS, "x.svs": b"x"})
    sandbox.faults.add(CannedResponse.refusal("Locked by a user"), path="Download.*Data0000")
    report = await pull([place(sandbox)], here)
    assert (report.code, statuses(report)) == (1, {"m.mrxs": SlideStatus.FAILED, "x.svs": SlideStatus.PULLED})
    assert "Locked by a user" in report.error("tokyo")
    assert not (here / "m.mrxs").exists()
    assert not [name for name in contents(here) if name.startswith("m/") and ".pmarep-" not in name]


@pytest.mark.parametrize("name", ["x.svs", "m/Data0000.dat"])
@pytest.mark.parametrize("existing", list(Existing))
async def test_a_slide_that_is_here_and_differs(sandbox: Sandbox, here: Path, existing: Existing, name: str) -> None:
    files = put(sandbox, {**MRXS, "x.svs": b"x"})
    await pull([place(sandbox)], here)
    (here / name).write_bytes(b"mine, and of another size")
    report = await pull([place(sandbox)], here, existing=existing)
    summary = report.summary.sites["tokyo"]
    if existing is Existing.OVERWRITE:
        assert (report.code, contents(here)) == (0, files)
        assert summary.pulled == 1
        return
    assert (here / name).read_bytes() == b"mine, and of another size"
    assert report.code == (1 if existing is Existing.FAIL else 0)
    assert (summary.differing, summary.needs_decision) == ((0, 1) if existing is Existing.FAIL else (1, 0))


async def test_files_of_a_slide_that_are_missing_here_come(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, MRXS)
    await pull([place(sandbox)], here)
    (here / "m/Data0000.dat").unlink()
    asked = len(sandbox.requests)
    assert (await pull([place(sandbox)], here)).code == 0
    assert contents(here) == MRXS
    assert len([one for one in sandbox.requests[asked:] if "Download" in one.path]) == 1


async def test_a_dry_run_touches_nothing(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {"x.svs": b"x", "y.svs": b"y"})
    report = await pull([place(sandbox, "Slides/in/x.svs")], here, dry_run=True)
    assert (report.code, here.exists()) == (0, False)
    (planned,) = [event for event in report.events if isinstance(event, SlidePlanned)]
    assert (planned.action, planned.to, planned.bytes) == ("pull", str(here / "x.svs"), 1)
    assert report.summary.sites["tokyo"].pulled == 1


async def test_two_sites_with_one_name(start_sandbox: StartSandbox, here: Path) -> None:
    tokyo, ghent = start_sandbox("tokyo"), start_sandbox("ghent")
    put(tokyo, {"x.svs": b"tokyo", "t.svs": b"t"})
    put(ghent, {"x.svs": b"ghent!", "g.svs": b"g"})
    report = await pull([place(tokyo), place(ghent, site="ghent")], here)
    assert report.code == 1
    assert set(contents(here)) == {"x.svs", "t.svs", "g.svs"}
    errors = [error for site in ("tokyo", "ghent") if (error := report.error(site))]
    assert [error.partition(":/")[2] for error in errors] == [
        "Slides/in/x.svs comes to the same name on this disk; pull one of them into another folder"
    ]


async def test_folders_that_are_refused_or_missing_are_source_problems(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {"x.svs": b"x", "secret/y.svs": b"y"})
    sandbox.faults.add(CannedResponse.refusal("No access"), path="GetFiles.*secret")
    report = await pull([place(sandbox), place(sandbox, "Slides/nix")], here)
    problems = {event.path: (event.why, event.detail) for event in report.events if isinstance(event, SourceProblem)}
    assert problems["Slides/in/secret"] == ("unlisted", "GetFiles was refused: No access")
    assert problems["tokyo:/Slides/nix"][0] == "missing"
    assert (report.code, report.summary.source_problems, set(contents(here))) == (1, 2, {"x.svs"})


async def test_what_is_found_before_a_site_is_away_is_said_once(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {".pmarep-a.svs": b"x", "b.svs": b"b", "secret/y.svs": b"y", "z/z.svs": b"z"})
    sandbox.faults.add(CannedResponse.refusal("No access"), path="GetFiles.*secret")
    sandbox.faults.add(CannedResponse(503), path="GetFiles.*in(/|%2F)z", times=12)
    report = await pull([place(sandbox)], here, patience=3600.0)
    assert (report.code, set(contents(here))) == (1, {"b.svs", "z/z.svs"})
    site = report.summary.sites["tokyo"]
    assert (site.pulled, site.failed, report.summary.source_problems) == (2, 1, 1)
    assert len([one for one in sandbox.requests if "GetFiles" in one.path and "secret" in one.path]) == 3


async def test_a_site_that_is_away_stops_no_other(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {"x.svs": b"x"})
    report = await pull([place("http://127.0.0.1:9/", site="away"), place(sandbox)], here)
    assert (report.code, set(contents(here))) == (1, {"x.svs"})
    assert "127.0.0.1:9" in report.error("away")


async def test_another_pull_into_the_same_folder(sandbox: Sandbox, here: Path) -> None:
    here.mkdir()
    with hold_folder(here), pytest.raises(TargetBusyError, match="another pull into"):
        await pull([place(sandbox)], here)
    assert list(here.iterdir()) == []
    assert (await pull([place(sandbox, "Slides")], here)).code == 0


async def test_a_folder_that_is_a_file(sandbox: Sandbox, here: Path) -> None:
    here.write_bytes(b"")
    with pytest.raises(UsageError, match="is no folder"):
        await pull([place(sandbox)], here)


@pytest.mark.skipif(os.name == "nt", reason="needs a right to make links")
async def test_a_link_that_leads_out_of_the_folder(sandbox: Sandbox, here: Path, tmp_path: Path) -> None:
    put(sandbox, {**MRXS, "out/x.svs": b"x", "in/y.svs": b"y"})
    (tmp_path / "elsewhere").mkdir()
    (here / "real").mkdir(parents=True)
    for name, to in (("m", "../elsewhere"), ("out", str(tmp_path / "elsewhere")), ("in", "real")):
        (here / name).symlink_to(to)
    report = await pull([place(sandbox)], here)
    assert statuses(report) == {
        "m.mrxs": SlideStatus.FAILED, "out/x.svs": SlideStatus.FAILED, "in/y.svs": SlideStatus.PULLED
    }  # fmt: skip
    assert "leads out of" in report.error("tokyo")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (here / "real/y.svs").read_bytes() == b"y"


async def test_too_little_room(sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(sandbox, {"x.svs": bytes(5000), "y.svs": bytes(5000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4000))
    report = await pull([place(sandbox)], here)
    assert (report.code, contents(here)) == (1, {})
    assert f"{here} has 3.9 KiB free, and " in (report.summary.error or "")


async def test_a_disk_that_gets_full(sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(sandbox, {"x.svs": bytes(5000)})

    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PartialFile, "write", write)
    report = await pull([place(sandbox)], here)
    assert report.code == 1
    assert "is full; free 4.9 KiB there, then run it again" in (report.summary.error or "")


async def test_the_audit_file_has_the_hashes_of_what_lies_here(sandbox: Sandbox, here: Path, tmp_path: Path) -> None:
    import hashlib

    put(sandbox, MRXS)
    await pull([place(sandbox)], here, audit=tmp_path / "audit.jsonl")
    (line,) = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (line["status"], line["from"], line["slide"]) == ("pulled", "Slides/in/m.mrxs", "m.mrxs")
    assert {one["path"]: one["sha256"] for one in line["files"]} == {
        f"Slides/in/{name}": hashlib.sha256(content).hexdigest() for name, content in MRXS.items()
    }
    assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) & 0o077 == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that cannot be written")
async def test_an_audit_file_that_is_full_ends_the_run_and_counts_nothing_twice(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {"x.svs": bytes(5000)})
    report = await pull([place(sandbox)], here, audit=Path("/dev/full"))
    assert (report.code, report.summary.sites["tokyo"].bytes_sent) == (1, 5000)
    assert "cannot write the audit file /dev/full" in (report.summary.error or "")


async def test_an_interrupted_pull_ends_cleanly_and_goes_on(
    sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = put(sandbox, {f"{number}.svs": os.urandom(3 * MIB) for number in range(8)})
    stop = asyncio.Event()

    def interrupt(event: Event) -> None:
        if event.name == "slide_finished":
            stop.set()

    report = await pull([place(sandbox)], here, stop=stop, on_event=interrupt, connections=2)
    summary = report.summary.sites["tokyo"]
    assert report.code == 130
    assert summary.pulled >= 1
    assert summary.pulled + summary.failed + summary.not_begun == 8
    assert sandbox.open_sessions == 0
    assert (await pull([place(sandbox)], here)).code == 0
    assert contents(here) == files


async def test_no_slide_is_begun_after_the_end(sandbox: Sandbox, here: Path) -> None:
    put(sandbox, {"x.svs": b"x"})
    report = await pull([place(sandbox)], here, max_duration=0.0)
    assert (report.code, contents(here)) == (1, {})
    assert report.summary.sites["tokyo"].not_begun in (0, 1)  # perhaps it was not even found


async def test_two_slides_with_a_file_in_common(sandbox: Sandbox, here: Path) -> None:
    index = b"[NanoZoomer Digital Pathology Image Set]\nNoImages=1\nImage0=red.ndpi\n"
    files = put(sandbox, {"a.ndpis": index, "b.ndpis": index, "red.ndpi": os.urandom(3 * MIB)})
    assert (await pull([place(sandbox)], here)).code == 0
    assert contents(here) == files
