"""`copy --annotations`: what is drawn on slides at one PMA.core goes with them to others, each annotation once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.annotations import WILD_NOTES, annotate, annotation, annotations_at
from support.fork_server import PATIENCE, LatePatch, start
from support.push_cli import PushCli, Running
from support.sandboxes import PASSWORD, StartSandbox

from pmacore_sandbox import CannedResponse, Drop, Hold, Sandbox, SaveHalf
from pmarep.events import AnnotationsFinished, Notice
from pmarep.sites import Site
from pmarep.sites.place import Place

SLIDE = "fall ä/標本 1.svs"
NO_SETTLING = LatePatch("import pmarep.annotations.writer as writer; writer.SETTLE_SECONDS = 0.01")
WANTED = [annotation(number, Notes=notes) for number, notes in enumerate(WILD_NOTES)]


def site(name: str, sandbox: Sandbox, target: str = "Slides/in") -> Site:
    return Site(name=name, url=sandbox.url, username=sandbox.settings.user, target=target)


@pytest.fixture
def ghent(start_sandbox: StartSandbox) -> Sandbox:
    """Two slides, one of which is annotated."""
    ghent = start_sandbox("ghent")
    for number, path in enumerate((SLIDE, "bare.svs")):
        file = ghent.data / "Slides/2026" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * (number + 1))
    annotate(ghent, f"Slides/2026/{SLIDE}", *WANTED)
    return ghent


async def copy(ghent: Sandbox, sites: list[Site], tmp_path: Path, **options: Any) -> in_process.Report:
    place = Place(site("ghent", ghent, "Slides"), "Slides/2026", "ghent:2026")
    return await in_process.push(place, sites, tmp_path / "state", PASSWORD, annotations=True, **options)


def told(report: in_process.Report) -> list[tuple[str, str, int, int, int]]:
    events = [event for event in report.events if isinstance(event, AnnotationsFinished)]
    return sorted((event.site, event.slide, event.added, event.there, event.missing) for event in events)


def count(sandbox: Sandbox) -> int:
    return len(annotations_at(sandbox, f"Slides/in/{SLIDE}"))


async def test_twice_is_as_once(ghent: Sandbox, tmp_path: Path, start_sandbox: StartSandbox) -> None:
    one, two = start_sandbox("one", user="anna"), start_sandbox("two", user="ben")
    sites, many = [site("a", one), site("b", two)], len(WANTED)
    first = await copy(ghent, sites, tmp_path)
    assert told(first) == [("a", SLIDE, many, 0, 0), ("b", SLIDE, many, 0, 0)]
    assert first.code == 0
    ghent.clear_requests()
    second = await copy(ghent, sites, tmp_path)
    assert told(second) == [("a", SLIDE, 0, many, 0), ("b", SLIDE, 0, many, 0)]
    assert [one["AuditCreatedBy"] for one in annotations_at(one, f"Slides/in/{SLIDE}")] == ["anna"] * many
    assert (count(one), count(two)) == (many, many)
    asked = [request.path for request in ghent.requests if "GetAnnotations" in request.path]
    assert len(asked) == 2, "once for each slide, whatever the number of sites"
    annotate(ghent, f"Slides/2026/{SLIDE}", annotation(99))
    assert told(await copy(ghent, sites, tmp_path)) == [("a", SLIDE, 1, many, 0), ("b", SLIDE, 1, many, 0)]


@pytest.mark.parametrize("fault", [Drop(None), SaveHalf(), CannedResponse.iis(504)], ids=lambda one: type(one).__name__)
async def test_a_server_that_answers_no_save(
    ghent: Sandbox, tmp_path: Path, start_sandbox: StartSandbox, fault: Any
) -> None:
    new = start_sandbox("new")
    new.faults.add(fault, path="SaveAnnotations", times=None if isinstance(fault, Drop) else 2)
    report = await copy(ghent, [site("a", new)], tmp_path)
    assert (report.code, count(new)) == (0, len(WANTED))
    assert (await copy(ghent, [site("a", new)], tmp_path)).code == 0
    assert count(new) == len(WANTED)


async def test_targets_with_one_database(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    """What is added at one of them is at the other."""
    file = tmp_path / "db.sqlite"
    ghent = start_sandbox("ghent")
    one, two = start_sandbox("one", database=file), start_sandbox("two", database=file)
    (ghent.data / "Slides/2026").mkdir()
    (ghent.data / "Slides/2026/a.svs").write_bytes(b"x")
    annotate(ghent, "Slides/2026/a.svs", *WANTED)
    report = await copy(ghent, [site("a", one), site("b", two)], tmp_path)
    assert len(annotations_at(one, "Slides/in/a.svs")) == len(WANTED)
    assert any(isinstance(event, Notice) and "share a database" in event.text for event in report.events)
    assert report.code == 0


async def test_the_source_fails(ghent: Sandbox, tmp_path: Path, start_sandbox: StartSandbox) -> None:
    """The slides are copied all the same."""
    new = start_sandbox("new")
    ghent.faults.add(CannedResponse.refusal("not today"), path="GetAnnotations")
    report = await copy(ghent, [site("a", new)], tmp_path)
    summary = report.summary.sites["a"]
    assert (report.code, summary.sent, summary.failed, summary.annotations_failed) == (1, 2, 0, 2)


async def test_a_source_that_is_away_for_a_while(ghent: Sandbox, tmp_path: Path, start_sandbox: StartSandbox) -> None:
    new = start_sandbox("new")
    ghent.faults.add(CannedResponse.iis(503), path="GetAnnotations", times=14)
    report = await copy(ghent, [site("a", new)], tmp_path, patience=600.0)
    assert (report.code, count(new)) == (0, len(WANTED))


async def test_a_dry_run(ghent: Sandbox, tmp_path: Path, start_sandbox: StartSandbox) -> None:
    new = start_sandbox("new")
    report = await copy(ghent, [site("a", new)], tmp_path, dry_run=True)
    assert told(report) == [("a", SLIDE, len(WANTED), 0, 0)]


def test_killed_between_the_save_and_its_answer(ghent: Sandbox, tmp_path: Path, start_sandbox: StartSandbox) -> None:
    new = start_sandbox("new")
    cli = PushCli(tmp_path / "cli")
    cli.site("ghent", ghent, target="Slides")
    cli.site("a", new)
    folders = ["--config", str(cli.book), "--state-dir", str(cli.state)]
    words = ["copy", "ghent:2026", "--sites", "a", *folders, "--json", "--annotations"]
    reading = Hold()  # the look at what was saved, by who has had no answer
    new.faults.add(reading, path="GetAnnotations", after=1)
    new.faults.add(Drop(None), path="SaveAnnotations")
    with Running(start(words, cli.environment, patch=NO_SETTLING)) as running:
        assert reading.reached.wait(PATIENCE)
        running.kill()
    new.faults.clear()
    assert count(new) == len(WANTED)
    with Running(start(words, cli.environment)) as running:
        result = running.result()
    assert result.code == 0, result.stderr
    assert result.summary["sites"]["a"]["annotations_there"] == len(WANTED)
    assert count(new) == len(WANTED)
