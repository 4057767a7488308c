"""`pmarep compare`: folders and places beside each other, over real sockets."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from support.corpus import wild_names, write_mirax, write_svs
from support.fork_server import PATIENCE, start
from support.push_cli import Running
from support.sandboxes import PASSWORD, StartSandbox
from support.sites_cli import SitesCli

from pmacore_sandbox import CannedResponse, Drop, Hold, Sandbox


@pytest.fixture
def cli(tmp_path: Path) -> SitesCli:
    (tmp_path / "home").mkdir()
    return SitesCli(tmp_path / "home", {"NO_PROXY": "*"})


@pytest.fixture
def three(cli: SitesCli, start_sandbox: StartSandbox) -> list[Sandbox]:
    """Sites tokyo, ghent and saopaulo, each with the same three slides, and a folder `cases` with them."""
    cases = cli.folder / "cases"
    write_svs(cases / "a.svs")
    write_svs(cases / "sub" / "M\u00fcller & s\u00f6hne.svs", seed=1)
    write_mirax(cases / "case 1" / "m.mrxs")
    boxes = [start_sandbox(name) for name in ("tokyo", "ghent", "saopaulo")]
    for box in boxes:
        shutil.copytree(cases, top(box))
    cli.write(**{name: (box.url, "Slides/in") for name, box in zip(("tokyo", "ghent", "saopaulo"), boxes, strict=True)})
    cli.environ.update({f"PMAREP_PASSWORD_{name}": PASSWORD for name in ("TOKYO", "GHENT", "SAOPAULO")})
    return boxes


def top(box: Sandbox) -> Path:
    return box.data / "Slides" / "in"


def compared(cli: SitesCli, *arguments: str, code: int) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The states of each slide at each side, and the summary."""
    done = cli.pmarep("compare", *arguments, "--json", code=code)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {line["slide"]: [cell["state"] for cell in line["at"].values()] for line in lines if "slide" in line}
    summary: dict[str, Any] = lines[-1]["summary"]
    assert summary["exit_code"] == code
    return found, summary


def swap_a_byte(path: Path) -> None:
    data, times = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10_000_000))


def test_all_the_same(cli: SitesCli, three: list[Sandbox]) -> None:
    done = cli.pmarep("compare", "cases", "tokyo:", "ghent:", "saopaulo:")
    assert done.stdout.splitlines()[0] == "3 slides by names and sizes: 3 the same everywhere"
    found, summary = compared(cli, "cases", "tokyo:", "ghent:", "--all", "--deep", code=0)
    assert set(map(tuple, found.values())) == {("same",) * 3}
    assert (summary["same"], summary["level"]) == (3, "deep")
    assert [box.open_sessions for box in three] == [0, 0, 0]


def test_what_is_missing_and_what_differs_is_told_with_what_brings_it(cli: SitesCli, three: list[Sandbox]) -> None:
    (top(three[2]) / "a.svs").unlink()
    (top(three[1]) / "case 1" / "m" / "Data0000.dat").write_bytes(b"other")
    found, summary = compared(cli, "tokyo:", "ghent:", "saopaulo:", code=1)
    assert found == {"a.svs": ["same", "same", "missing"], "case 1/m.mrxs": ["same", "differs", "same"]}
    assert {one["words"]: one["slides"] for one in summary["agreement"]} == {
        "the same everywhere": 1,
        "missing at saopaulo, the same at tokyo and ghent": 1,
        "tokyo and saopaulo agree, ghent has another": 1,
    }
    assert summary["commands"] == [{"command": "pmarep copy tokyo: --sites saopaulo", "slides": 1}]
    done = cli.pmarep("compare", "tokyo:", "ghent:", "saopaulo:", "--details", code=1)
    assert "same\tsame\tmissing\ta.svs\n" in done.stdout
    assert "same\tdiffers: size\tsame\tcase 1/m.mrxs\tghent: m/Data0000.dat has 5 bytes" in done.stdout


