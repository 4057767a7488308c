"""`require` and `prepare` of the site book: what may leave, and as what. Real commands, a real client, real sockets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tiny_tiff, write_mirax
from support.push_cli import PushCli, arrived, contents

from pmacore_sandbox import Sandbox

PATIENT = b"PATIENT: Jane Doe, born 1970-01-01"

STRIP = """
import pathlib, sys
slide, out, ran = map(pathlib.Path, sys.argv[1:4])
with ran.open("a") as log:
    log.write(slide.name + "\\n")
for file in [slide, *(slide.with_suffix("").rglob("*") if slide.with_suffix("").is_dir() else [])]:
    copy = out / file.relative_to(slide.parent)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if file.is_file():
        copy.write_bytes(file.read_bytes().replace(%r, b""))
""" % (b"\0" + PATIENT)
"""Copies a slide without the name in it."""

ASK = """
import pathlib, sys
slide, ran = map(pathlib.Path, sys.argv[1:3])
with ran.open("a") as log:
    log.write(slide.name + "\\n")
print("looking")
if slide.name.startswith("secret"):
    sys.exit("no consent for " + slide.stem)
"""


class Gate:
    """Sites with commands; how often these have run."""

    def __init__(self, cli: PushCli, folder: Path) -> None:
        self.cli = cli
        self.folder = folder
        self.ran = folder / "ran"

    def command(self, code: str, *words: str) -> list[str]:
        script = self.folder / f"command-{abs(hash(code))}.py"
        script.write_text(code, encoding="utf-8")
        return [sys.executable, "-I", "-S", str(script), *words]

    def prepare(self, code: str = STRIP) -> list[str]:
        return self.command(code, "{slide}", "{out}", str(self.ran))

    def require(self, code: str = ASK) -> list[str]:
        return self.command(code, "{slide}", str(self.ran))

    def runs(self) -> list[str]:
        return sorted(self.ran.read_text().split()) if self.ran.exists() else []

    def slide(self, name: str, size: int = 2000) -> bytes:
        """Write a slide with a patient's name; return it as it may leave."""
        path = self.cli.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = tiny_tiff(size)
        path.write_bytes(content + b"\0" + PATIENT)
        return content


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(PushCli(tmp_path / "cli"), tmp_path)


def leaked(*folders: Path) -> list[str]:
    """Files below folders that hold the patient's name."""
    return [name for folder in folders for name, content in contents(folder).items() if PATIENT in content]


def audit_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# require


def test_require_lets_slides_pass_and_leaves_others_out(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    cli = gate.cli
    cli.site("strict", sandbox, require=gate.require())
    cli.site("open", sandbox, "Slides/open")
    for name in ("a.svs", "deep/secret 1.svs"):
        gate.slide(name)
    result = cli.push("--audit", str(tmp_path / "audit"))
    assert result.code == 4
    finished = result.finished("strict")
    assert {name: event["status"] for name, event in finished.items()} == {
        "a.svs": "sent", "deep/secret 1.svs": "left_out",
    }  # fmt: skip
    assert finished["deep/secret 1.svs"]["error"] == "no consent for secret 1"
    at = result.summary["sites"]["strict"]
    assert (at["sent"], at["left_out"], at["failed"]) == (1, 1, 0)
    assert result.summary["sites"]["open"]["sent"] == 2
    assert list(arrived(sandbox)) == ["a.svs"]
    left = [line for line in audit_lines(tmp_path / "audit") if line["status"] == "left_out"]
    assert [(line["site"], line["error"]) for line in left] == [("strict", "no consent for secret 1")]
    assert gate.runs() == ["1.svs", "a.svs", "secret"]

    verified = cli.verify("--json")
    assert verified.code == 4
    assert verified.finished("strict")["deep/secret 1.svs"]["status"] == "left_out"
    assert cli.push().code == 4
    assert gate.runs().count("a.svs") == 1  # it is there


def test_what_is_left_out_is_said_to_people(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    gate.cli.site("strict", sandbox, require=gate.require())
    for name in ("a.svs", "secret.svs"):
        gate.slide(name)
    report = tmp_path / "report.html"
    result = gate.cli.run("--report", str(report))
    assert "strict: left out secret.svs: no consent for secret" in result.lines
    assert any(line.startswith("strict  1 sent, 0 skipped, 0 failed, 1 left out; ") for line in result.lines)
    assert result.lines[-1] == ("1 slide left out by require at strict; see above; every other slide is at every site")
    assert "but for 1 that require leaves out there" in report.read_text(encoding="utf-8")
    assert "no consent for secret" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/nonexistent/command", "{slide}"], "require (/nonexistent/command) could not be started: "),
        ([sys.executable, "-c", "import time; time.sleep(99)", "{slide}"], "was not done in 1s and was ended"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)", "{slide}"], "was ended by signal 9"),
    ],
)
def test_a_require_that_cannot_answer_fails_the_slide(
    gate: Gate, sandbox: Sandbox, command: list[str], words: str
) -> None:
    gate.cli.site("a", sandbox, require=command)
    with gate.cli.book.open("a") as book:
        book.write("[gate]\ntimeout = 1\n")
    gate.slide("a.svs")
    result = gate.cli.push()
    assert result.code == 1
    assert words in result.finished("a")["a.svs"]["error"]
    assert arrived(sandbox) == {}


