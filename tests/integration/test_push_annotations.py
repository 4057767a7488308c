"""`push --annotations`: the annotations in side files follow their slides, each once, and fail no slide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.annotations import annotate, annotation, annotations_at
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import PushCli
from support.sandbox_client import Client
from support.sandboxes import PASSWORD, StartSandbox

from pmacore_sandbox import CannedResponse, Drop, Sandbox
from pmarep.annotations.side_file import side_file_of, write_side_file
from pmarep.clock import Clock
from pmarep.events import AnnotationsFinished, Event, Notice, SlideFinished
from pmarep.pmacore import Annotation
from pmarep.report.choose import choose_runs, report_of
from pmarep.report.page import to_html
from pmarep.sites import Site
from pmarep.state.state_folders import state_folders

WANTED = [annotation(number, Notes=f"Notiz {number} 腫瘍") for number in range(5)]
DIES = """
import os
from pmarep.pmacore import PmaCore
from pmarep.state.state_folders import state_folders
save = PmaCore.save_annotations
async def dies(*arguments):
    await save(*arguments)
    os._exit(9)
PmaCore.save_annotations = dies
"""


def site(name: str, sandbox: Sandbox, target: str = "Slides/in") -> Site:
    return Site(name=name, url=sandbox.url, username=sandbox.settings.user, target=target)


def fingerprint(sandbox: Sandbox, path: str) -> str:
    """What a server says of a slide with these bytes."""
    with Client(sandbox) as client:
        return str(client.get("GetFingerprint", pathOrUid=path))


def exported(main: Path, there: Sandbox, wanted: list[Annotation] = WANTED, print_of: str | None = None) -> None:
    """Lay a side file beside a slide, as an export from a server that has the slide."""
    (there.data / "Slides" / main.name).write_bytes(main.read_bytes())
    found = print_of or fingerprint(there, f"Slides/{main.name}")
    write_side_file(side_file_of(main), main.name, found, wanted, "2026-11-28T00:00:00+00:00")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tree(tmp_path / "cases", "x.svs", "sub/y.svs")


async def push(source: Path, sites: list[Site], tmp_path: Path, **options: Any) -> in_process.Report:
    return await in_process.push(source, sites, tmp_path / "state", PASSWORD, annotations=True, **options)


def told(report: in_process.Report) -> list[tuple[str, str, int, int, int]]:
    events = [event for event in report.events if isinstance(event, AnnotationsFinished)]
    return [(event.site, event.slide, event.added, event.there, event.missing) for event in events]


def count(sandbox: Sandbox, path: str = "Slides/in/x.svs") -> int:
    return len(annotations_at(sandbox, path))


async def test_they_follow_a_slide_that_is_sent_and_one_that_is_there(
    tmp_path: Path, source: Path, start_sandbox: StartSandbox
) -> None:
    old, one, other = (start_sandbox(name) for name in ("old", "one", "other"))
    sites = [site("a", one), site("b", other)]
    exported(source / "x.svs", old)
    first = await push(source, sites, tmp_path)
    assert sorted(told(first)) == [("a", "x.svs", 5, 0, 0), ("b", "x.svs", 5, 0, 0)]
    assert (first.code, first.summary.annotations) == (0, True)
    assert annotations_at(one, "Slides/in/x.svs")[0]["AuditCreatedBy"] == "seeder"
    exported(source / "x.svs", old, [*WANTED, annotation(9)])  # the slide itself has not changed
    second = await push(source, sites, tmp_path)
    assert sorted(told(second)) == [("a", "x.svs", 1, 5, 0), ("b", "x.svs", 1, 5, 0)]
    third = await push(source, sites, tmp_path)
    assert sorted(told(third)) == [("a", "x.svs", 0, 6, 0), ("b", "x.svs", 0, 6, 0)]
    assert (third.summary.sites["a"].annotations_added, third.summary.sites["a"].annotations_there) == (0, 6)
    assert [count(one), count(other)] == [6, 6]
    assert third.summary.left_out["annotations"] == 1
    assert third.summary.left_out["unknown"] == 0


async def test_sites_with_one_database_get_them_once(tmp_path: Path, source: Path, start_sandbox: StartSandbox) -> None:
    old = start_sandbox("old")
    one, other = (start_sandbox(name, database=tmp_path / "db.sqlite") for name in ("one", "other"))
    exported(source / "x.svs", old)
    report = await push(source, [site("a", one), site("b", other)], tmp_path)
    assert count(one) == count(other) == 5
    assert sorted(told(report)) in (
        [("a", "x.svs", 5, 0, 0), ("b", "x.svs", 0, 5, 0)],
        [("a", "x.svs", 0, 5, 0), ("b", "x.svs", 5, 0, 0)],
    )
    assert any(isinstance(event, Notice) and "share a database" in event.text for event in report.events)
    assert report.code == 0


async def test_another_slide_gets_none(tmp_path: Path, source: Path, start_sandbox: StartSandbox) -> None:
    old, new = start_sandbox("old"), start_sandbox("new")
    exported(source / "x.svs", old, print_of="0" * 64)
    report = await push(source, [site("a", new)], tmp_path)
    assert told(report) == [("a", "x.svs", 0, 0, 5)]
    assert count(new) == 0
    summary = report.summary.sites["a"]
    assert (report.code, summary.sent, summary.failed, summary.annotations_failed) == (1, 2, 0, 1)
    page = to_html(report_of(*choose_runs(state_folders([tmp_path / "state"]), None)))
    assert "Annotations of 1 slide could not all be brought." in page
    assert "<li>a: annotations of x.svs: the slide there is not the one" in page


@pytest.mark.parametrize(
    ("fault", "path", "code"),
    [(Drop(None), "SaveAnnotations", 0), (CannedResponse.refusal("no"), "SaveAnnotations", 1), (Drop(0), "GetAnn", 1)],
)
async def test_a_failure_fails_no_slide(
    tmp_path: Path, source: Path, start_sandbox: StartSandbox, fault: Any, path: str, code: int
) -> None:
    old, new = start_sandbox("old"), start_sandbox("new")
    exported(source / "x.svs", old)
    new.faults.add(fault, path=path)
    report = await push(source, [site("a", new)], tmp_path)
    summary = report.summary.sites["a"]
    assert (report.code, summary.sent, summary.failed, summary.annotations_failed) == (code, 2, 0, code)
    new.faults.clear()
    assert (await push(source, [site("a", new)], tmp_path)).code == 0
    assert count(new) == 5


class LateClock(Clock):
    """Goes on by hours when somebody says so."""

    late = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.late


async def test_at_the_end_of_its_time_a_run_looks_at_no_more(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    old, new = start_sandbox("old"), start_sandbox("new")
    source = tree(tmp_path / "cases", "x.svs")
    exported(source / "x.svs", old)
    clock = LateClock()

    def on_event(event: Event) -> None:
        clock.late = 10_000.0 if isinstance(event, SlideFinished) else clock.late

    report = await push(source, [site("a", new)], tmp_path, clock=clock, on_event=on_event, max_duration=5_000.0)
    assert report.code == 1
    assert "before the annotations of 1 slide were looked at" in str(report.summary.sites["a"].error)
    assert count(new) == 0
    assert (await push(source, [site("a", new)], tmp_path)).code == 0
    assert count(new) == 5


async def test_a_broken_side_file(tmp_path: Path, source: Path, sandbox: Sandbox) -> None:
    side_file_of(source / "x.svs").write_text("{")
    report = await push(source, [site("a", sandbox)], tmp_path)
    (event,) = [event for event in report.events if isinstance(event, AnnotationsFinished)]
    assert "no JSON" in str(event.error)
    assert (report.code, report.summary.sites["a"].sent) == (1, 2)


async def test_a_dry_run_says_what_would_be_added(tmp_path: Path, source: Path, start_sandbox: StartSandbox) -> None:
    old, new = start_sandbox("old"), start_sandbox("new")
    exported(source / "x.svs", old)
    report = await push(source, [site("a", new)], tmp_path, dry_run=True)
    assert told(report) == [("a", "x.svs", 5, 0, 0)]
    assert (await in_process.push(source, [site("a", new)], tmp_path / "state", PASSWORD)).code == 0
    annotate(new, "Slides/in/x.svs", WANTED[0])
    report = await push(source, [site("a", new)], tmp_path, dry_run=True)
    assert told(report) == [("a", "x.svs", 4, 1, 0)]
    assert count(new) == 1


async def test_a_slide_of_several_files_and_the_audit(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    old, new = start_sandbox("old"), start_sandbox("new")
    main = write_mirax(tmp_path / "cases/fall ä/m.mrxs")
    for path in main.parent.rglob("*"):
        to = old.data / "Slides" / path.relative_to(main.parent)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            to.write_bytes(path.read_bytes())
    write_side_file(side_file_of(main), "m.mrxs", fingerprint(old, "Slides/m.mrxs"), WANTED, "")
    audit = tmp_path / "audit.jsonl"
    report = await push(tmp_path / "cases", [site("a", new)], tmp_path, audit=audit)
    assert told(report) == [("a", "fall ä/m.mrxs", 5, 0, 0)]
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["sent", "annotations"]
    assert lines[1]["annotations"] == {"added": 5, "there": 0, "missing": 0}
    assert "author and date" in lines[1]["note"]


def test_killed_between_the_save_and_its_answer(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    old, new = start_sandbox("old"), start_sandbox("new")
    cli = PushCli(tmp_path / "cli")
    cli.site("a", new)
    tree(cli.source, "x.svs")
    exported(cli.source / "x.svs", old)
    with cli.start("--annotations", patch=LatePatch(DIES)) as running:
        assert running.process.wait(PATIENCE) == 9
    assert count(new) == 5
    assert cli.push("--annotations").summary["sites"]["a"]["annotations_there"] == 5
    assert count(new) == 5