def test_the_commands_that_it_tells_bring_what_is_missing(cli: SitesCli, three: list[Sandbox]) -> None:
    (top(three[1]) / "a.svs").unlink()
    (cli.folder / "cases" / "a.svs").unlink()
    write_svs(cli.folder / "cases" / "new" / "x y.svs", seed=2)
    cli.environ["PMAREP_STATE_DIR"] = str(cli.folder / "state")
    _, summary = compared(cli, "cases", "tokyo:", "ghent:", "--exclude", "none.svs", code=1)
    commands = [shlex.split(one["command"]) for one in summary["commands"]]
    assert sorted(words[1] for words in commands) == ["copy", "pull", "push"]
    for words in commands:
        waits = ["--settle", "0"] if words[1] == "push" else []
        cli.pmarep(*words[1:], *waits)
    assert compared(cli, "cases", "tokyo:", "ghent:", "--deep", code=0)[1]["same"] == 4


def test_bytes_and_fingerprints_tell_what_sizes_do_not(cli: SitesCli, three: list[Sandbox]) -> None:
    swap_a_byte(top(three[1]) / "case 1" / "m" / "Data0000.dat")
    assert compared(cli, "tokyo:", "ghent:", code=0)[0] == {}
    for option, differs in (("--deep", "bytes"), ("--fingerprint", "fingerprint")):
        done = cli.pmarep("compare", "tokyo:", "ghent:", "saopaulo:", option, code=1)
        assert f"same\tdiffers: {differs}\tsame\tcase 1/m.mrxs\n" in done.stdout
    found, _ = compared(cli, "cases", "ghent:", "--deep", code=1)
    assert found == {"case 1/m.mrxs": ["there", "differs"]}


def test_a_fingerprint_of_a_folder_here_cannot_be(cli: SitesCli, three: list[Sandbox]) -> None:
    assert len(three) == 3
    assert "cases is on this machine" in cli.pmarep("compare", "tokyo:", "cases", "--fingerprint", code=2).stderr


def test_a_download_that_breaks_off_is_begun_again_and_one_that_is_refused_is_not_told(
    cli: SitesCli, three: list[Sandbox]
) -> None:
    three[0].faults.add(Drop(100), path=r"transfer/Download\?image=Slides/in/a.svs", times=1)
    assert compared(cli, "tokyo:", "ghent:", "--deep", code=0)[1]["same"] == 3
    three[0].faults.add(
        CannedResponse(403, '{"Code": 1, "Message": "no"}'), path=r"transfer/Download\?image=Slides/in/a.svs"
    )
    found, summary = compared(cli, "tokyo:", "ghent:", "--deep", code=1)
    assert found == {"a.svs": ["unknown", "there"]}
    assert (summary["unknown"], summary["same"]) == (1, 2)


def test_what_a_server_does_not_tell_is_not_missing(cli: SitesCli, three: list[Sandbox]) -> None:
    refusal = CannedResponse(200, '{"Code": 1, "Message": "no right"}')
    three[0].faults.add(refusal, path=r"api/json/GetFiles\?path=Slides/in/sub")
    three[0].faults.add(refusal, path=r"api/json/GetFilenames\?pathOrUid=Slides/in/a.svs")
    found, summary = compared(cli, "tokyo:", "ghent:", code=1)
    assert found == {"a.svs": ["unknown", "there"], "sub/M\u00fcller & s\u00f6hne.svs": ["unknown", "there"]}
    assert (summary["unknown"], summary["not_told"], summary["missing"]) == (2, 1, 0)
    assert (
        "tokyo: sub: not told: GetFiles was refused: no right"
        in cli.pmarep("compare", "tokyo:", "ghent:", code=1).stderr
    )


def test_a_site_that_lets_nobody_in_is_told_and_the_others_are_compared(cli: SitesCli, three: list[Sandbox]) -> None:
    (top(three[2]) / "a.svs").unlink()
    cli.environ["PMAREP_PASSWORD_GHENT"] = "wrong"
    found, _ = compared(cli, "tokyo:", "ghent:", "saopaulo:", code=1)
    assert found["a.svs"] == ["there", "unknown", "missing"]
    assert "does not let" in cli.pmarep("compare", "tokyo:", "ghent:", code=1).stderr


