"""`pmarep annotations export` and `import`, as they are typed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support import fork_server
from support.annotations import annotate, annotation, annotations_at
from support.corpus import wild_names
from support.push_cli import NO_PAUSES
from support.sandbox_client import Client
from support.sandboxes import PASSWORD, StartSandbox
from support.scripted_core import ScriptedCore

from pmacore_sandbox import CannedResponse, Drop, Sandbox
from pmarep.places.annotation_export import Exported, _PlaceExport
from pmarep.sites import Site
from pmarep.sites.place import Place
from pmarep.state.target_locks import hold_targets

WANTED = [annotation(number, Notes=f"腫瘍 {number}") for number in range(3)]


class Cli:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = folder / "sites.toml"
        folders = {"PMAREP_CONFIG": str(self.book), "PMAREP_STATE_DIR": str(folder / "state")}
        self.environment = {**os.environ, **fork_server.USUAL_ENVIRONMENT, **folders, "NO_PROXY": "*"}

    def site(self, name: str, sandbox: Sandbox) -> None:
        with self.book.open("a", encoding="utf-8") as book:
            book.write(f'[sites.{name}]\nurl = "{sandbox.url}"\nusername = "{sandbox.settings.user}"\n')
            book.write('target = "Slides/in"\n')
        self.environment[f"PMAREP_PASSWORD_{name.upper()}"] = PASSWORD

    def run(self, *words: str, patch: str = "") -> CompletedProcess[str]:
        return fork_server.run(["annotations", *words], self.environment, folder=self.folder, patch=patch)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    (tmp_path / "cli").mkdir()
    return Cli(tmp_path / "cli")


def slide(sandbox: Sandbox, path: str, content: bytes = b"x") -> None:
    file = sandbox.data / "Slides/in" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_from_one_server_to_two(cli: Cli, start_sandbox: StartSandbox) -> None:
    one, two, three = (start_sandbox(name, user=name) for name in ("one", "two", "three"))
    names = [f"{name}.svs" for name in wild_names() if len(name.encode()) <= 200]  # a longer one has no side file here
    for sandbox in (one, two, three):
        for number, name in enumerate(names):
            slide(sandbox, f"fälle/{name}", str(number).encode())
        slide(sandbox, "bare.svs")
    for name in names:
        annotate(one, f"Slides/in/fälle/{name}", *WANTED)
    for name, sandbox in (("a", one), ("b", two), ("c", three)):
        cli.site(name, sandbox)
    exported = cli.run("export", "a:", "notes")
    assert exported.returncode == 0, exported.stderr
    total = 3 * len(names)
    assert f"{total} annotations, {len(names)} side files in notes; 1 slide without any" in exported.stdout
    for added, there in ((total, 0), (0, total)):
        imported = cli.run("import", "notes", "--sites", "b,c")
        assert imported.returncode == 0, imported.stderr
        for name in "bc":
            assert f"{name}  {added} annotations added, {there} there already" in imported.stdout
    for sandbox in (two, three):
        found = annotations_at(sandbox, f"Slides/in/fälle/{names[0]}")
        assert [one["Notes"] for one in found] == [one.notes for one in WANTED]
        assert found[0]["AuditCreatedBy"] == sandbox.settings.user


def test_export_again_after_all_were_deleted(cli: Cli, sandbox: Sandbox) -> None:
    slide(sandbox, "a.svs")
    cli.site("a", sandbox)
    annotate(sandbox, "Slides/in/a.svs", WANTED[0])
    (line,) = cli.run("export", "a:a.svs", "notes", "--json").stdout.splitlines()
    assert json.loads(line)["annotations"] == 1
    with Client(sandbox) as client:
        assert client.post("DeleteAnnotations", pathOrUid="Slides/in/a.svs", layerID=1) is True
    assert cli.run("export", "a:", "notes").returncode == 0
    assert json.loads((cli.folder / "notes/a.svs.annotations.json").read_text())["annotations"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere have no such names")
def test_a_side_file_whose_name_is_no_text(cli: Cli, sandbox: Sandbox) -> None:
    cli.site("a", sandbox)
    slide(sandbox, "x.svs")
    annotate(sandbox, "Slides/in/x.svs", *WANTED)
    assert cli.run("export", "a:", "notes").returncode == 0
    shutil.copy(cli.folder / "notes/x.svs.annotations.json", cli.folder / "notes" / "\udcff.svs.annotations.json")
    imported = cli.run("import", "notes", "--sites", "a")
    assert imported.returncode == 1
    (line,) = imported.stderr.splitlines()
    assert "no PMA.core has a slide of that name: bytes in the name that are no text" in line
    assert "3 there" in imported.stdout


def test_every_mistake_and_failure_is_one_line(cli: Cli, start_sandbox: StartSandbox) -> None:
    one, two = start_sandbox("one"), start_sandbox("two")
    cli.site("a", one)
    cli.site("b", two)
    slide(one, "x.svs")
    slide(one, "y.svs")
    slide(two, "x.svs", b"other")
    annotate(one, "Slides/in/x.svs", *WANTED)
    annotate(one, "Slides/in/y.svs", *WANTED)
    assert cli.run("export", "a:", "notes").returncode == 0
    imported = cli.run("import", "notes", "--sites", "b")
    assert imported.returncode == 1
    assert "pmarep: b: annotations of x.svs (3 are missing): the slide there is not the one" in imported.stderr
    assert "pmarep: b: annotations of y.svs: " in imported.stderr
    assert "does not exist; the slide has to be there" in imported.stderr
    assert imported.stdout == "b  0 annotations added, 0 there already; 2 slides not complete, see above\n"
    one.faults.add(CannedResponse.refusal("no way"), path="GetAnnotations.*y.svs")
    exported = cli.run("export", "a:", "b:nothing", "notes")
    assert exported.returncode == 2
    assert "pmarep: a:/Slides/in/y.svs: GetAnnotations was refused: no way" in exported.stderr
    assert 'pmarep: b:nothing: there is no folder or slide "nothing"' in exported.stderr
    for words, said in [
        (["export", "a:"], "name a place and then a folder"),
        (["export", "a:", "b:"], "is a place at a site"),
        (["import", "none", "--sites", "a"], "none is not there"),
        (["import", "sites.toml", "--sites", "a"], "no side file"),
    ]:
        done = cli.run(*words)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_two_places_with_a_slide_of_one_name(cli: Cli, start_sandbox: StartSandbox) -> None:
    """Neither overwrites the other."""
    one, two = start_sandbox("one"), start_sandbox("two")
    for name, sandbox in (("a", one), ("b", two)):
        cli.site(name, sandbox)
        slide(sandbox, "x.svs")
        annotate(sandbox, "Slides/in/x.svs", annotation(1, Notes=name))
    exported = cli.run("export", "a:", "b:", "notes")
    assert exported.returncode == 1
    assert "another slide of this name was exported before it" in exported.stderr
    assert "1 annotation, 1 side file in notes" in exported.stdout


def test_a_site_that_lets_nobody_in_and_one_that_answers_no_more(cli: Cli, start_sandbox: StartSandbox) -> None:
    """Each is said once, and the others get theirs."""
    one, two, three = start_sandbox("one"), start_sandbox("two"), start_sandbox("three")
    for name, sandbox in (("a", one), ("b", two), ("c", three)):
        cli.site(name, sandbox)
        for number in range(20):
            slide(sandbox, f"{number}.svs")
    for number in range(20):
        annotate(one, f"Slides/in/{number}.svs", WANTED[0])
    assert cli.run("export", "a:", "notes").returncode == 0
    cli.environment["PMAREP_PASSWORD_B"] = "wrong"
    three.faults.add(Drop(0), path="GetAnnotations")
    done = cli.run("import", "notes", "--sites", "a,b,c", patch=NO_PAUSES)
    assert done.returncode == 1
    assert "a  0 annotations added, 20 there already\n" in done.stdout
    assert "b  0 annotations added, 0 there already; STOPPED, see above" in done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("pmarep: b: ")]) == 1
    assert "(20 side files were not looked at)" in done.stderr
    assert "pmarep: c: given up after 3 slides in a row for which it gave no answer" in done.stderr
    assert sum("authenticate" in request.path for request in two.requests) == 1


def test_nothing_is_imported_while_a_run_holds_the_target(cli: Cli, sandbox: Sandbox) -> None:
    """Both would find nothing there, and both add all."""
    cli.site("a", sandbox)
    slide(sandbox, "x.svs")
    annotate(sandbox, "Slides/in/x.svs", *WANTED)
    assert cli.run("export", "a:", "notes").returncode == 0
    key = Site(name="a", url=sandbox.url, username="seeder", target="Slides/in").destination_key
    with hold_targets(cli.folder / "state/locks", [("other", key)]):
        refused = cli.run("import", "notes", "--sites", "a")
        assert refused.returncode == 3
        assert "another run holds this site's target" in refused.stderr
        assert cli.run("import", "notes", "--sites", "a", "--dry-run").returncode == 0


async def test_no_name_of_a_server_leads_out_of_the_folder(tmp_path: Path) -> None:
    wild = ["../out.svs", "..\\out.svs", "/etc/out.svs", "C:\\out.svs"]
    scripted = ScriptedCore(
        GetRootDirectories=["Slides"],
        GetDirectories=[],
        GetFiles=[f"Slides/{name}" for name in wild],
        GetFilenames=[],
        GetAnnotations=[{"AnnotationID": 1, "LayerID": 1, "Geometry": "POINT(1 2)"}],
        GetFingerprint="abc",
    )
    results: list[Exported] = []

    async def put(one: Exported) -> None:
        results.append(one)

    async with scripted.core() as core:
        place = Place(Site(name="a", url="https://pma.example/core/", username="u", target="Slides"), "Slides", "a:")
        await _PlaceExport(place, core, tmp_path / "dir", set(), put).run()
    assert results
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} <= {"dir"}
    assert all(one.error is not None for one in results if "\\" in one.path or ".." in one.path)