# prepare


def test_what_prepare_makes_is_sent_and_nothing_else(gate: Gate, sandbox: Sandbox, tmp_path: Path) -> None:
    cli = gate.cli
    cli.site("a", sandbox, "Slides/a", prepare=gate.prepare())
    cli.site("b", sandbox, "Slides/b", prepare=gate.prepare())
    clean = {"a.svs": gate.slide("a.svs"), "Müller & Söhne/b #1.svs": gate.slide("Müller & Söhne/b #1.svs")}
    write_mirax(cli.source / "deep" / "m.mrxs")
    with (cli.source / "deep" / "m" / "Data0000.dat").open("ab") as file:
        file.write(b"\0" + PATIENT)
    before = contents(cli.source)
    result = cli.push("--audit", str(tmp_path / "audit"), "--verify", "deep")
    assert result.code == 0
    assert contents(cli.source) == before
    there = arrived(sandbox, "Slides/a")
    assert there == arrived(sandbox, "Slides/b")
    assert {name: there[name] for name in clean} == clean
    assert set(there) == set(before)
    assert leaked(sandbox.data) == []
    assert len(gate.runs()) == 4  # one name has a blank
    size = len(clean["a.svs"])
    assert result.finished("a")["a.svs"]["bytes"] == size
    [line, _] = [line for line in audit_lines(tmp_path / "audit") if line["slide"] == "a.svs"]
    assert line["source"] == str(cli.source)
    assert line["files"][0]["bytes"] == size
    assert line["prepared"]["source_files"][0]["bytes"] == len(before["a.svs"])

    again = cli.push()
    assert again.counts("a") == (0, 3, 0)
    assert cli.verify("--json").code == 0
    assert len(gate.runs()) == 4


def test_where_every_site_has_the_result_it_is_not_made_again(gate: Gate, sandbox: Sandbox) -> None:
    cli = gate.cli
    cli.site("a", sandbox, "Slides/a", prepare=gate.prepare())
    gate.slide("a.svs")
    assert cli.push().code == 0
    for result in (cli.state / "prepared" / "results").iterdir():
        for file in result.iterdir():
            file.unlink()
        result.rmdir()
    assert cli.push().counts("a") == (0, 1, 0)
    assert cli.verify("--json").code == 0
    assert gate.runs() == ["a.svs"]
    cli.site("b", sandbox, "Slides/b", prepare=gate.prepare())
    assert cli.push().code == 0
    assert gate.runs() == ["a.svs", "a.svs"]
    assert cli.push("--verify", "deep").code == 0
    assert gate.runs() == ["a.svs", "a.svs"]
    assert arrived(sandbox, "Slides/a") == arrived(sandbox, "Slides/b")