def test_a_place_that_is_not_there_is_said_before_anything_is_listed(cli: SitesCli, three: list[Sandbox]) -> None:
    done = cli.pmarep("compare", "tokyo:", "ghent:nope", "cases", code=2)
    assert '"ghent:nope"' in done.stderr
    assert not any("GetFilenames" in request.path for request in three[0].requests)


def test_problems_of_a_folder_here_are_told(cli: SitesCli, three: list[Sandbox]) -> None:
    (cli.folder / "cases" / "case 1" / "m" / "Data0000.dat").unlink()
    (cli.folder / "cases" / ".pmarepignore").write_text("sub/\n")
    (top(three[0]) / "sub" / "extra.svs").write_bytes(b"x" * 5000)
    found, summary = compared(cli, "cases", "tokyo:", code=1)
    assert found == {"case 1/m.mrxs": ["problem", "there"]}
    assert summary["ignored"] == 2
    assert "incomplete" in cli.pmarep("compare", "cases", "tokyo:", code=1).stdout


def test_patterns_and_sizes_choose_slides(cli: SitesCli, three: list[Sandbox]) -> None:
    (top(three[1]) / "a.svs").write_bytes(b"cut off")
    three[0].clear_requests()
    found, summary = compared(
        cli, "tokyo:", "ghent:", "--exclude", "sub/", "--exclude", "*.mrxs", "--min-size", "1K", code=1
    )
    assert (found, summary["slides"]) == ({"a.svs": ["there", "differs"]}, 1)
    assert not any("sub" in request.path for request in three[0].requests)
    assert compared(cli, "cases", "tokyo:", "--newer-than", "1h", code=0)[1]["slides"] == 3
    assert compared(cli, "cases", "tokyo:", "--newer-than", "2100-01-01", code=1)[1]["slides"] == 0


def test_wild_names_are_compared_and_end_in_a_private_table(cli: SitesCli, three: list[Sandbox]) -> None:
    here = cli.folder / "wild"
    for name in [*wild_names(), "=cmd.svs"]:
        write_svs(here / f"{name}.svs" if not name.endswith(".svs") else here / name)
    shutil.copytree(here, three[0].data / "Slides" / "wild")
    (three[0].data / "Slides" / "wild" / "=cmd.svs").unlink()
    cli.pmarep("compare", "wild", "tokyo:/Slides/wild", "--all", "--csv", "out.csv", code=1)
    table = cli.folder / "out.csv"
    if os.name == "posix":
        assert stat.S_IMODE(table.stat().st_mode) == 0o600
    lines = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    assert {line["tokyo:/Slides/wild"] for line in lines if line["slide"] != "'=cmd.svs"} == {"same"}
    assert [line["state"] for line in lines if line["slide"] == "'=cmd.svs"] == ["missing"]


def test_two_folders_need_no_site_book(cli: SitesCli) -> None:
    write_svs(cli.folder / "a" / "x.svs")
    write_svs(cli.folder / "b" / "x.svs", seed=1)
    assert not cli.book.exists()
    cli.pmarep("compare", "a", "b")
    assert "differs: bytes" in cli.pmarep("compare", "a", "b", "--deep", code=1).stdout
    assert "pmarep sites add" in cli.pmarep("compare", "a", "tokyo:", code=2).stderr


@pytest.mark.parametrize(
    "arguments", [["a"], ["a", "a"], ["a", "b", "--deep", "--fingerprint"], ["a", "nope"], ["a", "b", "--csv", "-"]]
)
def test_wrong_usage(cli: SitesCli, arguments: list[str]) -> None:
    (cli.folder / "a").mkdir()
    (cli.folder / "b").mkdir()
    assert len(cli.pmarep("compare", *arguments, code=2).stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for another process")
def test_ctrl_c_logs_out_and_ends_with_130(cli: SitesCli, three: list[Sandbox]) -> None:
    hold = Hold()
    three[0].faults.add(hold, path="transfer/Download")
    process = start(["compare", "tokyo:", "ghent:", "--deep"], cli.environment, folder=cli.folder)
    with Running(process) as running:
        assert hold.reached.wait(PATIENCE)
        running.interrupt()
        assert running.result().code == 130
    hold.release()
    assert [box.open_sessions for box in three[:2]] == [0, 0]
