"""`push --mirror`: what is listed, what is deleted, and everything that keeps a slide where it is."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from support.clocks import SkippingClock
from support.in_process import Report, push
from support.push_cli import PushCli, arrived
from support.sandboxes import PASSWORD, USER, StartSandbox

from pmacore_sandbox import Sandbox
from pmacore_sandbox.faults import CannedResponse
from pmarep.clock import Clock
from pmarep.engine import Existing
from pmarep.errors import UsageError
from pmarep.events import Event, SlideDeleted, SlideExtra, SlideFinished
from pmarep.sites import Site
from pmarep.slides.shard import Shard
from pmarep.state.journal import Journal

OURS = {"a.svs": b"a", "x/b.svs": b"bb", "x/c.svs": b"ccc", "d.svs": b"dddd"}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class Mirror:
    """A folder with four slides, sites, and a state folder."""

    def __init__(self, folder: Path, *sandboxes: Sandbox) -> None:
        self.source = put(folder / "cases", OURS)
        self.state = folder / "state"
        self.sites = [Site(name=box.data.name, url=box.url, username=USER, target="Slides/in") for box in sandboxes]

    def run(self, **options: Any) -> Report:
        given = {"mirror": True, "mirror_deletes": True, "clock": SkippingClock(), **options}
        return asyncio.run(push(self.source, self.sites, self.state, PASSWORD, **given))


@pytest.fixture
def mirror(tmp_path: Path, sandbox: Sandbox) -> Mirror:
    put(sandbox.data / "Slides/in", {"old/e.svs": b"e" * 5, "X/F.svs": b"f" * 6})
    put(sandbox.data / "Slides", {"beside.svs": b"1", "inn/beside.svs": b"2"})
    return Mirror(tmp_path, sandbox)


def deleted(report: Report, site: str = "sandbox") -> list[str]:
    return [one.slide for one in report.events if isinstance(one, SlideDeleted) and one.site == site]


def extra(report: Report, site: str = "sandbox") -> list[str]:
    return [one.slide for one in report.events if isinstance(one, SlideExtra) and one.site == site]


def names(sandbox: Sandbox) -> set[str]:
    """What lies in the target; `X` was there and is where the slides in `x` have gone, as on Windows."""
    return {name.replace("X/b.svs", "x/b.svs").replace("X/c.svs", "x/c.svs") for name in arrived(sandbox)}


def test_what_the_source_has_not_is_listed_and_then_deleted(mirror: Mirror, sandbox: Sandbox) -> None:
    for options in ({"mirror_deletes": False}, {"dry_run": True}):
        report = mirror.run(**options)
        assert (extra(report), deleted(report)) == (["old/e.svs", "X/F.svs"], [])
        assert (report.code, report.summary.sites["sandbox"].extra) == (0 if "dry_run" in options else 1, 2)
        assert {"old/e.svs", "X/F.svs"} <= names(sandbox)
    report = mirror.run()
    of = report.summary.sites["sandbox"]
    assert (report.code, of.deleted, of.bytes_deleted, of.extra, of.mirror_error) == (0, 2, 11, 0, None)
    assert deleted(report) == ["old/e.svs", "X/F.svs"]
    assert names(sandbox) == set(OURS)
    assert (sandbox.data / "Slides/beside.svs").exists()
    assert (sandbox.data / "Slides/inn/beside.svs").exists()
    report = mirror.run()
    assert (report.code, deleted(report), extra(report)) == (0, [], [])


def test_without_it_nothing_is_looked_for(mirror: Mirror, sandbox: Sandbox) -> None:
    report = mirror.run(mirror=False)
    assert (report.code, report.summary.mirror, extra(report)) == (0, False, [])
    assert len(names(sandbox)) == 6


def test_only_below_the_folder_that_is_sent_to(mirror: Mirror, sandbox: Sandbox) -> None:
    report = mirror.run(to="X")
    assert deleted(report) == ["F.svs"]
    assert names(sandbox) == {"old/e.svs"} | {f"X/{name}" for name in OURS}


def test_a_site_that_lacks_a_slide_keeps_all_and_others_do_not(
    tmp_path: Path, sandbox: Sandbox, start_sandbox: StartSandbox
) -> None:
    ghent = start_sandbox("ghent")
    for box in (sandbox, ghent):
        put(box.data / "Slides/in", {"e.svs": b"e"})
    put(ghent.data / "Slides/in", {"a.svs": b"another"})
    report = Mirror(tmp_path, sandbox, ghent).run()
    assert (deleted(report, "sandbox"), deleted(report, "ghent")) == (["e.svs"], [])
    assert report.summary.sites["ghent"].mirror_error == "not every slide of the source has arrived"
    assert "e.svs" in names(ghent)
    assert report.code == 1


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"m.mrxs": b"no folder"}, {}, "1 thing in the source could not be sent"),
        ({"x/.pmarepignore": b"\xff["}, {}, "1 thing in the source could not be sent"),
        ({}, {"include": ("*.ndpi",)}, "no slide is in the source"),
        ({}, {"include": ("*.ndpi",), "allow_empty": True}, "no slide is in the source"),
    ],
)
def test_a_source_that_is_not_known_whole(
    mirror: Mirror, sandbox: Sandbox, files: dict[str, bytes], options: dict[str, Any], words: str
) -> None:
    put(mirror.source, files)
    before = names(sandbox)
    report = mirror.run(**options)
    assert (report.code, deleted(report)) == (1, [])
    assert words in str(report.summary.sites["sandbox"].mirror_error)
    assert before <= names(sandbox)


def test_an_empty_source_deletes_nothing(mirror: Mirror, sandbox: Sandbox, tmp_path: Path) -> None:
    for file in [path for path in mirror.source.rglob("*") if path.is_file()]:
        file.unlink()
    report = mirror.run(allow_empty=True, max_delete=100)
    assert (report.code, len(names(sandbox))) == (1, 2)
    assert "no slide is in" in str(report.summary.sites["sandbox"].mirror_error)


def test_more_than_half_are_refused_unless_so_many_are_allowed(mirror: Mirror, sandbox: Sandbox) -> None:
    put(sandbox.data / "Slides/in", {f"{number}.svs": b"x" for number in range(3)})
    for options, words in (
        ({}, "5 of 9 slides would go, more than half; --max-delete 5 allows it"),
        ({"max_delete": 4}, "5 slides would go, more than --max-delete 4 allows"),
        ({"dry_run": True}, "more than half"),
    ):
        report = mirror.run(**options)
        assert (report.code, deleted(report), len(extra(report))) == (1, [], 5)
        assert words in str(report.summary.sites["sandbox"].mirror_error)
        assert len(names(sandbox)) == 9
    report = mirror.run(max_delete=5)
    assert (report.code, len(deleted(report)), names(sandbox)) == (0, 5, set(OURS))


def test_a_mirror_deletes_nothing_that_rules_leave_out(mirror: Mirror, sandbox: Sandbox) -> None:
    mine = {"mine/1.svs": b"1", "keep.tif": b"2", "ignored/3.svs": b"3", "notes.lif": b"4", "small.svs": b""}
    put(sandbox.data / "Slides/in", {**mine, "mine/only there.svs": b"5"})
    put(mirror.source, {**mine, ".pmarepignore": b"ignored/\n", "small.svs": b"s"})
    report = mirror.run(exclude=("mine/", "*.tif", "*.lif"), min_size=2)
    assert deleted(report) == ["old/e.svs", "X/F.svs"]
    assert {*mine, "mine/only there.svs"} <= names(sandbox)
    assert report.code == 0


def test_names_that_differ_only_as_windows_does_not_compare(mirror: Mirror, sandbox: Sandbox) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Müller Ä.svs") for form in ("NFC", "NFD"))
    put(mirror.source, {composed: b"same", "case 1/UP.svs": b"same"})
    put(sandbox.data / "Slides/in", {decomposed: b"same", "CASE 1/up.SVS": b"same"})
    report = mirror.run()
    assert (report.error("sandbox"), report.summary.sites["sandbox"].mirror_error) == ("", None)
    assert deleted(report) == ["old/e.svs", "X/F.svs"]
    assert any(name.startswith("CASE 1/") for name in names(sandbox))


@pytest.mark.parametrize("kind", ["fold", "tell"])
def test_folders_that_end_in_dots(tmp_path: Path, start_sandbox: StartSandbox, kind: str) -> None:
    box = start_sandbox("odd", names=kind)
    put(box.data / "Slides/in", {"case 1/a.svs": b"a", "case 1/e.svs": b"e"})
    mirror = Mirror(tmp_path, box)
    put(mirror.source, {"case 1./a.svs": b"a"})
    report = mirror.run()
    assert {"case 1/a.svs", "case 1/e.svs"} <= names(box) or deleted(report, "odd") == ["case 1/e.svs"]
    assert "case 1/a.svs" in names(box)


def test_a_listing_that_fails_half_way_deletes_nothing(mirror: Mirror, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.refusal("Access denied"), path="GetFiles.*old")
    report = mirror.run()
    assert (report.code, deleted(report), len(names(sandbox))) == (1, [], 6)
    assert "the server does not tell what is in Slides/in/old" in str(report.summary.sites["sandbox"].mirror_error)


def test_a_server_that_is_away_then_costs_no_slide(mirror: Mirror, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.iis(503), path="GetDirectories.*old")
    report = mirror.run()
    of = report.summary.sites["sandbox"]
    assert (report.code, of.sent, of.error, deleted(report)) == (1, 4, None, [])
    assert "503" in str(of.mirror_error)


class LateClock(Clock):
    """Jumps on by an hour once it is `late`."""

    late = False

    def monotonic(self) -> float:
        return super().monotonic() + 3600 * self.late


@pytest.mark.parametrize(("late", "goes"), [(False, 2), (True, 0)])
def test_when_the_time_of_the_run_is_over_nothing_is_deleted(
    mirror: Mirror, sandbox: Sandbox, late: bool, goes: int
) -> None:
    clock, arrived_ = LateClock(), []

    def hear(event: Event) -> None:
        arrived_.extend([event] if isinstance(event, SlideFinished) else [])
        clock.late = late and len(arrived_) == len(OURS)

    report = mirror.run(clock=clock, max_duration=600.0, on_event=hear)
    assert (len(deleted(report)), report.summary.exit_code) == (goes, int(late))
    assert ("old/e.svs" in arrived(sandbox)) is late
    if late:
        assert report.summary.sites["sandbox"].mirror_error == "the time of the run is over"


def test_a_deletion_that_is_refused_is_told_and_the_others_go(mirror: Mirror, sandbox: Sandbox) -> None:
    sandbox.faults.add(CannedResponse.refusal("The file is in use"), path="DeleteSlide", times=1)
    report = mirror.run()
    of = report.summary.sites["sandbox"]
    assert (report.code, of.deleted, of.extra, len(names(sandbox))) == (1, 1, 1, 5)
    (stays,) = [one for one in report.events if isinstance(one, SlideExtra)]
    assert "not deleted: " in stays.reason
    assert "The file is in use" in stays.reason


def test_a_slide_that_changes_during_the_mirrors_check_is_not_deleted(mirror: Mirror, sandbox: Sandbox) -> None:
    there = sandbox.data / "Slides/in/old/e.svs"
    known = Journal.recorded_as

    async def recorded_as(self: Journal, *args: Any) -> dict[str, list[str]]:
        there.write_bytes(b"somebody else's")
        return await known(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "recorded_as", recorded_as)
        report = mirror.run()
    assert (deleted(report), extra(report)) == (["X/F.svs"], ["old/e.svs"])
    assert there.read_bytes() == b"somebody else's"


def test_what_it_has_deleted_is_sent_again_when_the_source_has_it(mirror: Mirror, sandbox: Sandbox) -> None:
    put(mirror.source, {"old/e.svs": b"E" * 5})
    assert mirror.run(existing=Existing.OVERWRITE).code == 0
    (mirror.source / "old/e.svs").unlink()
    assert deleted(mirror.run()) == ["old/e.svs"]
    put(mirror.source, {"old/e.svs": b"E" * 5})
    report = mirror.run()
    assert report.finished("sandbox")["old/e.svs"].status == "sent"


@pytest.mark.parametrize("shard", [None, Shard(1, 1)])
def test_the_journals_do_not_claim_what_it_has_deleted(mirror: Mirror, sandbox: Sandbox, shard: Shard | None) -> None:
    """Where somebody else puts a slide of that name and size there, it is not taken for the one that was sent."""
    put(mirror.source, {"x/e.svs": b"E" * 5})
    assert mirror.run(mirror=False, shard=shard).code == 0
    assert mirror.run(mirror=False).finished("sandbox")["x/e.svs"].verified_by == "listing"
    taken_out = (mirror.source / "x/e.svs").rename(mirror.source.parent / "e.svs")
    assert "X/e.svs" in deleted(mirror.run())
    put(sandbox.data / "Slides/in", {"X/e.svs": b"e" * 5})
    taken_out.rename(mirror.source / "x/e.svs")
    assert mirror.run(mirror=False).finished("sandbox")["x/e.svs"].verified_by == "files"


@pytest.mark.parametrize("broken", ["a.svs", "folder"])
def test_a_slide_or_a_shard_is_no_source_of_a_mirror(mirror: Mirror, sandbox: Sandbox, broken: str) -> None:
    options: dict[str, Any] = {"shard": Shard(1, 2)}
    if broken == "a.svs":
        mirror.source, options = mirror.source / "a.svs", {}
    with pytest.raises(UsageError, match="--mirror"):
        mirror.run(**options)
    assert len(names(sandbox)) == 2


class TestCommand:
    @pytest.fixture
    def cli(self, tmp_path: Path, sandbox: Sandbox) -> PushCli:
        cli = PushCli(tmp_path)
        put(cli.source, OURS)
        put(sandbox.data / "Slides/in", {"e & 1.svs": b"e" * 5})
        cli.site("tokyo", sandbox)
        return cli

    def test_lines_audit_and_report(self, cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
        result = cli.run("--mirror")
        assert result.code == 1
        assert "tokyo: not in the source: e & 1.svs (1 file, 5 B; only listed without --yes)" in result.lines
        assert result.lines[-1] == "1 slide at a site is not in the source; see above, --yes deletes what may go"
        audit, report = tmp_path / "audit.jsonl", tmp_path / "report.json"
        result = cli.push("--mirror", "--yes", "--audit", str(audit), "--report", str(report))
        assert (result.code, names(sandbox)) == (0, set(OURS))
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        assert [line["status"] for line in lines if line["slide"] == "e & 1.svs"] == ["deleting", "deleted"]
        (gone,) = json.loads(report.read_text())["deleted"]
        assert (gone["site"], gone["to"], gone["bytes"]) == ("tokyo", "Slides/in/e & 1.svs", 5)
        assert result.summary["mirror"]
        assert cli.run("--mirror", "--yes").lines[-1] == "every slide is at every site, and no other one"

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--yes",), "--yes is about what --mirror would delete"),
            (("--max-delete", "3"), "--max-delete is about what --mirror would delete"),
            (("--mirror", "--max-delete", "-1"), "has to be at least 0"),
            (("--mirror", "--sites", "tokyo"), "the target of box (slides/IN/box) lies below Slides/in of tokyo"),
            (("--mirror", "--shard", "1/2", "--to", "x"), "leave --shard or --mirror out"),
        ],
    )
    def test_bad_input(self, cli: PushCli, sandbox: Sandbox, options: tuple[str, ...], words: str) -> None:
        cli.site("box", sandbox, target="slides/IN/box")
        result = cli.run(*options, *(() if "--sites" in options else ("--sites", "tokyo")))
        assert result.code == 2
        assert words in result.stderr
        assert names(sandbox) == {"e & 1.svs"}

    def test_from_a_place(self, cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
        ghent = start_sandbox("ghent")
        put(ghent.data / "Slides/in", {"e & 1.svs": b"e" * 5, "gone.svs": b"g"})
        cli.site("ghent", ghent)
        common = ["--sites", "ghent", "--config", str(cli.book), "--state-dir", str(cli.state), "--patience", "0"]
        from support.fork_server import run

        done = run(["copy", "tokyo:", "--mirror", "--yes", *common], cli.environment)
        assert (done.returncode, names(ghent)) == (0, {"e & 1.svs"}), (done.stdout, done.stderr)
        done = run(["copy", "tokyo:e & 1.svs", "--mirror", "--yes", *common], cli.environment)
        assert (done.returncode, names(ghent)) == (2, {"e & 1.svs"})
        assert "--mirror makes a site like a folder" in done.stderr
