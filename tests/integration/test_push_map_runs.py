"""`--map` beside all else: resuming, mirrors, copies, gates, annotations, reports, rounds, clouds."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.annotations import annotation, annotations_at
from support.cloud import MIB, SMALL_BLOCKS, StartCloud
from support.corpus import tiny_tiff, tree, write_mirax, write_vsi
from support.fork_server import PATIENCE
from support.gate import Gate
from support.push_cli import PushCli, arrived, contents, files_sent, transfers
from support.sandbox_client import Client
from support.sandboxes import StartSandbox

from pmacore_sandbox import Hold, Sandbox
from pmarep.annotations.side_file import side_file_of, write_side_file

FILE = r"transfer/Upload/[0-9]+\?path="


def named(cli: PushCli, *rows: str) -> tuple[str, str]:
    """Write a map; return the option that names it."""
    file = cli.state.parent / "names.csv"
    file.write_text("\n".join(("slide,site,to", *rows)), "utf-8")
    return "--map", str(file)


def test_a_killed_push_goes_on_under_the_same_names(cli: PushCli, sandbox: Sandbox) -> None:
    write_mirax(cli.source / "Smith.mrxs", data_files=4, data_size=200_000)
    option = named(cli, "Smith.mrxs,,case 1/x.mrxs")
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE + "x/Data0003.dat", times=1)
    with cli.start(*option) as running:
        assert hold.reached.wait(PATIENCE)
        running.wait_for(lambda event: _acknowledged(cli) >= 5)
        running.kill()
    sandbox.faults.clear()
    assert sandbox.wait_idle()
    sandbox.clear_requests()
    result = cli.push(*option)
    assert result.code == 0
    assert sorted(files_sent(sandbox)) == ["x.mrxs", "x/Data0003.dat"]
    assert "transfer/Upload" not in transfers(sandbox)  # nothing was announced again
    expected = {name.replace("Smith", "case 1/x"): content for name, content in contents(cli.source).items()}
    assert arrived(sandbox) == expected
    finished = result.finished("a")["Smith.mrxs"]
    assert (finished["to"], finished["status"]) == ("case 1/x.mrxs", "sent")
    assert finished["resumed_bytes"] > 600_000


def _acknowledged(cli: PushCli) -> int:
    with closing(sqlite3.connect(cli.state / "journal.sqlite", timeout=30)) as journal:
        return int(journal.execute("SELECT count(*) FROM file").fetchone()[0])


@pytest.mark.parametrize("root", ["Cloud", "Blobs"], ids=["s3", "azure"])
def test_to_clouds(tmp_path: Path, cloud_sandbox: StartCloud, root: str) -> None:
    cli = PushCli(tmp_path / "cli", patch=SMALL_BLOCKS)
    tokyo = cloud_sandbox("tokyo", azure=root == "Blobs", s3_options={"part_size": MIB})
    cli.site("tokyo", tokyo.sandbox, target=f"{root}/in")
    tree(cli.source, "Smith.svs", content=os.urandom(2 * MIB))
    write_vsi(cli.source / "Jones.vsi")
    option = named(cli, "Smith.svs,,1/a.svs", "Jones.vsi,tokyo,b.vsi")
    assert cli.push(*option, "--verify", "deep").counts("tokyo") == (2, 0, 0)
    of = contents(cli.source)
    expected = {name.replace("Smith", "1/a").replace("Jones", "b"): content for name, content in of.items()}
    assert tokyo.side(root).objects() == {f"in/{name}": content for name, content in expected.items()}
    assert cli.push(*option).counts("tokyo") == (0, 2, 0)
    assert cli.verify(*option).code == 0


def test_another_name_is_another_slide_and_a_mirror_has_no_other(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "Smith.svs", "Jones.svs", "draft.svs", content=tiny_tiff(900))
    write_vsi(cli.source / "v.vsi")
    first = named(cli, "Smith.svs,,1.svs", "v.vsi,,V2.vsi", "draft.svs,,d.svs")
    assert cli.push(*first).code == 0
    second = named(cli, "Smith.svs,,2.svs", "v.vsi,,v2.vsi", "draft.svs,,d.svs")
    listed = cli.push(*second, "--mirror", "--exclude", "draft.svs")
    assert listed.counts("a") == (1, 2, 0)
    assert [event["slide"] for event in listed.events if event["event"] == "slide_extra"] == ["1.svs"]
    tree(sandbox.data / "Slides/in", "Smith.svs", content=tiny_tiff(900))  # as a push without the map would
    deleted = cli.push(*second, "--mirror", "--yes")
    assert deleted.code == 0
    assert {e["slide"] for e in deleted.events if e["event"] == "slide_deleted"} == {"1.svs", "Smith.svs"}
    assert {name for name in arrived(sandbox) if name.endswith((".svs", ".vsi"))} == {
        "2.svs", "Jones.svs", "d.svs", "V2.vsi",
    }  # fmt: skip


def test_a_copy_reads_slides_under_their_own_names(cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    ghent = start_sandbox("ghent")
    cli.site("ghent", ghent, target="Slides")
    write_mirax(ghent.data / "Slides/2026/Smith.mrxs")
    tree(ghent.data / "Slides/2026", "Jones.svs", content=tiny_tiff(900))
    option = named(cli, "Smith.mrxs,a,x/m.mrxs", "Jones.svs,,x/1.svs")
    result = cli.run("--json", "--sites", "a", *option, source=Path("ghent:2026"), command="push")
    assert result.code == 0, result.stdout
    of = contents(ghent.data / "Slides/2026")
    assert arrived(sandbox) == {
        name.replace("Smith", "x/m").replace("Jones", "x/1"): content for name, content in of.items()
    }


def test_commands_of_the_gate_see_the_slide_and_the_site_its_name(tmp_path: Path, sandbox: Sandbox) -> None:
    gate = Gate(PushCli(tmp_path / "cli"), tmp_path)
    gate.cli.site("a", sandbox, require=gate.require(), prepare=gate.prepare())
    clean = gate.slide("Smith/Anna.svs")
    gate.slide("secret.svs")
    option = named(gate.cli, "Smith/Anna.svs,,1/x.svs", "secret.svs,,2.svs")
    planned = {e["slide"]: e["to"] for e in gate.cli.push(*option, "--dry-run").events if e["event"] == "slide_planned"}
    assert planned == {"Smith/Anna.svs": "Slides/in/1/x.svs", "secret.svs": "Slides/in/2.svs"}
    assert gate.cli.push(*option).code == 4
    assert gate.runs() == ["Anna.svs", "Anna.svs", "secret.svs"]
    assert arrived(sandbox) == {"1/x.svs": clean}
    assert gate.cli.push(*option).counts("a") == (0, 1, 0)
    assert gate.cli.verify(*option).code == 4
    assert gate.runs().count("Anna.svs") == 2


def test_annotations_go_to_the_slide_under_its_name(
    cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox
) -> None:
    old = start_sandbox("old")
    tree(cli.source, "Smith.svs", content=tiny_tiff(900))
    tree(old.data / "Slides", "Smith.svs", content=(cli.source / "Smith.svs").read_bytes())
    with Client(old) as client:
        print_of = str(client.get("GetFingerprint", pathOrUid="Slides/Smith.svs"))
    when = "2026-11-28T00:00:00+00:00"
    write_side_file(side_file_of(cli.source / "Smith.svs"), "Smith.svs", print_of, [annotation(1)], when)
    assert cli.push(*named(cli, "Smith.svs,,1.svs"), "--annotations").code == 0
    assert len(annotations_at(sandbox, "Slides/in/1.svs")) == 1


def test_a_report_and_the_audit_have_both_names(cli: PushCli, start_sandbox: StartSandbox) -> None:
    ghent = start_sandbox("ghent")
    cli.site("ghent", ghent, exclude=["Jones.svs"])
    tree(cli.source, "x/Sm[i]th.svs", "Jones.svs", content=tiny_tiff(900))
    tree(ghent.data / "Slides/in", "1.svs", content=b"another")
    option = named(cli, "x/Sm[i]th.svs,,1.svs")
    report, audit = cli.state.parent / "report.json", cli.state.parent / "audit"
    assert (
        cli.push(*option, "--map-only", "--report", str(report), "--audit", str(audit), "--existing", "skip").code == 0
    )
    found = json.loads(report.read_text())
    cells = {slide["slide"]: slide["sites"] for slide in found["slides"]}
    assert cells["x/Sm[i]th.svs"]["a"]["to"] == cells["x/Sm[i]th.svs"]["ghent"]["to"] == "1.svs"
    assert cells["Jones.svs"]["a"]["error"] == "not in the map"
    assert "to" not in cells["Jones.svs"]["a"]
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert {(line["slide"], line["to"]) for line in lines} == {("x/Sm[i]th.svs", "Slides/in/1.svs")}
    assert [file["path"] for line in lines for file in line["files"]] == ["1.svs", "1.svs"]


def test_pmarep_slides_shows_the_names(cli: PushCli) -> None:
    cli.site("b", "http://127.0.0.1:9/")
    tree(cli.source, "Smith.svs", "Jones.svs", content=tiny_tiff(900))
    option = named(cli, "Smith.svs,a,1.svs", "Jones.svs,,2.svs")
    words = ["slides", str(cli.source), "--config", str(cli.book), *option]
    shown = cli.any(*words, "--sites", "a,b").stdout
    assert "Smith.svs\tAperio SVS\t1 file\t962 B\tcomplete\ta: 1.svs\tb: Smith.svs" in shown
    lines = [json.loads(line) for line in cli.any(*words, "--sites", "a,b", "--json", "--map-only").stdout.splitlines()]
    assert {line["slide"]: (line["sites"], line["to"]) for line in lines} == {
        "Smith.svs": ({"a": None, "b": "not in the map"}, {"a": "1.svs"}),
        "Jones.svs": ({"a": None, "b": None}, {"a": "2.svs", "b": "2.svs"}),
    }
    assert cli.any(*words).stderr == "pmarep: --map is about names at sites; say at which with --sites\n"
    named(cli, "gone.svs,,1.svs")
    wrong = cli.any(*words, "--sites", "a")
    assert (wrong.code, "there is no slide gone.svs in SRC" in wrong.stderr) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="ends services by signals")
def test_each_round_reads_the_map_anew_and_a_broken_one_makes_none(
    cli: PushCli, sandbox: Sandbox, tmp_path: Path
) -> None:
    tree(cli.source, "a.svs", content=tiny_tiff(900))
    option = named(cli, "a.svs,,1.svs")
    cli.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        with cli.start("--every", "1h", *option) as running:
            for row, slide in (("a.svs,,../1.svs", "b.svs"), ("a.svs,,1.svs\nb.svs,,2.svs", "c.svs"), ("", "")):
                while b"the next round begins in" not in systemd.recv(4096):
                    pass
                if slide:
                    named(cli, row)
                    tree(cli.source, slide, content=tiny_tiff(900))  # which begins a round
            running.process.send_signal(signal.SIGTERM)
            result = running.result()
    codes = [event["exit_code"] for event in result.events if event["event"] == "summary"]
    assert codes == [0, 2, 0]
    notices = [event["text"] for event in result.events if event["event"] == "notice"]
    assert any("line 2, column 3 (to)" in text for text in notices)
    assert any(text.startswith("round 2 could not be made: ") for text in notices)
    assert sorted(arrived(sandbox)) == ["1.svs", "2.svs", "c.svs"]


def test_a_row_never_means_a_slide_of_another_source_whose_name_differs_in_case(
    tmp_path: Path, cli: PushCli, sandbox: Sandbox
) -> None:
    """The one of the second source is left out in any case: it would overwrite the first."""
    other = tmp_path / "other"
    tree(cli.source, "smith.svs", content=tiny_tiff(900))
    tree(other, "Smith.svs", content=tiny_tiff(901))
    result = cli.push(str(other), *named(cli, "Smith.svs,,1.svs"))
    assert result.code == 2
    assert "line 2, column 1 (slide): smith.svs and Smith.svs are both there" in result.stderr
    assert arrived(sandbox) == {}


def test_what_does_not_go_together(cli: PushCli) -> None:
    tree(cli.source, "a.svs")
    for words, error in (
        (("--map-only",), "--map-only is about slides that --map does not name; say --map FILE.csv too"),
        (
            ("--map", str(cli.source / "none.csv")),
            "none.csv is not there; name a CSV file with the columns slide,site,to",
        ),
        ((*named(cli, "a.svs,,b.svs"), "--scheduler", "local"), "--map does not go with --scheduler: "),
    ):
        result = cli.run(*words)
        assert result.code == 2
        assert error in result.stderr
    assert not (cli.state / "journal.sqlite").exists()
