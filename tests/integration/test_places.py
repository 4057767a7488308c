"""`pmarep ls` and `mkdir`: what people and programs read, and how they end."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from support.fork_server import PATIENCE, start
from support.push_cli import Running
from support.sandboxes import PASSWORD, StartSandbox
from support.sites_cli import SitesCli

from pmacore_sandbox import Hold, Sandbox
from pmacore_sandbox.faults import CannedResponse

WILD = [
    "a & b.svs",
    "50%+1 #2.svs",
    "'quoted' (s).svs",
    "Mu\u0308nchen.svs",
    "組織.svs",
]


@pytest.fixture
def cli(tmp_path: Path, start_sandbox: StartSandbox) -> SitesCli:
    """Two sites with a few slides, and one that is down."""
    cli = SitesCli(tmp_path)
    tokyo, ghent = start_sandbox("tokyo", roots=("Slides", "Boxes")), start_sandbox("ghent")
    cli.write(tokyo=(tokyo.url, "Slides/in"), ghent=(ghent.url, "Slides/in"), down=("http://127.0.0.1:9/", "Slides/in"))
    for name in ("TOKYO", "GHENT", "DOWN"):
        cli.environ[f"PMAREP_PASSWORD_{name}"] = PASSWORD
    cli.environ["NO_PROXY"] = "*"
    for name in WILD:
        put(tokyo, f"in/{name}")
    put(tokyo, "in/case 1/kidney.mrxs", 100)
    put(tokyo, "in/case 1/kidney/Slidedat.ini", 20, at=1_700_000_100)
    put(ghent, "in/old/spleen.svs")
    return cli


def put(sandbox: Sandbox, path: str, size: int = 7, at: int = 1_700_000_000) -> None:
    file = sandbox.data / "Slides" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    os.utime(file, (at, at))


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_folders_and_slides_of_a_target(cli: SitesCli) -> None:
    done = cli.pmarep("ls", "tokyo:")
    names = [line[42:] for line in done.stdout.splitlines()[: len(WILD) + 1]]
    assert sorted(names[:-1]) == sorted(WILD)
    assert names[-1] == "case 1/"
    assert done.stdout.splitlines()[-1] == (
        "1 folder, 5 slides, 5 files, 35 B; not asked whether they can be read (--check)"
    )
    assert done.stderr == ""


def test_a_slide_is_shown_with_its_files(cli: SitesCli) -> None:
    lines = cli.pmarep("ls", "tokyo:CASE 1/Kidney.mrxs", "--check").stdout.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["120", "B", "2", "files", *lines[0].split()[4:6], "readable", "kidney.mrxs"],
        ["20", "B", *lines[1].split()[2:4], "kidney/Slidedat.ini"],
        ["100", "B", *lines[2].split()[2:4], "kidney.mrxs"],
    ]


def test_several_places_of_several_sites_as_json(cli: SitesCli) -> None:
    done = cli.pmarep("ls", "ghent:", "tokyo:case 1", "tokyo:/", "-R", "--files", "--json", "--fingerprint")
    found = objects(done.stdout)
    assert [one.get("folder") or one.get("slide") for one in found][:4] == [
        "Slides/in/old", "Slides/in/old/spleen.svs", "Slides/in/case 1/kidney.mrxs", "Slides/in/case 1/kidney"
    ]  # fmt: skip
    assert [one["folder"] for one in found[4:] if "folder" in one][:2] == ["Boxes", "Slides"]
    slide = found[2]
    assert len(slide.pop("fingerprint")) == 64
    assert slide == {
        "place": "tokyo:case 1", "site": "tokyo", "slide": "Slides/in/case 1/kidney.mrxs", "files": 2, "bytes": 120,
        "modified": "2023-11-14T22:15:00+00:00",
        "contents": [
            {"path": "kidney/Slidedat.ini", "bytes": 20, "modified": "2023-11-14T22:15:00+00:00"},
            {"path": "kidney.mrxs", "bytes": 100, "modified": "2023-11-14T22:13:20+00:00"},
        ],
    }  # fmt: skip


def test_a_site_that_is_away_or_refuses_does_not_hide_the_others(cli: SitesCli) -> None:
    cli.environ["PMAREP_PASSWORD_TOKYO"] = "wrong"
    done = cli.pmarep("ls", "down:", "tokyo:", "ghent:old", "--names", code=1)
    down, tokyo = done.stderr.splitlines()
    assert down.startswith("pmarep: down: http://127.0.0.1:9/ ")
    assert tokyo.startswith("pmarep: tokyo: ")
    assert "spleen.svs" in done.stdout.splitlines()
    del cli.environ["PMAREP_PASSWORD_TOKYO"]
    done = cli.pmarep("ls", "tokyo:", "ghent:old", code=1)
    assert "pmarep: tokyo: no password for tokyo" in done.stderr


def test_what_a_server_does_not_tell_is_said(cli: SitesCli, tmp_path: Path, start_sandbox: StartSandbox) -> None:
    perth = start_sandbox("perth")
    cli.write(perth=(perth.url, "Slides"))
    cli.environ["PMAREP_PASSWORD_PERTH"] = PASSWORD
    put(perth, "a.svs")
    put(perth, "b.mrxs")
    perth.faults.add(CannedResponse.refusal("Access denied"), path="GetFilenames.*a.svs")
    done = cli.pmarep("ls", "perth:", "--check", code=1)
    assert [line.partition(": ")[2].split(":/")[0] for line in done.stderr.splitlines()] == ["perth", "perth"]
    assert "perth:/Slides/a.svs: " in done.stderr
    assert "perth:/Slides/b.mrxs cannot be read there: " in done.stderr
    assert done.stdout.splitlines()[-1] == "1 slide, 1 file, 7 B, 1 NOT READABLE"
    done = cli.pmarep("ls", "perth:", "--check", "--json", code=1)
    not_told, slide = objects(done.stdout)
    assert (not_told["not_told"], slide["readable"]) == ("Slides/a.svs", False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ls"], "no place is named; write tokyo: for that site's target"),
        (["ls", "cases"], '"cases" is no place at a site; write it as tokyo:folder'),
        (["ls", "tokio:"], 'did you mean "tokyo"?'),
        (["ls", "tokyo:case_1"], 'pmarep: tokyo:case_1: there is no folder or slide "case_1" in Slides/in; did you'),
        (["ls", "tokyo:/Slide"], 'has no root-directory "Slide"; did you mean "Slides"?'),
        (["ls", "tokyo:", "--names", "--files"], "leave it or --files out"),
        (["mkdir", "tokyo:/"], "is the list of root-directories"),
        (["mkdir", "tokyo:/Slides"], "which pmarep does not make; name what is in one, as tokyo:/Slides/folder"),
        (["mkdir", "tokyo:/Nope/a"], 'has no root-directory "Nope"'),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(cli: SitesCli, arguments: list[str], words: str) -> None:
    done = cli.pmarep(*arguments, code=2)
    assert words in done.stderr
    assert (done.stderr.count("\n"), done.stdout) == (1, "")


def test_folders_are_made_level_by_level(cli: SitesCli, tmp_path: Path) -> None:
    done = cli.pmarep("mkdir", "tokyo:2026/autumn/ö & 1", "tokyo:CASE 1/x", "ghent:OLD", "tokyo:組織.svs/x", code=1)
    assert done.stdout.splitlines() == [
        "made tokyo:/Slides/in/2026/autumn/ö & 1",
        "made tokyo:/Slides/in/case 1/x",
        "is there already: ghent:/Slides/in/old",
    ]
    assert "is a slide, so no folder can be made there" in done.stderr
    assert (tmp_path / "tokyo/Slides/in/2026/autumn/ö & 1").is_dir()
    assert (tmp_path / "tokyo/Slides/in/case 1/x").is_dir()


def test_a_folder_that_would_have_another_name_is_refused(
    cli: SitesCli, tmp_path: Path, start_sandbox: StartSandbox
) -> None:
    perth = start_sandbox("perth", names="tell")
    cli.write(perth=(perth.url, "Slides"))
    cli.environ["PMAREP_PASSWORD_PERTH"] = PASSWORD
    done = cli.pmarep("mkdir", "perth:case 1.", code=1)
    assert "the site does not keep the name Slides/case 1." in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM for another process")
@pytest.mark.parametrize(
    ("words", "request_", "said"),
    [
        (["ls", "slow:"], "GetFiles", "interrupted"),
        (["mkdir", "slow:new/folder"], "CreateDirectory", "interrupted"),
        (["rm", "slow:a.svs", "--yes"], "GetFiles", "interrupted; nothing was deleted"),
        (
            ["rm", "slow:a.svs", "--yes"],
            "DeleteSlide",
            "interrupted; what is not said to be deleted",
        ),
    ],
)
def test_a_command_that_is_ended_logs_out(
    cli: SitesCli, start_sandbox: StartSandbox, words: list[str], request_: str, said: str
) -> None:
    slow, hold = start_sandbox("slow"), Hold()
    cli.write(slow=(slow.url, "Slides"))
    cli.environ["PMAREP_PASSWORD_SLOW"] = PASSWORD
    (slow.data / "Slides/a.svs").write_bytes(b"a")
    slow.faults.add(hold, path=request_)
    with Running(start(words, {**cli.environment, "PMAREP_STATE_DIR": str(cli.folder)}, folder=cli.folder)) as running:
        assert hold.reached.wait(PATIENCE)
        running.process.send_signal(signal.SIGTERM)
        result = running.result()
    hold.release()
    assert (result.code, slow.open_sessions) == (130, 0)
    assert result.stderr.startswith(f"pmarep: {said}")
